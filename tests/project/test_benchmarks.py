"""The benchmarks run; what they measure is for people to read."""

import asyncio
import importlib
import re
import subprocess
import sys
from asyncio.subprocess import PIPE
from types import ModuleType

import httpx
import pytest

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.api.services import HAILUO
from hailuo_tasks_mcp.tasks.states import classify
from helpers import TIMEOUT_SECONDS, look_up_one, settings, task_ids
from repository import ROOT

BENCHMARKS = ROOT / "benchmarks"


@pytest.mark.real_time
def test_the_soak_passes_with_100_calls_by_each_route() -> None:
    result = subprocess.run(  # noqa: S603 - ours
        [sys.executable, str(BENCHMARKS / "soak.py"), "--calls", "300", "--seconds", "60"],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert re.findall(r"route +(\w+)\ncalls +100 of 100 answered", result.stdout) == [
        "direct",
        "http",
        "socks5",
    ]
    assert result.stdout.endswith("GOOD\n")


@pytest.mark.real_time
def test_the_attack_passes_with_what_is_soon_over() -> None:
    command = ("--seconds", "3", "records", "cancelled")
    result = subprocess.run(  # noqa: S603 - ours
        [sys.executable, str(BENCHMARKS / "attack.py"), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert re.fullmatch(r"(\w+ +GOOD: .*\n){2}", result.stdout)


CALL = {"name": "retrieve_task", "arguments": {"task_id": "t"}}


@pytest.mark.parametrize(
    ("text", "task_id", "fault"),
    [
        ("bench-token-0123456789", "t", "token"),
        ("x" * 8_001, "t", "too long"),
        ("", "t", "no words"),
        ("a", "u", "another task"),
        ("hailuo-tasks-mcp itself failed", "t", "itself failed"),
        ("surplus-answer", "t", "surplus answer"),
        ("a\u200bb", "t", "hidden characters"),
        ("a", "t", None),
    ],
)
def test_what_must_not_be_in_a_response_is_counted(
    text: str, task_id: str, fault: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    seen = importlib.import_module("attack").Seen()

    content = [{"type": "text", "text": text}]
    seen.response(CALL, {"result": {"content": content, "structuredContent": {"task_id": task_id}}})

    assert dict(+seen.faults) == ({fault: 1} if fault else {})
    assert (
        seen.line("class")
        == f"class       {f'NOT GOOD: 1 answers; {fault} (1)' if fault else 'GOOD: 1 answers'}"
    )


@pytest.mark.real_time
async def test_the_stand_in_responds_as_the_api_does_and_counts_requests() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BENCHMARKS / "stand_in.py"), stdin=PIPE, stdout=PIPE
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert process.stdin
        assert process.stdout
        base_url = (await process.stdout.readline()).decode().strip()
        async with (
            open_client(settings(api_base_url=base_url)) as client,
            httpx.AsyncClient(base_url=base_url) as http,
        ):
            one = await look_up_one(client, "t")
            several = await client.look_up_at(HAILUO, task_ids(150))
            payload = {"action": "retrieve_batch", "ids": task_ids(50)}
            page = (await http.post("/hailuo/tasks", json=payload)).json()
            requests = (await http.get("/")).text
        process.stdin.close()
        await process.wait()

    assert classify(one) == "succeeded"
    assert several.records.keys() == set(task_ids(150))
    # Of a batch without a limit, only the first page.
    assert len(page["items"]) == 12
    assert requests == "4"


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("compare")


def test_a_run_is_polled_as_each_server_asks_for(compare: ModuleType) -> None:
    ours = compare.poll_ours()

    assert (ours["calls"], ours["seconds"]) == (3, 70)
    assert compare.poll_vendor(15.0) == {"calls": 5, "requests": 5, "seconds": 80}
    assert compare.poll_vendor(0.0) == {"calls": 15, "requests": 15, "seconds": 70}


@pytest.mark.parametrize(
    ("values", "at_least", "verdict"),
    [([0.9, 1.0, 7.0], False, "yes"), ([0.9, 1.01, 1.2], False, "NO"), ([0.9, 1.1], True, "yes")],
)
def test_a_bound_that_does_not_hold_is_printed_as_such(
    compare: ModuleType, values: list[float], at_least: bool, verdict: str
) -> None:
    assert compare.Bound("It", values, 1, at_least).row().endswith(f" | {verdict} |")
