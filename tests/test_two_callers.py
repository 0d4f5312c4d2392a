"""Two callers of one server with tokens of their own: nothing of one reaches the other."""

import asyncio
import json
import logging
import random
from typing import Any, NamedTuple

import httpx
import pytest
from mcp import Client
from mcp_types import CallToolResult

from hailuo_tasks_mcp.callers import Caller
from hailuo_tasks_mcp.logs import RedactingFormatter
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.server import create_server
from helpers import NOW, clock, settings, succeeded, task_ids
from test_observer import Notes
from two_services import TwoServices, h3, running

CALLS = 200
CALLS_AT_ONCE = 20
# Which look-ups of the same moment go out together depends on rounding. The shortest rate limit of
# the first caller lasts 3 s.
TOLERANCE_SECONDS = 0.7
FIRST, SECOND = "first-callers-token", "second-callers-token"
# In all that the platform says to one of them.
OF_FIRST, OF_SECOND = "https://of-first.test", "https://of-second.test"
# The same ids for both.
IDS = task_ids(30)
RUNNING_IDS = IDS[-5:]


class ByToken(httpx.AsyncBaseTransport):
    """Has a stand-in for each token, and logs what it is sent as a library might."""

    def __init__(self, **stand_ins: TwoServices) -> None:
        self.stand_ins = stand_ins

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        authorization = request.headers["authorization"]
        logging.getLogger("library").warning("%s %s", authorization, request.content)
        return await self.stand_ins[authorization.removeprefix("Bearer ")].handle_async_request(
            request
        )


def stand_ins() -> dict[str, TwoServices]:
    """Return what the platform says to each caller: of the same ids, and nothing that is alike.

    The first caller's tasks are Hailuo's, the second's MiniMax H3's.
    """
    hailuo = {task_id: succeeded(task_id) for task_id in IDS}
    minimax = {task_id: h3(task_id) for task_id in IDS}
    for task_id in RUNNING_IDS:
        hailuo[task_id] = running(task_id)
        minimax[task_id] = h3(task_id, "running")
    first = TwoServices(hailuo=json.loads(json.dumps(hailuo).replace("https://", f"{OF_FIRST}/")))
    second = TwoServices(
        minimax=json.loads(json.dumps(minimax).replace("https://", f"{OF_SECOND}/"))
    )
    # Different, so that answers to one caller come between those to the other.
    for stand_in, latency_seconds in ((first, 0.17), (second, 0.23)):
        for service in stand_in.services.values():
            service.latency_seconds = latency_seconds
    return {FIRST: first, SECOND: second}


def fault(kind: int, number: int) -> httpx.Response | Exception | None:
    """Return a fault of the first caller, whose words are not to be seen by the second."""
    words = f"{OF_FIRST} {FIRST} fault-{number}"
    error = {
        "error": {"code": "api_error", "message": words},
        "trace_id": f"of-first.test-{number}",
    }
    return [
        None,
        httpx.Response(429, json=error, headers={"retry-after": "3"}),
        httpx.Response(429, json=error, headers={"retry-after": "40"}),
        httpx.Response(500, json=error),
        httpx.Response(401, json=error),
        httpx.ReadError(words),
        httpx.ConnectError(words),
    ][kind]


class Call(NamedTuple):
    """One call of a caller, and what came of it."""

    number: int
    result: CallToolResult
    ended_at: float


class Run(NamedTuple):
    """What all calls of some callers came to."""

    calls: dict[str, list[Call]]
    notes: Notes
    lines: list[str]
    faults: list[str]


