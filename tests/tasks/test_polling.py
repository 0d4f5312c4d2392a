"""Waiting: one call that polls tasks to their end, in simulated time."""

import asyncio
import gc
import json
import math
import tracemalloc
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp_types import CallToolResult

from hailuo_tasks_mcp.api.records import read_record
from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.sandbox.app import SANDBOX_TOKEN, create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import DOCUMENTED_TASK_ID, FAILED_TASK_ID, RUNNING_TASK_ID
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.tasks.polling import poll
from helpers import (
    NOW,
    HailuoAlone,
    Json,
    ScriptedResponse,
    call,
    clock,
    data_of,
    error_of,
    example,
    settings,
    succeeded,
)
from simulated_time import SimulatedTimeLoop

ERRORS = example("errors")
# The sandbox's running task is 20 s old when it begins, and takes 69.1 s.
SANDBOX_ENDS_AFTER_SECONDS = 49.1
IN_SANDBOX: Json = {"api_token": SANDBOX_TOKEN, "api_base_url": "http://localhost"}
FOREVER = math.inf
DOWN = httpx.Response(503, json={"error": {"code": "api_error"}})
TOKEN_REJECTED = httpx.Response(401, json=ERRORS["401"])


def unix_time() -> float:
    return NOW + clock()


class TimedApi(httpx.AsyncBaseTransport):
    """Knows tasks that run from the beginning and succeed after so many seconds.

    Args:
        ends: when each task ends, in seconds; FOREVER for one that does not.
        latency: how long a response takes, in seconds.
        faults: what is returned instead from some second on; None ends a fault.

    """

    def __init__(
        self,
        ends: Mapping[str, float],
        *,
        latency: float = 0,
        faults: Mapping[float, ScriptedResponse | None] | None = None,
    ) -> None:
        self.ends = ends
        self.latency = latency
        self.faults = faults or {}
        self.polls: list[float] = []
        self.payloads: list[Json] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.polls.append(clock())
        payload = json.loads(request.content)
        self.payloads.append(payload)
        due = [fault for second, fault in self.faults.items() if second <= clock()]
        fault = due[-1] if due else None
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return httpx.Response(fault.status_code, headers=fault.headers, content=fault.content)
        await asyncio.sleep(self.latency)
        if "id" in payload:
            return httpx.Response(200, json=self.record(payload["id"]))
        records = [self.record(task_id) for task_id in payload["ids"]]
        return httpx.Response(200, json={"items": [record for record in records if record]})

    def record(self, task_id: str) -> Json:
        if task_id not in self.ends:
            return {}
        if clock() >= self.ends[task_id]:
            return succeeded(task_id)
        return {"id": task_id, "created_at": NOW, "started_at": NOW}


async def wait_for(
    transport: httpx.AsyncBaseTransport,
    *task_ids: str,
    wait_seconds: int = 50,
    **changes: Any,
) -> CallToolResult:
    """Wait for one task, or for several in a batch."""
    tool, arguments = "retrieve_task", {"task_id": task_ids[0], "wait_seconds": wait_seconds}
    if len(task_ids) > 1:
        tool = "retrieve_tasks_batch"
        arguments = {"task_ids": list(task_ids), "wait_seconds": wait_seconds}
    return await call(tool, arguments, transport, now=unix_time, **changes)


@pytest.mark.parametrize("seconds", [0, 0.1, 2, 2.1, 9, 20.5, 29, 31, 44, 49.9])
async def test_a_task_is_reported_soon_after_its_end(seconds: float) -> None:
    api = TimedApi({"t": seconds})

    answer = data_of(await wait_for(api, "t"))

    assert answer["state"] == "succeeded"
    assert clock() - seconds <= (3 if seconds < 30 else 5)
    assert len(api.polls) <= math.ceil(4 + seconds / 4)


async def test_the_pace_holds_whenever_a_task_ends() -> None:
    # Every tenth of a second of the first minute, and now and then in the rest of an hour.
    for tenths in [*range(600), *range(600, 36_000, 1111)]:
        seconds = tenths / 10
        start, polls = clock(), 0

        async def fetch(
            task_ids: Sequence[str], /, *, within_seconds: float, collect: bool
        ) -> LookupResult:
            nonlocal polls
            assert collect is (polls > 0)
            assert within_seconds > 0
            polls += 1
            done = clock() - start >= seconds  # noqa: B023 - called within the same round
            record = read_record(succeeded("t") if done else {"id": "t"})
            assert record is not None
            return LookupResult(dict.fromkeys(task_ids, record), {})

        async def on_poll(waited_seconds: float, known: LookupResult) -> None:
            pass

        await poll(fetch, ["t"], wait_seconds=3600, on_poll=on_poll)

        assert clock() - start - seconds <= (3 if seconds < 30 else 5) + 1e-6
        assert polls <= math.ceil(4 + seconds / 4)


