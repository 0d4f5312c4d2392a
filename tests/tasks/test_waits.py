"""How many calls may wait, and how a server that stops ends them, in simulated time."""

import asyncio
import gc
import tracemalloc
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp_types import CallToolResult

from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.callers import Caller
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.tasks.polling import poll
from hailuo_tasks_mcp.tasks.waits import Waits
from helpers import NOW, TOKEN, clock, data_of, error_of, settings
from two_services import TwoServices

STOPPING = (
    "This server is being stopped. Ask again in a few seconds. If it stays so, tell the user."
)
WAIT_ON = 'call retrieve_task(task_id="a-1", wait_seconds=50), which answers once it is final'


def running(*task_ids: str) -> TwoServices:
    """Return an API at which some tasks run for ever."""
    tasks = {each: {"id": each, "created_at": NOW, "started_at": NOW} for each in task_ids}
    return TwoServices(hailuo=tasks)


def caller_by_task(request: Any) -> Caller:
    """Return whose call it is: the caller `a` asks for the tasks a-1, a-2 and so on."""
    arguments = (request.params or {}).get("arguments") or {}
    return Caller(TOKEN, arguments.get("task_id", "").partition("-")[0])


def connect(api: httpx.AsyncBaseTransport, waits: Waits) -> Client:
    server = create_server(
        settings(),
        transport=api,
        caller_of=caller_by_task,
        waits=waits,
        now=lambda: NOW + clock(),
    )
    return Client(server)


async def retrieve(client: Client, *task_ids: str, wait_seconds: int = 50) -> CallToolResult:
    if len(task_ids) == 1:
        arguments: Any = {"task_id": task_ids[0], "wait_seconds": wait_seconds}
        return await client.call_tool("retrieve_task", arguments)
    arguments = {"task_ids": list(task_ids), "wait_seconds": wait_seconds}
    return await client.call_tool("retrieve_tasks_batch", arguments)


def at(second: float, action: Any) -> None:
    asyncio.get_running_loop().call_at(second, action)


def hang(api: TwoServices) -> None:
    for service in api.services.values():
        service.hangs = True


# Stopping


async def test_a_server_that_stops_answers_every_wait_at_once_with_the_state_as_it_is() -> None:
    ids = [f"a-{number}" for number in range(1, 21)]
    api, waits = running(*ids, "b-1"), Waits()
    at(7.3, waits.stop)

    async with connect(api, waits) as client:
        *alone, batch = await asyncio.gather(
            *(retrieve(client, each) for each in ids), retrieve(client, "a-1", "b-1")
        )

        assert clock() == 7.3
    assert waits.under_way == 0
    assert WAIT_ON in data_of(alone[0])["next_step"]
    assert {data_of(result)["state"] for result in alone} == {"processing"}
    assert data_of(batch)["counts"] == {"processing": 2}
    assert 'call retrieve_tasks_batch(task_ids=["a-1", "b-1"]' in data_of(batch)["next_step"]


async def test_a_poll_that_ends_within_a_second_of_the_stop_is_reported() -> None:
    api, waits = running("a-1"), Waits()
    at(1, lambda: setattr(api.services["hailuo"], "latency_seconds", 0.9))
    at(1, lambda: api.know("hailuo", "a-1"))
    at(2.5, waits.stop)

    async with connect(api, waits) as client:
        answer = data_of(await retrieve(client, "a-1"))

    assert answer["state"] == "succeeded"
    assert clock() == 2.9


async def test_a_poll_that_hangs_when_the_server_stops_leaves_the_last_good_state() -> None:
    api, waits = running("a-1", "a-2"), Waits()
    api.know("hailuo", "a-3")
    at(1, lambda: hang(api))
    at(3, waits.stop)

    async with connect(api, waits) as client:
        alone, batch = await asyncio.gather(retrieve(client, "a-1"), retrieve(client, "a-2", "a-3"))

    assert clock() == 4
    assert data_of(alone)["state"] == "processing"
    assert "since then: This server is being stopped): " + WAIT_ON in data_of(alone)["next_step"]
    assert data_of(batch)["counts"] == {"processing": 1, "succeeded": 1}
    assert "1 as last seen (This server is being stopped): " in data_of(batch)["next_step"]


@pytest.mark.parametrize("wait_seconds", [0, 50])
@pytest.mark.parametrize("task_ids", [["a-1"], ["a-1", "a-2"]])
async def test_a_call_that_has_learned_nothing_when_the_server_stops_says_so(
    task_ids: list[str], wait_seconds: int
) -> None:
    api, waits = running(*task_ids), Waits()
    hang(api)
    at(3, waits.stop)

    async with connect(api, waits) as client:
        error = error_of(await retrieve(client, *task_ids, wait_seconds=wait_seconds))

    assert error == STOPPING
    assert clock() == 4
    assert api.in_flight == 0


