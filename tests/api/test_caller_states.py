"""What is kept of callers between their calls: bounded, and none of their tokens."""

import asyncio
import gc
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
from mcp import Client

from hailuo_tasks_mcp.api.caller_states import CallerStates
from hailuo_tasks_mcp.api.client import Api
from hailuo_tasks_mcp.api.http import HttpPool
from hailuo_tasks_mcp.api.sender import Sender
from hailuo_tasks_mcp.api.services import HAILUO
from hailuo_tasks_mcp.callers import Caller
from hailuo_tasks_mcp.observer import Observer
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.server import create_server
from helpers import settings
from two_services import TwoServices, hailuo_tasks

MARK = "token-of-caller-"
MARKED = re.compile(rf"(?:{MARK}|{MARK.encode().hex()})\d+")


def texts_in_memory() -> Iterator[str]:
    """Yield every text that anything in this process refers to."""
    gc.collect()
    seen, left = set[int](), [gc.get_objects()]
    while left:
        for each in left.pop():
            if isinstance(each, str):
                yield each
            elif isinstance(each, bytes | bytearray):
                yield each.decode("latin-1")
            elif id(each) not in seen:
                seen.add(id(each))
                left.append(gc.get_referents(each))


def tokens_in_memory() -> set[str]:
    return {found for text in texts_in_memory() for found in MARKED.findall(text)}


class EchoingApi(httpx.AsyncBaseTransport):
    """Sends the token back in records, errors and faults, and keeps nothing itself."""

    def __init__(self) -> None:
        self.requests = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        number = self.requests
        await self.go_on.wait()
        echo = request.headers["authorization"]
        error = {"error": {"code": echo, "message": echo}, "trace_id": echo}
        if number % 7 == 0:
            raise httpx.ConnectError(echo)
        if number % 7 == 1:
            raise httpx.ProxyError(echo)
        if number % 7 == 2:
            # Longer than it is waited for, so it is kept.
            return httpx.Response(429, json=error, headers={"retry-after": "50", "x-echo": echo})
        if number % 7 in {3, 4}:
            return httpx.Response(500 if number % 2 else 401, json=error)
        return httpx.Response(200, json={"id": "t", "request": {"prompt": echo}})


async def test_no_token_is_in_memory_once_its_callers_calls_have_ended() -> None:
    api = EchoingApi()

    def caller_of(request: object) -> Caller:
        number = (getattr(request, "meta", None) or {}).get("test/number", 0)
        return Caller(f"{MARK}{number}", str(number), (f"{MARK}{number}/secret",))

    server = create_server(settings(api_token=None), transport=api, caller_of=caller_of)
    async with Client(server) as client:

        async def call(number: int, wait_seconds: int = 0) -> None:
            meta: Any = {"test/number": number}
            arguments = {"task_id": "t", "wait_seconds": wait_seconds}
            await client.call_tool("retrieve_task", arguments, meta=meta)

        api.go_on.clear()
        under_way = [asyncio.create_task(call(number)) for number in (1, 2)]
        while api.requests < len(under_way):  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert {f"{MARK}1", f"{MARK}2"} <= tokens_in_memory()

        api.go_on.set()
        await asyncio.gather(*under_way, *(call(number) for number in range(3, 100)))
        api.go_on.clear()
        # Given up with requests in flight.
        given_up = [asyncio.create_task(call(number, 5)) for number in range(100, 110)]
        await asyncio.sleep(1)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        await asyncio.sleep(1)
        del under_way, given_up, task

        assert api.requests > 100
        assert tokens_in_memory() == set()


async def requests_for(platform: Api, api: TwoServices, token: str) -> int:
    """Return how many requests it takes to look up a task that Hailuo knows."""
    before = len(api.sent)
    with platform.client(token) as caller:
        await caller.look_up(["a"])
    return len(api.sent) - before


async def test_the_last_thousand_callers_are_remembered_and_all_that_have_a_call() -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"))

    async with Api(settings(), Redactor(), transport=api) as platform:
        assert await requests_for(platform, api, "caller-in-use") == 2
        with platform.client("caller-in-use"):
            for number in range(1_001):
                assert await requests_for(platform, api, f"caller-{number:04}") == 2

            assert await requests_for(platform, api, "caller-0001") == 1
            assert await requests_for(platform, api, "caller-1000") == 1
            assert await requests_for(platform, api, "caller-0000") == 2
            assert await requests_for(platform, api, "caller-in-use") == 1


def caller_states() -> CallerStates:
    pool = HttpPool(settings(), transport=TwoServices())
    return CallerStates(lambda: Sender(settings(), pool, Redactor(), Observer()))


async def test_ids_are_remembered_up_to_a_number_for_each_caller_and_for_all() -> None:
    states = caller_states()
    for number in range(11):
        with states.in_use(f"caller-{number}", ()) as state:
            for task in range(10_001):
                state.remember(f"task-{task}", HAILUO)
            assert len(state.services) == 10_000
            assert "task-0" not in state.services

    assert states.remembered_ids == 100_000
    # The one who called first was forgotten for the others.
    for number, remembered in ((1, 10_000), (10, 10_000), (0, 0)):
        with states.in_use(f"caller-{number}", ()) as state:
            assert len(state.services) == remembered


async def test_ids_are_bounded_where_every_caller_has_a_call_under_way() -> None:
    states = caller_states()
    with ExitStack() as calls:
        callers = [calls.enter_context(states.in_use(f"caller-{each}", ())) for each in range(12)]
        for task in range(10_000):
            for state in callers:
                state.remember(f"task-{task}", HAILUO)

        assert states.remembered_ids == sum(len(each.services) for each in callers) == 100_000
        # Each caller gives up its own.
        assert {len(each.services) for each in callers} <= {8_333, 8_334}
        assert all("task-9999" in each.services for each in callers)

    # Nothing is counted twice.
    with states.in_use("caller-0", ()) as state:
        state.remember("task-9999", HAILUO)
    assert states.remembered_ids == 100_000


async def test_closing_cancels_what_is_in_flight() -> None:
    ended = []

    class HangingApi(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(self)
            raise AssertionError

    async def look_up(platform: Api) -> None:
        with platform.client("caller-token") as caller:
            await caller.look_up_at(HAILUO, ["t"])

    async with Api(settings(), Redactor(), transport=HangingApi()) as platform:
        call = asyncio.create_task(look_up(platform))
        await asyncio.sleep(1)
        assert ended == []

    assert len(ended) == 1
    call.cancel()
    await asyncio.wait([call])
