"""The videos of made-up tasks: small, real, and there once their tasks have succeeded."""

import io

import httpx
import pytest

from hailuo_tasks_mcp.downloads.signatures import is_whole, kind_of
from hailuo_tasks_mcp.sandbox.app import create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import (
    DOCUMENTED_TASK_ID,
    FAILED_H3_TASK_ID,
    FAILED_TASK_ID,
    RUNNING_H3_TASK_ID,
    RUNNING_TASK_ID,
    SUCCEEDED_H3_TASK_ID,
    VIDEOS_URL,
)


async def get(task_id: str, age: float = 0.0, **headers: str) -> httpx.Response:
    """Ask a sandbox of some age for the video of a task."""
    times = iter([1_000.0, 1_000.0])
    app = create_sandbox(now=lambda: next(times, 1_000.0 + age))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        return await client.get(f"{VIDEOS_URL}/{task_id}.mp4", headers=headers)


async def test_the_video_of_a_task_that_succeeded_is_a_whole_mp4() -> None:
    response = await get(SUCCEEDED_H3_TASK_ID)

    assert response.status_code == 200
    assert response.headers["content-type"] == "video/mp4"
    assert kind_of(response.content) == "mp4"
    assert is_whole(io.BytesIO(response.content), "mp4", len(response.content))
    assert len(response.content) < 5_000


@pytest.mark.parametrize("task_id", [RUNNING_TASK_ID, RUNNING_H3_TASK_ID])
async def test_a_running_task_has_its_video_once_it_has_ended(task_id: str) -> None:
    assert (await get(task_id)).status_code == 404
    assert (await get(task_id, age=100)).status_code == 200


@pytest.mark.parametrize(
    "task_id", [DOCUMENTED_TASK_ID, FAILED_TASK_ID, FAILED_H3_TASK_ID, "unknown", "..%2Fapp"]
)
async def test_no_other_task_has_one(task_id: str) -> None:
    assert (await get(task_id, age=9_000)).status_code == 404


async def test_a_range_of_it_is_answered() -> None:
    whole = (await get(SUCCEEDED_H3_TASK_ID)).content
    size = len(whole)

    rest = await get(SUCCEEDED_H3_TASK_ID, range="bytes=1000-")
    part = await get(SUCCEEDED_H3_TASK_ID, range="bytes=10-19")
    beyond = await get(SUCCEEDED_H3_TASK_ID, range=f"bytes={size}-")
    odd = await get(SUCCEEDED_H3_TASK_ID, range="bytes=-5")

    assert (rest.status_code, rest.content) == (206, whole[1000:])
    assert rest.headers["content-range"] == f"bytes 1000-{size - 1}/{size}"
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert beyond.status_code == 416
    assert (odd.status_code, odd.content) == (200, whole)


async def test_it_is_for_no_web_page() -> None:
    assert (await get(SUCCEEDED_H3_TASK_ID, origin="https://evil.test")).status_code == 403