async def test_without_a_wait_there_is_one_poll() -> None:
    api = TimedApi({"t": 1})

    answer = data_of(await wait_for(api, "t", wait_seconds=0))

    assert answer["state"] == "processing"
    assert api.polls == [0]


async def test_the_first_polls_are_at_once_and_after_two_seconds() -> None:
    api = TimedApi({"t": FOREVER})

    await wait_for(api, "t")

    assert api.polls[:2] == [0, 2]
    pauses = [after - before for before, after in pairwise(api.polls)]
    assert pauses[:-1] == sorted(pauses[:-1])
    assert max(pauses) <= 5


@pytest.mark.parametrize("latency", [0, 0.3, 3])
@pytest.mark.parametrize("wait_seconds", [1, 2, 5, 30, 50])
async def test_running_out_of_time_is_a_normal_answer(wait_seconds: int, latency: float) -> None:
    api = TimedApi({"t": FOREVER}, latency=latency)

    result = await wait_for(api, "t", wait_seconds=wait_seconds)

    # A poll that could not end in time is not started.
    assert wait_seconds - latency - 0.5 <= clock() <= wait_seconds + 2
    if latency < wait_seconds + 1.5:
        answer = data_of(result)
        assert answer["state"] == "processing"
        assert 'call retrieve_task(task_id="t", wait_seconds=50)' in answer["next_step"]
    else:
        assert "Not answered within 2.5 s by" in error_of(result)


async def test_a_task_that_ends_just_before_the_time_is_up_is_reported() -> None:
    answer = data_of(await wait_for(TimedApi({"t": 49.9}), "t"))

    assert answer["state"] == "succeeded"
    assert clock() == 50


@pytest.mark.parametrize(
    ("task_id", "state"), [("gone", "not_found"), (DOCUMENTED_TASK_ID, "succeeded")]
)
async def test_a_task_that_does_not_run_is_not_waited_for(task_id: str, state: str) -> None:
    answer = data_of(await wait_for(TimedApi({DOCUMENTED_TASK_ID: 0}), task_id))

    assert answer["state"] == state
    assert clock() == 0


async def test_an_unknown_state_is_not_waited_for() -> None:
    odd = httpx.Response(200, json={"id": "t", "status": "odd"})

    answer = data_of(await wait_for(TimedApi({}, faults={0: odd}), "t"))

    assert answer["state"] == "unknown"
    assert clock() == 0


async def test_a_batch_is_answered_when_the_last_of_its_tasks_is_final() -> None:
    api = TimedApi({"a": 7, "b": 21, "c": 0})

    answer = data_of(await wait_for(api, "a", "gone", "b", "c"))

    assert answer["counts"] == {"succeeded": 3, "not_found": 1}
    assert [task["task_id"] for task in answer["tasks"]] == ["a", "gone", "b", "c"]
    assert answer["final"] is True
    assert clock() == 23


async def test_each_poll_of_a_batch_is_one_request_for_what_is_not_final() -> None:
    api = TimedApi({"a": 7, "b": 21, "c": 0})

    await wait_for(api, "a", "b", "c")

    requested = [payload.get("ids") or [payload["id"]] for payload in api.payloads]
    assert requested == [["a", "b", "c"], ["a", "b"], ["a", "b"], ["a", "b"], *[["b"]] * 5]
    assert len(set(api.polls)) == len(api.polls)


async def test_a_batch_that_still_runs_is_answered_as_it_is() -> None:
    answer = data_of(await wait_for(TimedApi({"a": 7, "b": FOREVER}), "a", "b", wait_seconds=10))

    assert answer["counts"] == {"succeeded": 1, "processing": 1}
    assert answer["next_step"].startswith("1 of 2 not final ")
    assert ': call retrieve_tasks_batch(task_ids=["b"], wait_seconds=50), ' in answer["next_step"]
    assert clock() == 10