async def run(seed: int, *callers: str) -> Run:
    """Have callers make their calls at once, the first with faults that follow from the seed."""
    choice = random.Random(seed)  # noqa: S311 - nothing secret depends on it
    platform, redactor, notes = stand_ins(), Redactor(), Notes()
    faults, lines = list[str](), list[str]()

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    def first_fault(_: object) -> httpx.Response | Exception | None:
        found = fault(choice.choice([0, choice.randrange(7)]), len(faults))
        if found is not None:
            faults.append(
                str(found.status_code)
                if isinstance(found, httpx.Response)
                else type(found).__name__
            )
        return found

    for service in platform[FIRST].services.values():
        service.fault = first_fault

    def caller_of(request: Any) -> Caller:
        token = (request.meta or {}).get("test/caller", "nobodys-token")
        return Caller(token, token[:6])

    server = create_server(
        settings(api_token=None),
        transport=ByToken(**platform),
        redactor=redactor,
        caller_of=caller_of,
        observer=notes,
        now=lambda: NOW,
    )

    async def call(client: Client, token: str, number: int, arguments: Any) -> Call:
        meta: Any = {"test/caller": token}
        tool = "retrieve_task" if "task_id" in arguments else "retrieve_tasks_batch"
        await asyncio.sleep(number // CALLS_AT_ONCE)
        result = await client.call_tool(tool, arguments, meta=meta)
        return Call(number, result, clock() - began)

    handler = Lines(logging.DEBUG)
    handler.setFormatter(RedactingFormatter(redactor))
    logging.root.addHandler(handler)
    try:
        async with Client(server) as client:
            began = clock()
            calls = {
                token: [
                    call(client, token, number, arguments_of(number)) for number in range(CALLS)
                ]
                for token in callers
            }
            # One of each in turn.
            turns = [each for turn in zip(*calls.values(), strict=True) for each in turn]
            done = await asyncio.gather(*turns)
            ended = {
                token: list(done[place :: len(callers)]) for place, token in enumerate(callers)
            }
            await remembered_apart(client, platform, callers)
    finally:
        logging.root.removeHandler(handler)
    return Run(ended, notes, lines, faults)


def arguments_of(number: int) -> dict[str, Any]:
    wait_seconds = 10 if number % 3 == 0 else 0
    if number % 4:
        return {"task_id": IDS[number % len(IDS)], "wait_seconds": wait_seconds}
    first = number % (len(IDS) - 5)
    return {"task_ids": IDS[first : first + 5], "wait_seconds": wait_seconds}


async def remembered_apart(
    client: Client, platform: dict[str, TwoServices], callers: tuple[str, ...]
) -> None:
    """Assert that each caller's next look goes to the service that knew the task for them."""
    for service in platform[FIRST].services.values():
        service.fault = lambda _: None
    # The longest rate limit is over.
    await asyncio.sleep(100)
    for token in callers:
        meta: Any = {"test/caller": token}
        arguments = {"task_id": IDS[0]}
        await client.call_tool("retrieve_task", arguments, meta=meta)
        before = len(platform[token].sent)
        await client.call_tool("retrieve_task", arguments, meta=meta)
        home = "hailuo" if token == FIRST else "minimax"
        assert platform[token].sent[before:] == [(home, [IDS[0]])]


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_of_one_caller_reaches_another_whatever_faults_one_has(seed: int) -> None:
    both = await run(seed, FIRST, SECOND)
    alone = await run(seed, SECOND)

    assert len(both.faults) > 5
    assert any(call.result.is_error for call in both.calls[FIRST])
    for token, own, others in ((FIRST, "of-first", "of-second"), (SECOND, "of-second", "of-first")):
        told = "".join(call.result.model_dump_json() for call in both.calls[token])
        assert len(both.calls[token]) == CALLS
        assert own in told
        assert others not in told
        assert FIRST not in told
        assert SECOND not in told
    # To the second, the first might as well not be there.
    assert [call.result for call in both.calls[SECOND]] == [
        call.result for call in alone.calls[SECOND]
    ]
    assert [call.ended_at for call in both.calls[SECOND]] == pytest.approx(
        [call.ended_at for call in alone.calls[SECOND]], rel=0, abs=TOLERANCE_SECONDS
    )

    log = "\n".join(both.lines)
    assert log.count("Bearer [token]") > CALLS / 10
    events = repr(both.notes.calls + both.notes.answers)
    for text in (FIRST, SECOND, "of-first", "of-second"):
        assert text not in log
        assert text not in events
    statuses = [status for _, status in both.notes.answers]
    assert sorted(status for status in statuses if status != "200") == sorted(both.faults)
    assert [outcome for _, outcome, _ in both.notes.calls].count("ok") >= CALLS + 4
