"""Every revision of MCP over HTTP, and whose token the API sees."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.transports.streamable_http.app import caller_of_request
from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions, digest
from helpers import TOKEN, settings
from http_app import (
    CALLER_TOKEN,
    OLD_VERSIONS,
    VERSIONS,
    answer_of,
    call_of,
    initialize_of,
    post,
    request_of,
    result_of,
    running_app,
)
from stdio_process import MODERN_VERSION
from two_services import TwoServices

ACCESS_TOKEN = "an-access-token-of-the-team"


class RecordingApi(TwoServices):
    """Knows any task, and notes with which token each id was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, set[str]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        payload = json.loads(request.content)
        for task_id in payload.get("ids") or [payload["id"]]:
            self.tokens.setdefault(task_id, set()).add(request.headers["authorization"])
        return await super().handle_async_request(request)


@pytest.mark.parametrize("version", OLD_VERSIONS)
async def test_each_older_revision_is_initialized(version: str) -> None:
    async with running_app(TwoServices()) as app:
        result = result_of(await post(app, initialize_of(version)))
        notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        accepted = await post(app, (notification, request_of(version, "ping")[1]))

    assert result["protocolVersion"] == version
    assert result["serverInfo"]["name"] == "hailuo-tasks-mcp"
    assert (accepted.status_code, accepted.content) == (202, b"")


async def test_the_newest_revision_is_discovered() -> None:
    async with running_app(TwoServices()) as app:
        result = result_of(await post(app, request_of(MODERN_VERSION, "server/discover")))

    assert MODERN_VERSION in result["supportedVersions"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_revision_lists_and_calls_tools_without_a_session(version: str) -> None:
    api = TwoServices()
    api.know("hailuo", "t")
    async with running_app(api) as app:
        listed = await post(app, request_of(version, "tools/list"))
        called = await post(app, call_of(version, "t"))

    names = [tool["name"] for tool in result_of(listed)["tools"]]
    assert names == ["retrieve_task", "retrieve_tasks_batch", "list_recent_tasks"]
    assert result_of(called)["structuredContent"]["state"] == "succeeded"
    assert "mcp-session-id" not in {*listed.headers, *called.headers}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_wait_ends_when_the_task_does(version: str) -> None:
    api = TwoServices()
    api.know("hailuo", "t", created_at=1736863661.511, started_at=1736863662)
    asyncio.get_running_loop().call_at(9.5, lambda: api.know("hailuo", "t"))
    async with running_app(api) as app:
        answer = result_of(await post(app, call_of(version, "t", 50)))["structuredContent"]
        seconds = asyncio.get_running_loop().time()

    assert answer["state"] == "succeeded"
    assert 9.5 < seconds < 13


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_token_of_each_request_reaches_the_api_for_that_request_alone(
    version: str,
) -> None:
    api = RecordingApi()
    ids = [f"t-{number}" for number in range(40)]
    api.know("hailuo", *ids)
    async with running_app(api) as app:
        responses = await asyncio.gather(
            *(post(app, call_of(version, each), authorization=f"Bearer of-{each}") for each in ids)
        )

    answers = [result_of(each)["structuredContent"] for each in responses]
    assert [answer["task_id"] for answer in answers] == ids
    assert api.tokens == {each: {f"Bearer of-{each}"} for each in ids}


@pytest.mark.parametrize(
    ("options", "sent", "used"),
    [
        (HttpOptions(), f"Bearer {CALLER_TOKEN}", CALLER_TOKEN),
        (HttpOptions(), f"bearer   {CALLER_TOKEN}", CALLER_TOKEN),
        (HttpOptions(shared_token=True), f"Bearer {CALLER_TOKEN}", TOKEN),
        (HttpOptions(shared_token=True), 'Basic "', TOKEN),
        (
            HttpOptions(shared_token=True, access_tokens=(digest("x" * 16), digest(ACCESS_TOKEN))),
            f"Bearer {ACCESS_TOKEN}",
            TOKEN,
        ),
    ],
    ids=["own", "lower case", "shared", "shared, none needed", "access token"],
)
async def test_the_environments_token_is_used_only_if_it_is_shared(
    options: HttpOptions, sent: str, used: str
) -> None:
    api = RecordingApi()
    api.know("hailuo", "t")
    async with running_app(api, options) as app:
        response = await post(app, call_of(MODERN_VERSION, "t"), authorization=sent)

    assert result_of(response)["structuredContent"]["state"] == "succeeded"
    assert api.tokens == {"t": {f"Bearer {used}"}}


async def test_a_shared_token_needs_no_authorization_header_on_loopback() -> None:
    api = RecordingApi()
    api.know("hailuo", "t")
    body, headers = call_of("2025-06-18", "t")
    del headers["authorization"]
    async with running_app(api, HttpOptions(shared_token=True)) as app:
        assert result_of(await post(app, (body, headers)))["isError"] is False


@pytest.mark.parametrize(
    "options", [HttpOptions(), HttpOptions(shared_token=True)], ids=["own", "shared"]
)
@pytest.mark.parametrize("status", [401, 403, 402, 429, 503])
async def test_what_a_remote_caller_is_told_names_no_variable_of_this_machine(
    options: HttpOptions, status: int
) -> None:
    api = TwoServices()
    api.fail(httpx.Response(status, json={"error": {"code": "x", "message": "y"}}))
    async with running_app(api, options) as app:
        result = result_of(await post(app, call_of(MODERN_VERSION, "t")))

    assert result["isError"]
    assert "ACEDATACLOUD_" not in str(result)
    assert "HAILUO_" not in str(result)
    assert ("Authorization" in str(result)) == (status in {401, 403} and not options.shared_token)


@pytest.mark.parametrize("version", VERSIONS)
async def test_no_answer_holds_the_token_that_its_caller_sent(version: str) -> None:
    api = TwoServices()
    api.know("hailuo", "t", created_at=1, error={"message": f"what is {CALLER_TOKEN}?"})
    request = request_of(
        version, "tools/call", name=CALLER_TOKEN, arguments={"task_id": CALLER_TOKEN}
    )
    async with running_app(api) as app:
        responses = [
            await post(app, call_of(version, "t")),
            await post(app, call_of(version, CALLER_TOKEN)),
            await post(app, request),
            await post(app, request_of(version, CALLER_TOKEN)),
        ]

    assert [CALLER_TOKEN in each.text for each in responses] == [False] * 4


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unknown_tool_is_answered_with_the_known_ones(version: str) -> None:
    request = request_of(version, "tools/call", name="nope", arguments={})
    async with running_app(TwoServices()) as app:
        answer = answer_of(await post(app, request))

    assert answer["error"]["message"] == (
        "Unknown tool: nope. Tools: retrieve_task, retrieve_tasks_batch, list_recent_tasks."
    )


async def test_a_server_for_http_does_not_serve_what_came_another_way() -> None:
    server = create_server(settings(), transport=TwoServices(), caller_of=caller_of_request)
    async with Client(server, mode=MODERN_VERSION) as client:
        with pytest.raises(MCPError, match="Internal server error"):
            await client.call_tool("retrieve_task", {"task_id": "t"})


def requests_without_effect() -> list[Any]:
    """Return what clients send that there is nothing to do for."""
    return [
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
    ]


@pytest.mark.parametrize("body", requests_without_effect())
async def test_notifications_and_responses_are_accepted(body: Any) -> None:
    async with running_app(TwoServices()) as app:
        response = await post(app, (body, request_of("2025-06-18", "ping")[1]))

    assert response.status_code == 202