async def test_a_sandbox_task_is_polled_to_its_end() -> None:
    transport = httpx.ASGITransport(create_sandbox(now=unix_time))

    answer = data_of(await wait_for(transport, RUNNING_TASK_ID, **IN_SANDBOX))

    assert answer["state"] == "succeeded"
    assert SANDBOX_ENDS_AFTER_SECONDS <= clock() <= 50


async def test_a_batch_in_the_sandbox_is_polled_to_its_end() -> None:
    transport = httpx.ASGITransport(create_sandbox(now=unix_time))

    answer = data_of(
        await wait_for(transport, RUNNING_TASK_ID, FAILED_TASK_ID, "gone", **IN_SANDBOX)
    )

    assert answer["counts"] == {"succeeded": 1, "failed": 1, "not_found": 1}
    assert answer["final"] is True


# Progress


class Progress:
    """Collects what is reported, with the second at which it was received."""

    def __init__(self) -> None:
        self.reports: list[tuple[float, float | None, str | None]] = []
        self.seconds: list[float] = []

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.seconds.append(clock())
        self.reports.append((progress, total, message))


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_every_poll_is_reported_and_nothing_after_the_answer(mode: str) -> None:
    api, progress = TimedApi({"t": 7}), Progress()
    server = create_server(settings(), transport=HailuoAlone(api), now=unix_time)

    async with Client(server, mode=mode) as client:
        await client.call_tool(
            "retrieve_task", {"task_id": "t", "wait_seconds": 20}, progress_callback=progress
        )
        await asyncio.sleep(100)

    assert progress.reports == [
        (0, None, "processing, 0 s; usually 1-2 min"),
        (2, None, "processing, 2 s; usually 1-2 min"),
        (5, None, "processing, 5 s; usually 1-2 min"),
        (8, None, "succeeded"),
    ]
    assert progress.seconds == api.polls == [0, 2, 5, 8]


async def test_progress_only_grows_to_the_length_of_the_wait_and_has_no_total() -> None:
    api, progress = TimedApi({"a": 9, "b": FOREVER}, latency=1.3), Progress()

    async with Client(
        create_server(settings(), transport=HailuoAlone(api), now=unix_time)
    ) as client:
        await client.call_tool(
            "retrieve_tasks_batch",
            {"task_ids": ["a", "b"], "wait_seconds": 17},
            progress_callback=progress,
        )

    values = [progress for progress, _, _ in progress.reports]
    assert values == sorted(set(values))
    assert values[-1] == 17
    assert {total for _, total, _ in progress.reports} == {None}
    assert {message for _, _, message in progress.reports} == {"0 of 2 final", "1 of 2 final"}


async def test_a_fault_is_reported_as_long_as_it_lasts() -> None:
    down = httpx.Response(503, json={"error": {"code": "api_error", "message": "down" * 100}})
    api, progress = TimedApi({"t": 9}, faults={1: down, 4: None}), Progress()

    async with Client(
        create_server(settings(), transport=HailuoAlone(api), now=unix_time)
    ) as client:
        await client.call_tool(
            "retrieve_task", {"task_id": "t", "wait_seconds": 20}, progress_callback=progress
        )

    messages = [message or "" for _, _, message in progress.reports]
    assert messages[1].startswith("The API failed (HTTP 503, api_error")
    assert max(map(len, messages)) <= 80


async def test_a_task_that_could_not_be_fetched_is_not_reported_as_final() -> None:
    page = httpx.Response(200, json={"items": [succeeded("a")], "count": 2})
    progress = Progress()

    class HalfDownApi(TimedApi):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            known = "a" in json.loads(request.content).get("ids", [])
            return httpx.Response(page.status_code, content=page.content) if known else DOWN

    async with Client(create_server(settings(), transport=HailuoAlone(HalfDownApi({})))) as client:
        await client.call_tool(
            "retrieve_tasks_batch",
            {"task_ids": ["a", "b"], "wait_seconds": 1},
            progress_callback=progress,
        )

    assert progress.reports[0][2] == "1 of 2 final"


class VerboseApi(httpx.AsyncBaseTransport):
    """Returns each response, the last one for ever, with nearly a megabyte that it alone holds."""

    def __init__(self, *responses: httpx.Response) -> None:
        self.responses = list(responses)

    async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        return httpx.Response(response.status_code, content=response.content + b" " * 900_000)


