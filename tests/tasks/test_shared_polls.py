"""Calls that wait share their polls, and none is answered later for it."""

import asyncio
import math

import pytest
from mcp import Client

from hailuo_tasks_mcp.server import create_server
from helpers import NOW, clock, data_of, settings, succeeded, task_ids
from two_services import Json, TwoServices, running


def unix_time() -> float:
    return NOW + clock()


class EndingTasks(TwoServices):
    """Hailuo's tasks, each of which runs until its second."""

    def __init__(self, ends: dict[str, float], limit: int | None = None) -> None:
        super().__init__(limit=limit)
        self.ends = ends

    def answer(self, name: str, payload: Json) -> Json:
        for task_id, end in self.ends.items():
            over = clock() >= end
            self.services["hailuo"].records[task_id] = (
                succeeded(task_id) if over else {**running(task_id), "created_at": NOW}
            )
        return super().answer(name, payload)


async def test_two_hundred_waits_of_70_s_take_at_most_60_requests_within_the_limit() -> None:
    api = EndingTasks(dict.fromkeys(task_ids(200), math.inf), limit=5)
    api.services["hailuo"].latency_seconds = 0.2
    server = create_server(settings(max_wait_seconds=120), transport=api, now=unix_time)

    async with Client(server) as client:
        results = await asyncio.gather(
            *(
                client.call_tool("retrieve_task", {"task_id": each, "wait_seconds": 70})
                for each in task_ids(200)
            )
        )

    assert [data_of(result)["state"] for result in results] == ["processing"] * 200
    assert clock() <= 72
    assert api.most_in_flight <= 4
    assert len(api.sent) <= 60


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.77])
async def test_nobody_is_told_later_than_the_pace_promises_plus_a_second(offset: float) -> None:
    ends = {f"t{tenth}": offset + tenth / 10 for tenth in range(0, 450, 7)}
    api = EndingTasks(ends)
    told: dict[str, float] = {}

    async with Client(create_server(settings(), transport=api, now=unix_time)) as client:

        async def wait_for(task_id: str) -> None:
            await asyncio.sleep(offset)
            arguments = {"task_id": task_id, "wait_seconds": 50}
            answer = data_of(await client.call_tool("retrieve_task", arguments))
            assert answer["state"] == "succeeded"
            told[task_id] = clock()

        await asyncio.gather(*map(wait_for, ends))

    for task_id, end in ends.items():
        pace = 3 if end - offset < 30 else 5
        assert told[task_id] - end <= pace + 1
