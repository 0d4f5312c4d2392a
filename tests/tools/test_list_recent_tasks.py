"""The tool `list_recent_tasks`, as a host calls it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp_types import CallToolResult

from hailuo_tasks_mcp.callers import Caller
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.sandbox.app import SANDBOX_ENVIRONMENT, create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import DOCUMENTED_H3_TASK_ID, SUCCEEDED_H3_TASK_ID
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.settings import read_settings
from helpers import TOKEN, ScriptedApi, data_of, error_of, settings, text_of
from listing_api import NOW, ListingApi, listed
from two_services import h3

Json = dict[str, Any]
HOUR = 3600


async def call(
    transport: httpx.AsyncBaseTransport,
    arguments: Json | None = None,
    *,
    now: Callable[[], float] = lambda: NOW,
    **changes: Any,
) -> CallToolResult:
    server = create_server(settings(**changes), transport=transport, now=now)
    async with Client(server) as client:
        return await client.call_tool("list_recent_tasks", arguments or {})


async def ids(api: ListingApi, **arguments: Any) -> list[str]:
    data = data_of(await call(api, arguments))
    return [task["task_id"] for task in data["tasks"]]


async def test_without_arguments_it_lists_twenty_tasks_of_a_day() -> None:
    api = ListingApi(listed(60, apart_seconds=HOUR))

    data = data_of(await call(api))

    assert [task["task_id"] for task in data["tasks"]] == [f"t{number}" for number in range(20)]
    # Of a day, without the last minute's rounding: the 24th is exactly a day old.
    assert data["more"] == 4
    assert api.payloads[0]["created_at_min"] == NOW - 24 * HOUR


async def test_a_lost_id_is_found_in_one_call_and_looked_up_by_the_next() -> None:
    transport = httpx.ASGITransport(create_sandbox())
    server = create_server(read_settings(SANDBOX_ENVIRONMENT), transport=transport)
    async with Client(server) as client:
        found = data_of(
            await client.call_tool("list_recent_tasks", {"hours": 2, "states": ["succeeded"]})
        )
        (task,) = found["tasks"]
        answer = data_of(await client.call_tool("retrieve_task", {"task_id": task["task_id"]}))

    assert task["task_id"] == SUCCEEDED_H3_TASK_ID
    assert answer["video_urls"] == [task["url"]]
    # It is of another year.
    assert DOCUMENTED_H3_TASK_ID not in str(found)


async def test_the_sentence_about_hailuo_is_said_once() -> None:
    text = text_of(await call(ListingApi(listed(30))))

    assert text.count("Hailuo") == 1


@pytest.mark.parametrize(
    "given",
    [
        ["failed", "succeeded"],
        ["failed", "failed", "succeeded"],
        [" Failed ", "SUCCEEDED"],
        ["failed,succeeded"],
        "failed succeeded",
        "failed, succeeded",
        '["failed", "succeeded"]',
        "failed；succeeded",
        "failed/succeeded",
    ],
)
async def test_states_are_taken_however_a_model_writes_them(given: Any) -> None:
    api = ListingApi(
        [*listed(1), *listed(3, status="running")[1:2], *listed(3, status="failed")[2:]]
    )

    assert await ids(api, states=given) == ["t0", "t2"]


@pytest.mark.parametrize("given", [None, [], "", "[]", [""]])
async def test_no_state_stands_for_all(given: Any) -> None:
    api = ListingApi([*listed(1), *listed(2, status="running")[1:]])

    assert await ids(api, states=given) == ["t0", "t1"]


@pytest.mark.parametrize(
    ("arguments", "since"),
    [
        ({"hours": None, "limit": None}, NOW - 24 * HOUR),
        ({"hours": "2"}, NOW - 2 * HOUR),
        ({"hours": 0.5}, NOW - 0.5 * HOUR),
        ({"hours": 168}, NOW - 168 * HOUR + 120),
        ({"limit": "3"}, NOW - 24 * HOUR),
    ],
)
async def test_numbers_are_taken_as_hosts_send_them(arguments: Json, since: float) -> None:
    api = ListingApi()

    data_of(await call(api, arguments))

    assert api.payloads[0]["created_at_min"] == since


ALLOWED = "may only hold pending, processing, succeeded, failed, unknown"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"hours": 0}, "`hours` must be more than 0 and at most 168"),
        ({"hours": -1}, "`hours` must be more than 0 and at most 168"),
        ({"hours": 168.5}, "`hours` must be more than 0 and at most 168"),
        ({"hours": "NaN"}, "`hours` must be more than 0 and at most 168"),
        ({"hours": "inf"}, "`hours` must be more than 0 and at most 168"),
        ({"hours": True}, "`hours` must be a number"),
        ({"hours": "a day"}, "`hours` must be a number"),
        ({"hours": [24]}, "`hours` must be a number"),
        ({"hours": 10**400}, "`hours` must be"),
        ({"limit": 0}, "`limit` must be 1 to 50"),
        ({"limit": 51}, "`limit` must be 1 to 50"),
        ({"limit": 2.5}, "`limit` must be a whole number"),
        ({"limit": False}, "`limit` must be a whole number"),
        ({"limit": 10**400}, "`limit` must be"),
        ({"states": ["done"]}, f"`states` {ALLOWED}"),
        ({"states": "not_found"}, f"`states` {ALLOWED}"),
        ({"states": ["failed", TOKEN]}, f"`states` {ALLOWED}"),
        ({"states": 7}, "`states` must be a list of strings"),
        ({"states": {"failed": True}}, "`states` must be a list of strings"),
        ({"states": ["failed", 7]}, "`states` item 2 must be a string"),
        ({"states": "failed " * 1_000_000}, "`states` is too long"),
        ({"states": ["failed"] * 100_000}, "`states` is too long"),
        ({"states": [None] * 1_000_000}, "`states` is too long"),
        ({"wait_seconds": 5}, "`wait_seconds` is not an argument of this tool"),
    ],
)
async def test_arguments_that_it_does_not_take_are_refused_and_nothing_is_sent(
    arguments: Json, problem: str
) -> None:
    api = ListingApi()

    error = error_of(await call(api, arguments))

    assert error.startswith(f"Nothing was listed: {problem}")
    assert error.endswith("list_recent_tasks takes `hours`, `states`, `limit`.")
    assert TOKEN not in error
    assert len(error) < 400
    assert api.payloads == []


async def test_a_fault_is_an_error_that_offers_no_wait() -> None:
    failed = httpx.Response(501, json={"error": {"code": "api_error", "message": "Down."}})

    error = error_of(await call(ScriptedApi(failed)))

    assert error == (
        'The API failed (HTTP 501, api_error: "Down."). Ask again in about 30 seconds. If it stays '
        "so, tell the user."
    )


async def test_a_fault_of_a_later_page_is_told_beside_what_came() -> None:
    failed = httpx.Response(401, json={"error": {"code": "invalid_token", "message": TOKEN}})
    api = ListingApi(
        listed(40), max_limit=None, fault=lambda number: failed if number == 2 else None
    )

    data = data_of(await call(api))

    assert len(data["tasks"]) == 12
    assert data["more"] == 28
    assert data["next_step"].startswith("At least 28 more: not all could be fetched (The API rej")
    assert TOKEN not in str(data)


async def test_a_remote_caller_learns_nothing_of_this_machine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failed = httpx.Response(404, json={"error": {"code": "no_api"}})
    api = ListingApi(
        listed(40), max_limit=None, fault=lambda number: failed if number == 2 else None
    )
    server = create_server(settings(), transport=api, reader="remote", now=lambda: NOW)

    async with Client(server) as client:
        data = data_of(await client.call_tool("list_recent_tasks", {}))

    assert "tell whoever runs this server" in data["next_step"]
    assert "api.test" not in str(data)
    assert "api.test" in caplog.text


async def test_no_answer_holds_the_token() -> None:
    items = [
        h3(TOKEN, created_at=NOW),
        h3("a", f"status {TOKEN}", created_at=NOW),
        h3("b", created_at=NOW, resolution=TOKEN, content={"url": f"https://cdn.test/?t={TOKEN}"}),
        h3("c", created_at=NOW, model=TOKEN, error={"code": TOKEN, "message": TOKEN}),
    ]

    result = await call(ListingApi(items))

    assert [task["task_id"] for task in data_of(result)["tasks"]] == ["a", "b", "c"]
    assert TOKEN[:16] not in str(result)


@pytest.mark.parametrize("hours", [-6, 6])
async def test_a_clock_that_differs_lists_the_tasks_of_the_platforms_last_hours(hours: int) -> None:
    api = ListingApi(listed(10, apart_seconds=HOUR), ahead_seconds=0)

    data = data_of(await call(api, {"hours": 3}, now=lambda: NOW + hours * HOUR))

    assert [task["task_id"] for task in data["tasks"]] == ["t0", "t1", "t2"]


async def test_two_callers_see_their_own_tasks() -> None:
    apis = {
        "first-callers-token": ListingApi([h3("of-first", created_at=NOW)]),
        "second-callers-token": ListingApi([h3("of-second", created_at=NOW)]),
    }
    calling = list(apis)

    class ByToken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            token = request.headers["authorization"].removeprefix("Bearer ")
            return await apis[token].handle_async_request(request)

    server = create_server(
        settings(api_token=None),
        transport=ByToken(),
        redactor=Redactor(),
        caller_of=lambda _: Caller(calling[0]),
        now=lambda: NOW,
    )
    seen = []
    async with Client(server) as client:
        while calling:
            data = data_of(await client.call_tool("list_recent_tasks", {}))
            seen.append([task["task_id"] for task in data["tasks"]])
            calling.pop(0)

    assert seen == [["of-first"], ["of-second"]]


async def test_a_call_that_is_cancelled_ends_its_requests() -> None:
    api = ListingApi(listed(40), max_limit=None, latency_seconds=10)
    server = create_server(settings(), transport=api, now=lambda: NOW)
    async with Client(server) as client:
        listing = asyncio.create_task(client.call_tool("list_recent_tasks", {}))
        await asyncio.sleep(15)
        assert api.in_flight == 1
        listing.cancel()
        await asyncio.wait([listing])
        await asyncio.sleep(1)

        assert api.in_flight == 0
        assert len(api.payloads) == 2