@pytest.mark.parametrize("task_ids", [["t"], ["t", "u"]])
@pytest.mark.parametrize("wait_seconds", [0, 4])
@pytest.mark.parametrize(
    "responses",
    [
        [TOKEN_REJECTED],
        [DOWN],
        # And where what is known is returned all the same.
        [httpx.Response(200, json={"id": "t", "items": [{"id": "t"}, {"id": "u"}]}), DOWN],
        [httpx.Response(200, json={"id": "t", "items": [succeeded("t")]}), DOWN],
    ],
)
async def test_no_response_body_is_kept_once_the_call_has_ended(
    responses: list[httpx.Response], wait_seconds: int, task_ids: list[str]
) -> None:
    # Once before, because what is loaded and compiled at first is kept.
    await wait_for(VerboseApi(*responses), *task_ids, wait_seconds=wait_seconds)
    api = VerboseApi(*responses)
    # An error in a reference cycle would keep a response until the next garbage collection.
    gc.disable()
    tracemalloc.start()
    try:
        await wait_for(api, *task_ids, wait_seconds=wait_seconds)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()

    assert kept < 600_000


async def test_without_a_wait_nothing_is_reported() -> None:
    progress = Progress()

    async with Client(
        create_server(settings(), transport=HailuoAlone(TimedApi({"t": 9})))
    ) as client:
        await client.call_tool("retrieve_task", {"task_id": "t"}, progress_callback=progress)

    assert progress.reports == []


# Side by side


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_cancelled_call_stops_polling_at_once(mode: str) -> None:
    api = TimedApi({"t": FOREVER})

    async with Client(
        create_server(settings(), transport=HailuoAlone(api), now=unix_time), mode=mode
    ) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(6):
                await client.call_tool("retrieve_task", {"task_id": "t", "wait_seconds": 50})
        await asyncio.sleep(100)

    assert api.polls == [0, 2, 5]


async def test_waits_and_plain_calls_run_side_by_side() -> None:
    api = TimedApi({"a": 10, "b": 30, "c": FOREVER})
    ended: dict[str, float] = {}

    async with Client(
        create_server(settings(), transport=HailuoAlone(api), now=unix_time)
    ) as client:

        async def retrieve(name: str, task_id: str, wait_seconds: int) -> str:
            arguments = {"task_id": task_id, "wait_seconds": wait_seconds}
            answer = data_of(await client.call_tool("retrieve_task", arguments))
            ended[name] = clock()
            state: str = answer["state"]
            return state

        states = await asyncio.gather(
            retrieve("wait a", "a", 50),
            retrieve("wait b", "b", 50),
            retrieve("wait c", "c", 40),
            retrieve("c", "c", 0),
        )

    assert list(states) == ["succeeded", "succeeded", "processing", "processing"]
    assert ended == {"c": 0, "wait a": 11, "wait b": 32, "wait c": 40}


# Faults


@pytest.mark.parametrize(
    "fault",
    [
        DOWN,
        httpx.Response(429),
        httpx.Response(200, content=b"null"),
        httpx.Response(200, json={"id": "another"}),
        httpx.ConnectError("no route"),
        httpx.ReadTimeout(""),
        httpx.ProxyError("503 Service Unavailable"),
    ],
)
async def test_a_transient_fault_does_not_end_a_wait(fault: ScriptedResponse) -> None:
    api = TimedApi({"t": 20}, faults={1: fault, 15: None})

    answer = data_of(await wait_for(api, "t"))

    assert answer["state"] == "succeeded"
    assert clock() <= 30
    # An API that fails is polled less often.
    assert len([second for second in api.polls if 1 <= second <= 15]) <= 6


async def test_a_wait_may_begin_with_a_transient_fault() -> None:
    answer = data_of(await wait_for(TimedApi({"t": 20}, faults={0: DOWN, 15: None}), "t"))

    assert answer["state"] == "succeeded"


async def test_a_fault_that_outlasts_the_wait_leaves_the_last_good_state() -> None:
    answer = data_of(await wait_for(TimedApi({"t": 20}, faults={1: DOWN}), "t"))

    assert answer["state"] == "processing"
    assert answer["next_step"] == (
        "Still running when last seen (usually 1-2 min; "
        "since then: The API failed (HTTP 503, api_error)): "
        'call retrieve_task(task_id="t", wait_seconds=50), '
        "which answers once it is final, or after 50 s as it is."
    )
    assert 49 <= clock() <= 52


