"""What an observer is told: how calls end, what the platform answers, and of nobody."""

import asyncio
from typing import Any

import httpx
import pytest
from mcp import Client, MCPError

from hailuo_tasks_mcp.observer import Observer
from hailuo_tasks_mcp.server import create_server
from helpers import HailuoAlone, ScriptedApi, ScriptedResponse, settings, succeeded
from two_services import TwoServices, h3_tasks


class Notes(Observer):
    """Notes all that it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, float]] = []
        self.answers: list[tuple[str, str]] = []

    def call_ended(self, tool: str, outcome: str, seconds: float) -> None:
        self.calls.append((tool, outcome, seconds))

    def platform_answered(self, service: str, status: str) -> None:
        self.answers.append((service, status))


async def noted(
    transport: httpx.AsyncBaseTransport, arguments: dict[str, Any], **changes: Any
) -> Notes:
    """Return what is told of one call."""
    notes = Notes()
    server = create_server(settings(**changes), transport=transport, observer=notes)
    async with Client(server) as client:
        await client.call_tool("retrieve_task", arguments)
    return notes


async def test_an_observer_is_told_which_tool_was_called_and_how_long_it_took() -> None:
    api = TwoServices(minimax=h3_tasks("t"))
    api.services["minimax"].latency_seconds = 0.25

    notes = await noted(api, {"task_id": "t"})

    assert notes.calls == [("retrieve_task", "ok", 0.25)]
    assert notes.answers == [("minimax", "200")]


@pytest.mark.parametrize(
    ("response", "arguments", "changes", "outcome"),
    [
        (httpx.Response(401), {"task_id": "t"}, {}, "TokenRejectedError"),
        (httpx.Response(404), {"task_id": "t"}, {}, "WrongBaseUrlError"),
        (httpx.Response(200), {"task_id": "a/b"}, {}, "InvalidArgumentsError"),
        (httpx.Response(200), {"task_id": "t"}, {"api_token": None}, "TokenMissingError"),
        (KeyError("t"), {"task_id": "t"}, {}, "InternalError"),
    ],
)
async def test_an_observer_is_told_why_a_call_failed(
    response: ScriptedResponse, arguments: dict[str, Any], changes: dict[str, Any], outcome: str
) -> None:
    notes = await noted(HailuoAlone(ScriptedApi(response)), arguments, **changes)

    assert [call[:2] for call in notes.calls] == [("retrieve_task", outcome)]


@pytest.mark.parametrize(
    ("responses", "statuses"),
    [
        ([httpx.Response(503), httpx.Response(200, json=succeeded("t"))], ["503", "200"]),
        ([httpx.ConnectError("refused")], ["ConnectError"] * 3),
        ([httpx.ReadTimeout("late")], ["ReadTimeout"] * 3),
        ([httpx.ProxyError("no")], ["ProxyError"]),
        ([httpx.Response(200, content=b" " * 1_000_001)], ["ResponseTooLargeError"]),
    ],
)
async def test_an_observer_is_told_what_each_attempt_brought(
    responses: list[ScriptedResponse], statuses: list[str]
) -> None:
    notes = await noted(HailuoAlone(ScriptedApi(*responses)), {"task_id": "t"})

    assert [status for service, status in notes.answers if service == "hailuo"] == statuses


async def test_an_observer_is_not_told_of_requests_that_a_rate_limit_kept_from_being_sent() -> None:
    api = TwoServices()
    api.fail(httpx.Response(429, headers={"retry-after": "50"}))
    notes = Notes()
    async with Client(create_server(settings(), transport=api, observer=notes)) as client:
        for _ in range(3):
            await client.call_tool("retrieve_task", {"task_id": "t"})

    assert [outcome for _, outcome, _ in notes.calls] == ["RateLimitedError"] * 3
    assert len(notes.answers) == len(api.sent) < 3


async def test_an_observer_is_told_of_a_call_that_its_caller_gave_up() -> None:
    api = TwoServices()
    api.services["minimax"].hangs = api.services["hailuo"].hangs = True
    notes = Notes()
    async with Client(create_server(settings(), transport=api, observer=notes)) as client:
        call = asyncio.create_task(client.call_tool("retrieve_task", {"task_id": "t"}))
        await asyncio.sleep(0.5)
        call.cancel()
        await asyncio.wait([call])
        await asyncio.sleep(0.5)

        assert notes.calls == [("retrieve_task", "Cancelled", 0.5)]


async def test_an_observer_is_told_no_name_of_a_tool_that_a_caller_made_up() -> None:
    notes = Notes()
    async with Client(create_server(settings(), observer=notes)) as client:
        with pytest.raises(MCPError):
            await client.call_tool("made-up", {})

    assert notes.calls == []
