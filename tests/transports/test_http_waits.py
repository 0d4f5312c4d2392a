"""Calls over HTTP that wait: how many may, clients that go away, and a server that is stopped."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.tasks.waits import Waits
from hailuo_tasks_mcp.transports.streamable_http.app import HttpApp
from helpers import Json, clock
from http_app import (
    VERSIONS,
    call_of,
    client_of,
    error_message_of,
    post,
    result_of,
    running_app,
)
from stdio_process import MODERN_VERSION
from two_services import TwoServices


def running(count: int = 1) -> TwoServices:
    """Return an API at which the tasks t-0, t-1 and so on run for ever."""
    api = TwoServices()
    api.know("hailuo", *(f"t-{number}" for number in range(count)), created_at=1, started_at=1)
    return api


class Connection:
    """A client's connection: sends one request, and can go away."""

    def __init__(
        self,
        request: tuple[Json, dict[str, str]],
        *,
        body: bytes | None = None,
        reads: bool = True,
    ) -> None:
        content, headers = request
        self.reads = reads
        self.body = json.dumps(content).encode() if body is None else body
        self.is_whole = body is None
        self.gone, self.rest = asyncio.Event(), asyncio.Event()
        self.is_sent = False
        self.received: list[Any] = []
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/mcp",
            "query_string": b"",
            "headers": [
                (name.encode(), value.encode())
                for name, value in {"host": "localhost", **headers}.items()
            ],
        }

    async def receive(self) -> Json:
        if self.is_sent:
            await first_of(self.gone, self.rest)
        if self.is_sent:
            return {"type": "http.disconnect"}
        self.is_sent = True
        return {"type": "http.request", "body": self.body, "more_body": not self.is_whole}

    async def send(self, message: Any) -> None:
        if not self.reads:
            await self.gone.wait()
        self.received.append(message)

    async def serve(self, app: HttpApp) -> None:
        await app(self.scope, self.receive, self.send)


async def first_of(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


# How many


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("counts", "error"),
    [
        ([51], "50 calls of this caller wait, as many as may. Ask without `wait_seconds` or"),
        ([50, 11], "As many calls wait here as may. Ask without `wait_seconds`"),
    ],
)
async def test_each_caller_and_all_of_them_may_have_so_many_waits(
    counts: list[int], error: str, version: str
) -> None:
    waits = Waits(max_of_caller=50, max_of_all=60)
    async with running_app(running(51), waits=waits) as app:
        responses = await asyncio.gather(
            *(
                post(app, call_of(version, f"t-{number}", 30), authorization=f"Bearer of-{caller}")
                for caller, count in enumerate(counts)
                for number in range(count)
            )
        )

    results = [result_of(response) for response in responses]
    (refused,) = [each["content"][0]["text"] for each in results if each["isError"]]
    assert refused.startswith(error)
    assert clock() == 30
    assert waits.under_way == 0


# Clients that go away


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_that_goes_away_ends_its_wait_at_once(version: str) -> None:
    api, waits = running(), Waits()
    async with running_app(api, waits=waits) as app:
        connection = Connection(call_of(version, "t-0", 50))
        serving = asyncio.create_task(connection.serve(app))
        await asyncio.sleep(7.2)
        assert waits.under_way == 1
        connection.gone.set()
        await asyncio.wait_for(serving, 1)

        assert clock() == 7.2
        await asyncio.sleep(0)
        assert waits.under_way == 0
        sent = len(api.sent)
        await asyncio.sleep(60)

    assert len(api.sent) == sent


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_request_to_the_api_ends_with_the_client_that_wanted_it(version: str) -> None:
    api = running()
    api.services["hailuo"].hangs = api.services["minimax"].hangs = True
    async with running_app(api) as app:
        connection = Connection(call_of(version, "t-0"))
        serving = asyncio.create_task(connection.serve(app))
        await asyncio.sleep(0.5)
        assert api.in_flight == 1
        connection.gone.set()
        await asyncio.wait_for(serving, 1)
        await asyncio.sleep(0.1)

        assert api.in_flight == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_that_goes_away_in_the_middle_of_its_body_leaves_nothing(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with running_app(running()) as app:
        connection = Connection(call_of(version, "t-0"), body=b'{"jsonrpc"')
        connection.gone.set()
        await connection.serve(app)
        # No request is left in flight.
        await app.drain(within_seconds=9)

        assert clock() == 0
    assert [each.levelname for each in caplog.records if each.levelname != "INFO"] == []
    assert "/mcp post" in caplog.text


# A server that is stopped


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_drain_answers_every_wait_at_once_with_what_to_do_next(version: str) -> None:
    api, waits = running(20), Waits()
    async with running_app(api, waits=waits) as app:
        calls = [
            asyncio.create_task(post(app, call_of(version, f"t-{number}", 50)))
            for number in range(20)
        ]
        await asyncio.sleep(9.5)
        await app.drain(within_seconds=1.4)
        drained_at = clock()
        responses = await asyncio.gather(*calls)

    assert drained_at == 9.5
    for number, response in enumerate(responses):
        answer = result_of(response)["structuredContent"]
        assert answer["state"] == "processing"
        assert f'retrieve_task(task_id="t-{number}", wait_seconds=50)' in answer["next_step"]


async def test_a_drain_without_requests_ends_at_once_and_another_one_too() -> None:
    async with running_app(running()) as app:
        await app.drain(within_seconds=1.4)
        await app.drain(within_seconds=1.4)

        assert clock() == 0


async def test_a_drain_does_not_wait_for_ever_for_a_client_that_does_not_read() -> None:
    async with running_app(running()) as app:
        connection = Connection(call_of(MODERN_VERSION, "t-0"), reads=False)
        serving = asyncio.create_task(connection.serve(app))
        await asyncio.sleep(1)
        await app.drain(within_seconds=1.4)

        assert clock() == 2.4
        connection.gone.set()
        await serving


async def test_a_drain_does_not_wait_for_the_rest_of_a_request() -> None:
    api = running()
    request = call_of(MODERN_VERSION, "t-0")
    async with running_app(api) as app:
        connection = Connection(request, body=json.dumps(request[0]).encode()[:-1])
        serving = asyncio.create_task(connection.serve(app))
        await asyncio.sleep(1)
        await app.drain(within_seconds=1.4)
        assert clock() == 1
        # Its rest comes after all.
        connection.body, connection.is_whole, connection.is_sent = b"}", True, False
        connection.rest.set()
        await serving

    assert connection.received[0]["status"] == 503
    assert api.sent == []


async def test_a_server_that_drains_turns_new_requests_away() -> None:
    api = running()
    async with running_app(api) as app, client_of(app) as client:
        await app.drain(within_seconds=1)
        refused = await post(app, call_of(MODERN_VERSION, "t-0"))
        unknown = await post(app, call_of(MODERN_VERSION, "t-0"), authorization="")
        ready, alive = await client.get("/readyz"), await client.get("/livez")

    assert (refused.status_code, unknown.status_code) == (503, 503)
    assert error_message_of(refused) == "This server is being stopped. Try again."
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["connection"] == "close"
    assert (ready.status_code, ready.text) == (503, "stopping\n")
    assert alive.status_code == 200
    assert api.sent == []


async def test_a_fault_of_this_server_is_not_hidden() -> None:
    async def fail() -> Json:
        raise httpx.ReadError("a defect")

    async with running_app(running()) as app:
        connection = Connection(call_of(MODERN_VERSION, "t-0"))
        with pytest.raises(httpx.ReadError):
            await app(connection.scope, fail, connection.send)