async def test_an_api_that_stops_responding_leaves_the_last_good_state_in_time() -> None:
    class UnresponsiveApi(TimedApi):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if clock() > 1:
                await asyncio.Event().wait()
            return await super().handle_async_request(request)

    answer = data_of(await wait_for(UnresponsiveApi({"t": 20}), "t"))

    assert answer["state"] == "processing"
    assert "since then: No" in answer["next_step"]
    assert clock() <= 52


async def test_a_wait_in_which_nothing_was_learned_is_an_error() -> None:
    error = error_of(await wait_for(TimedApi({"t": 20}, faults={0: DOWN}), "t"))

    assert error == (
        "The API failed (HTTP 503, api_error). "
        "It was tried for 50 s, so asking again now will not help: tell the user."
    )
    assert 49 <= clock() <= 52


async def test_an_error_after_a_wait_says_the_same_of_a_batch() -> None:
    api = TimedApi({"a": 20, "b": 20}, faults={0: DOWN})

    assert "It was tried for 20 s, so asking again now will not help" in error_of(
        await wait_for(api, "a", "b", wait_seconds=20)
    )


async def test_an_error_without_a_wait_offers_one() -> None:
    error = error_of(await wait_for(TimedApi({}, faults={0: DOWN}), "t", wait_seconds=0))

    assert error == (
        "The API failed (HTTP 503, api_error). Ask again in about 30 seconds, or now with "
        "`wait_seconds`, which keeps trying. If it stays so, tell the user."
    )


@pytest.mark.parametrize("wait_seconds", [0, 20])
@pytest.mark.parametrize(
    "fault", [DOWN, TOKEN_REJECTED, httpx.Response(429), httpx.ConnectError("no route")]
)
async def test_no_error_says_of_a_task_that_was_not_read_that_it_goes_on(
    fault: ScriptedResponse, wait_seconds: int
) -> None:
    api = TimedApi({"t": 10}, faults={0: fault})

    error = error_of(await wait_for(api, "t", wait_seconds=wait_seconds))

    for word in ("running", "runs", "goes on", "go on", "continue", "unaffected"):
        assert word not in error


@pytest.mark.parametrize(
    "fault",
    [
        TOKEN_REJECTED,
        httpx.Response(403, json=ERRORS["403 used_up"]),
        httpx.Response(400, json={"error": {"code": "bad_request"}}),
        httpx.Response(404, json={"error": {"code": "no_api"}}),
    ],
)
async def test_a_lasting_fault_ends_a_wait_at_once(fault: httpx.Response) -> None:
    error = error_of(await wait_for(TimedApi({"t": 20}, faults={1: fault}), "t"))

    assert f"HTTP {fault.status_code}" in error
    assert clock() == 2


async def test_a_lasting_fault_leaves_what_is_final_in_a_batch() -> None:
    api = TimedApi({"a": 0, "b": 20}, faults={1: TOKEN_REJECTED})

    answer = data_of(await wait_for(api, "a", "b"))

    assert answer["counts"] == {"succeeded": 1, "processing": 1}
    assert (
        "), 1 as last seen (The API rejected the token (HTTP 401, invalid_token"
        in answer["next_step"]
    )
    assert "ACEDATACLOUD_API_TOKEN" in answer["next_step"]
    assert "call retrieve" not in answer["next_step"]
    assert clock() == 2


async def test_a_lasting_fault_is_an_error_when_nothing_in_a_batch_is_final() -> None:
    api = TimedApi({"a": 10, "b": 20}, faults={1: TOKEN_REJECTED})

    assert "HTTP 401" in error_of(await wait_for(api, "a", "b"))


async def test_a_transient_fault_leaves_what_is_known_of_a_batch() -> None:
    api = TimedApi({"a": 0, "b": 20}, faults={1: DOWN})

    answer = data_of(await wait_for(api, "a", "b"))

    assert answer["counts"] == {"succeeded": 1, "processing": 1}
    assert (
        "), 1 as last seen (The API failed (HTTP 503, api_error)): "
        'call retrieve_tasks_batch(task_ids=["b"], wait_seconds=50), '
    ) in answer["next_step"]
    assert 49 <= clock() <= 52


