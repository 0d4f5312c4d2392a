"""What clients of MCP that are in use do over HTTP, and what their users are told."""

import signal

import httpx
import pytest

from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions, digest
from helpers import Json
from http_app import (
    CALLER_TOKEN,
    call_of,
    client_of,
    error_message_of,
    post,
    result_of,
    running_app,
)
from stdio_process import server_process
from two_services import TwoServices

DOCUMENTED_TASK = "58cc618b-9639-4ee7-add2-d2fcf260d9a3"
PAGE = "https://app.example.com"
OWN = HttpOptions(allowed_origins=(PAGE,))
SHARED = HttpOptions(shared_token=True, access_tokens=(digest("an-access-token-of-the-team"),))
OPEN = HttpOptions(shared_token=True)
REGISTRATION: Json = {"client_name": "A client", "redirect_uris": ["http://localhost/callback"]}


async def register(options: HttpOptions, **headers: str) -> httpx.Response:
    """Do what clients do after a 401: register for OAuth, with the path that they guess."""
    async with running_app(TwoServices(), options) as app, client_of(app) as client:
        return await client.post("/register", json=REGISTRATION, headers=headers)


# Claude Code, Codex and the Inspector show their users this response, and not the 401 before it.


async def test_a_client_that_tries_oauth_is_told_to_send_a_token() -> None:
    response = await register(OWN)

    assert response.status_code == 404
    message = error_message_of(response)
    assert message.startswith("There is nothing here. MCP is served at /mcp, without OAuth. ")
    assert "a token of Ace Data Cloud" in message
    assert 'claude mcp add --transport http hailuo-tasks URL --header "Authorization' in message


async def test_a_client_that_tries_oauth_for_a_shared_token_is_told_to_send_an_access_token() -> (
    None
):
    message = error_message_of(await register(SHARED))

    assert "an access token" in message
    assert "a token of Ace Data Cloud" not in message


async def test_where_no_token_is_asked_for_nobody_is_told_to_send_one() -> None:
    message = error_message_of(await register(OPEN))

    assert message == "There is nothing here. MCP is served at /mcp, without OAuth."


async def test_a_web_page_that_tries_oauth_can_read_why_there_is_none() -> None:
    response = await register(OWN, origin=PAGE)

    assert response.status_code == 404
    assert response.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_web_page_may_look_for_oauth_with_the_headers_of_mcp(method: str) -> None:
    headers = {
        "origin": PAGE,
        "access-control-request-method": method,
        "access-control-request-headers": "mcp-protocol-version",
    }
    async with running_app(TwoServices(), OWN) as app, client_of(app) as client:
        path = "/.well-known/oauth-protected-resource/mcp"
        response = await client.options(path, headers=headers)

    assert response.status_code == 200
    assert response.headers["access-control-allow-headers"] == "mcp-protocol-version"


async def test_a_token_pasted_with_its_scheme_behind_the_scheme_is_used() -> None:
    # VS Code asks for what comes after `Bearer` in its configuration.
    asked_with = set()

    def api(request: httpx.Request) -> httpx.Response:
        asked_with.add(request.headers["authorization"])
        return httpx.Response(200, json={})

    request = call_of("2025-11-25", "t")
    async with running_app(httpx.MockTransport(api)) as app:
        await post(app, request, authorization=f"Bearer Bearer {CALLER_TOKEN}")

    assert asked_with == {f"Bearer {CALLER_TOKEN}"}


@pytest.mark.real_time
async def test_no_level_of_the_log_holds_what_a_caller_is_told() -> None:
    arguments = ("serve", "--http", "--port", "0", "--sandbox")
    async with server_process(*arguments, HAILUO_LOG_LEVEL="DEBUG") as server:
        url = (await server.stdout.readline()).decode().split()[-1]
        body, headers = call_of("2025-06-18", DOCUMENTED_TASK)
        async with httpx.AsyncClient() as client:
            told = result_of(await client.post(url, json=body, headers=headers))
        log = await server.end(signal.SIGTERM)

    assert "/mcp post: 200 in " in log
    task = told["structuredContent"]
    for words in (task["prompt"], *task["video_urls"]):
        assert words not in log
