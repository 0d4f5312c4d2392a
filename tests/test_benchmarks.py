"""The benchmarks run; what they measure is for people to read."""

import asyncio
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import httpx
import pytest

from hailuo_tasks_mcp.client import HailuoTasksClient
from hailuo_tasks_mcp.states import classify
from helpers import PATIENCE_SECONDS, settings, task_ids

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_the_soak_goes_well_for_some_hundred_calls() -> None:
    result = subprocess.run(  # noqa: S603 - ours
        [sys.executable, str(BENCHMARKS / "soak.py"), "--calls", "300", "--seconds", "60"],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "300 of 300 answered" in result.stdout
    assert result.stdout.endswith("GOOD\n")


@pytest.mark.real_time
async def test_the_stand_in_answers_as_the_api_does_and_counts() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BENCHMARKS / "stand_in.py"), stdin=PIPE, stdout=PIPE
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert process.stdin
        assert process.stdout
        base_url = (await process.stdout.readline()).decode().strip()
        async with (
            HailuoTasksClient(settings(api_base_url=base_url)) as client,
            httpx.AsyncClient(base_url=base_url) as http,
        ):
            one = await client.retrieve("t")
            several = await client.retrieve_batch(task_ids(150))
            question = {"action": "retrieve_batch", "ids": task_ids(50)}
            page = (await http.post("/hailuo/tasks", json=question)).json()
            asked = (await http.get("/")).text
        process.stdin.close()
        await process.wait()

    assert classify(one) == "succeeded"
    assert list(several.records) == task_ids(150)
    # Of a batch without a limit, only the first page.
    assert len(page["items"]) == 12
    assert asked == "4"