@pytest.mark.parametrize(("retry_after", "next_poll"), [(20, 22), (60, None)])
async def test_a_wait_obeys_retry_after(retry_after: int, next_poll: float | None) -> None:
    busy = httpx.Response(429, headers={"retry-after": str(retry_after)})
    api = TimedApi({"t": 10}, faults={1: busy, 15: None})

    answer = data_of(await wait_for(api, "t"))

    assert api.polls == [0, 2] + ([] if next_poll is None else [next_poll])
    assert answer["state"] == ("processing" if next_poll is None else "succeeded")
    assert clock() == (next_poll or 50)


async def test_retry_after_is_reported_as_of_now() -> None:
    busy = httpx.Response(429, headers={"retry-after": "100"})

    known = data_of(await wait_for(TimedApi({"t": 10}, faults={1: busy}), "t"))
    nothing_known = error_of(await wait_for(TimedApi({"t": 10}, faults={0: busy}), "t"))

    # Two seconds of the first wait had passed when it was received, and none of the second.
    assert known["next_step"].endswith(
        'call retrieve_task(task_id="t", wait_seconds=50) in 52 seconds, not before.'
    )
    assert "Ask again in 50 seconds, not before" in nothing_known


async def test_a_batch_reports_retry_after() -> None:
    busy = httpx.Response(429, headers={"retry-after": "3600"})
    api = TimedApi({"a": 0, "b": FOREVER}, faults={1: busy})

    answer = data_of(await wait_for(api, "a", "b"))

    assert answer["next_step"].endswith(
        'call retrieve_tasks_batch(task_ids=["b"], wait_seconds=50) in 60 minutes, not before.'
    )


@pytest.mark.parametrize(
    ("fault", "begins", "ends"),
    [
        (httpx.ReadTimeout("hung"), 19, 22),
        (httpx.Response(503, headers={"retry-after": "10"}), 8, 29),
        (httpx.Response(503, headers={"retry-after": "10"}), 14, 29),
    ],
)
async def test_a_poll_that_took_long_because_of_a_fault_does_not_end_the_wait(
    fault: ScriptedResponse, begins: float, ends: float
) -> None:
    class HangingApi(TimedApi):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if isinstance(fault, Exception) and begins <= clock() < ends:
                await asyncio.sleep(15)
            return await super().handle_async_request(request)

    api = HangingApi({"t": 40}, faults={begins: fault, ends: None})

    answer = data_of(await wait_for(api, "t"))

    assert answer["state"] == "succeeded"
    assert clock() <= 51.5


async def test_a_batch_with_one_unreadable_record_keeps_its_pace() -> None:
    class HoleyApi(TimedApi):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            self.polls.append(clock())
            return httpx.Response(200, json={"items": [self.record("a"), {"created_at": NOW}]})

    api = HoleyApi({"a": 6})
    answer = data_of(await wait_for(api, "a", "b", wait_seconds=9))

    assert answer["counts"] == {"succeeded": 1, "unknown": 1}
    assert {2.0, 5.0, 8.0} <= set(api.polls)


async def test_an_overdue_task_is_reported_with_the_fault_and_when_to_call_again() -> None:
    busy = httpx.Response(429, headers={"retry-after": "3600"})

    class OverdueApi(TimedApi):
        def record(self, task_id: str) -> Json:
            return {"id": task_id, "created_at": NOW - 1500, "started_at": NOW - 1500}

    answer = data_of(await wait_for(OverdueApi({}, faults={1: busy}), "t"))

    for words in (
        "since then: The API's rate limit is reached (HTTP 429)): ",
        ": overdue, at 25 minutes: ",
        'call retrieve_task(task_id="t", wait_seconds=50) in 60 minutes, not before.',
    ):
        assert words in answer["next_step"]


async def test_a_slow_but_healthy_api_is_not_reported_as_faulty() -> None:
    api = TimedApi({"t": FOREVER}, latency=2)

    answer = data_of(await wait_for(api, "t", wait_seconds=20))

    assert answer["next_step"].startswith("Still running after")
    assert all(after - before >= 2.5 for before, after in pairwise(api.polls))


async def test_the_pace_does_not_slow_down_with_latency() -> None:
    api = TimedApi({"t": FOREVER}, latency=0.3)

    await wait_for(api, "t", wait_seconds=50)

    assert [round(second, 6) for second in api.polls] == [
        *(0, 2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 37, 42, 47),
        50,
    ]