@pytest.mark.parametrize(
    ("headers", "when"),
    [
        ({}, "in about 30 seconds, or now with `wait_seconds`, which keeps trying."),
        ({"retry-after": "20"}, "in 14 seconds, not before."),
    ],
)
async def test_a_wait_that_met_a_fault_alone_until_the_stop_does_not_say_how_long_it_tried(
    headers: dict[str, str], when: str
) -> None:
    api, waits = running("a-1"), Waits()
    api.fail(httpx.Response(503, headers=headers))
    at(6, waits.stop)

    async with connect(api, waits) as client:
        error = error_of(await retrieve(client, "a-1"))

    assert error == f"The API failed (HTTP 503). Ask again {when} If it stays so, tell the user."
    assert clock() == 6


async def test_a_call_after_the_stop_polls_once_and_does_not_wait() -> None:
    api, waits = running("a-1"), Waits()
    waits.stop()

    async with connect(api, waits) as client:
        answer = data_of(await retrieve(client, "a-1"))
        assert clock() == 0
        hang(api)
        error = error_of(await retrieve(client, "a-1"))
        waited = clock()
        # Stopping it once more gives it no more time.
        waits.stop()
        late = error_of(await retrieve(client, "a-1", wait_seconds=0))

    assert answer["state"] == "processing"
    assert error == late == STOPPING
    assert waited == clock() == 1


async def test_a_call_that_is_cancelled_by_its_client_is_not_taken_for_one_that_was_stopped() -> (
    None
):
    api, waits = running("a-1"), Waits()
    hang(api)

    async with connect(api, waits) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await retrieve(client, "a-1")
        assert clock() == 3
        await asyncio.sleep(0)
        assert waits.under_way == 0
        waits.stop()
    assert clock() == 3


async def test_a_timeout_that_is_not_the_stop_is_passed_on_as_the_defect_that_it_is() -> None:
    async def fetch(*_: object, **__: object) -> LookupResult:
        raise TimeoutError("a detail")

    async def on_poll(*_: object) -> None:
        raise AssertionError("Nothing was learned")

    waits = Waits()
    waits.stop()

    with pytest.raises(TimeoutError, match="a detail"):
        await poll(fetch, ["t"], wait_seconds=50, on_poll=on_poll, waits=waits)


# Bounds


async def test_a_caller_with_as_many_waits_as_it_may_have_is_refused_another() -> None:
    api, waits = running("a-1", "a-2", "a-3", "b-1"), Waits(max_of_caller=2)

    async with connect(api, waits) as client:
        waiting = [asyncio.ensure_future(retrieve(client, each)) for each in ("a-1", "a-2", "b-1")]
        await asyncio.sleep(1)
        under_way = waits.under_way
        error = error_of(await retrieve(client, "a-3"))
        refused_at, sent = clock(), list(api.requested["hailuo"])
        plain = data_of(await retrieve(client, "a-3", wait_seconds=0))
        waited = [data_of(result) for result in await asyncio.gather(*waiting)]
        again = data_of(await retrieve(client, "a-3"))

    assert error == (
        "2 calls of this caller wait, as many as may. Ask without `wait_seconds` or, once some of "
        "them have ended, wait for all ids in one retrieve_tasks_batch call. If it stays so, tell "
        "the user."
    )
    assert (under_way, refused_at) == (3, 1)
    assert "a-3" not in sent
    assert plain["elapsed_seconds"] == 1
    assert [answer["elapsed_seconds"] for answer in waited] == [50] * 3
    assert again["elapsed_seconds"] == 100
    assert waits.under_way == 0


async def test_all_callers_together_may_have_so_many_waits() -> None:
    waits = Waits(max_of_caller=2, max_of_all=3)
    ids = ["a-1", "b-1", "c-1", "d-1"]

    async with connect(running(*ids), waits) as client:
        results = await asyncio.gather(*(retrieve(client, each) for each in ids))

    refused = [result for result in results if result.is_error]
    assert [error_of(each).partition(". ")[0] for each in refused] == [
        "As many calls wait here as may"
    ]


async def test_a_wait_whose_client_goes_away_makes_room_for_another() -> None:
    waits = Waits(max_of_caller=1)

    async with connect(running("a-1", "a-2"), waits) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await retrieve(client, "a-1")
        await asyncio.sleep(0)
        answer = data_of(await retrieve(client, "a-2", wait_seconds=4))

    assert answer["elapsed_seconds"] == 9


def test_nothing_is_kept_of_callers_whose_waits_have_ended() -> None:
    waits = Waits(max_of_caller=1)

    def wait_once(keys: range) -> None:
        for key in keys:
            with waits.begin(f"caller {key}"):
                assert waits.under_way == 1

    wait_once(range(10))
    gc.collect()
    tracemalloc.start()
    try:
        wait_once(range(10_000))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 10_000