async def test_a_poll_that_hangs_does_not_take_up_a_long_wait() -> None:
    class OnceHangingApi(TimedApi):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if 1 < clock() < 40:
                await asyncio.Event().wait()
            return await super().handle_async_request(request)

    answer = data_of(
        await wait_for(OnceHangingApi({"t": 20}), "t", wait_seconds=600, max_wait_seconds=600)
    )

    assert answer["state"] == "succeeded"
    assert clock() <= 60


async def test_a_task_that_disappears_during_a_wait_is_not_found() -> None:
    class ForgettingApi(TimedApi):
        def record(self, task_id: str) -> Json:
            return {} if task_id == "a" and clock() > 4 else super().record(task_id)

    alone = data_of(await wait_for(ForgettingApi({"a": FOREVER}), "a"))
    batch = data_of(await wait_for(ForgettingApi({"a": 0, "b": clock() + 9}), "a", "b"))

    assert alone["state"] == "not_found"
    assert batch["counts"] == {"not_found": 1, "succeeded": 1}


async def test_a_defect_is_reported_by_its_name_in_a_batch_too() -> None:
    error = error_of(await wait_for(TimedApi({}, faults={0: KeyError("x")}), "a", "b"))

    assert error.startswith("hailuo-tasks-mcp itself failed (KeyError)")


# The argument


@pytest.mark.parametrize("given", [7, 7.0, "7"])
async def test_a_whole_number_of_seconds_is_accepted_in_the_forms_that_hosts_send(
    given: Any,
) -> None:
    data_of(await wait_for(TimedApi({"t": FOREVER}), "t", wait_seconds=given))

    assert clock() == 7


async def test_null_is_the_default() -> None:
    arguments = {"task_id": "t", "wait_seconds": None}

    data_of(await call("retrieve_task", arguments, TimedApi({"t": FOREVER})))

    assert clock() == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (51, "`wait_seconds` must be 0 to 50"),
        (-1, "`wait_seconds` must be 0 to 50"),
        (10**400, "`wait_seconds` must be"),
        (1.5, "`wait_seconds` must be a whole number"),
        (True, "`wait_seconds` must be a whole number"),
        ("soon", "`wait_seconds` must be a whole number"),
        ("9" * 5000, "`wait_seconds` must be a whole number"),
        ([5], "`wait_seconds` must be a whole number"),
    ],
)
@pytest.mark.parametrize("tool", ["retrieve_task", "retrieve_tasks_batch"])
async def test_an_invalid_wait_is_refused(tool: str, given: Any, words: str) -> None:
    api = TimedApi({"t": 0})
    ids = {"task_id": "t"} if tool == "retrieve_task" else {"task_ids": ["t"]}

    error = error_of(await call(tool, {**ids, "wait_seconds": given}, api))

    assert words in error
    assert "`wait_seconds`." in error
    assert api.polls == []


async def test_the_effective_maximum_wait_is_published_and_enforced() -> None:
    longest = settings(max_wait_seconds=120)
    api = TimedApi({"t": FOREVER})

    async with Client(create_server(longest, transport=HailuoAlone(api), now=unix_time)) as client:
        tools = (await client.list_tools()).tools
        answer = data_of(
            await client.call_tool("retrieve_task", {"task_id": "t", "wait_seconds": 120})
        )
        waited = clock()
        refused = await client.call_tool("retrieve_task", {"task_id": "t", "wait_seconds": 121})

    properties = [tool.input_schema["properties"] for tool in tools]
    waits = [each["wait_seconds"] for each in properties if "wait_seconds" in each]
    assert [wait["maximum"] for wait in waits] == [120, 120]
    assert waited == 120
    assert "wait_seconds=120" in answer["next_step"]
    assert "must be 0 to 120" in error_of(refused)


@pytest.mark.parametrize(
    ("busy_until", "answered_at"), [(50.2, 51.5), (50.9, 50.9), (51.4, 51.4), (53.0, 53.0)]
)
async def test_a_busy_moment_makes_an_answer_no_later_than_it_lasts(
    busy_until: float, answered_at: float
) -> None:
    api = TimedApi({"t": FOREVER})
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedTimeLoop)

    def be_busy() -> None:
        loop.advance(busy_until - clock())
        # No longer answers.
        api.latency = 10_000

    loop.call_at(49, be_busy)

    answer = data_of(await wait_for(api, "t"))

    assert answer["state"] == "processing"
    assert clock() == pytest.approx(answered_at)
