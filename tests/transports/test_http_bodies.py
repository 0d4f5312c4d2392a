"""Bodies and headers over HTTP that are no request of MCP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from http_app import (
    VERSIONS,
    answer_of,
    call_of,
    client_of,
    error_message_of,
    headers_of,
    running_app,
)
from stdio_process import MODERN_VERSION
from two_services import TwoServices

CALL = json.dumps(call_of(MODERN_VERSION, "t")[0]).encode()


async def send(version: str, content: Any, *changes: tuple[str, str | None]) -> httpx.Response:
    """Send a body with the headers of a call; assert that the API is not asked."""
    headers = headers_of(version, "tools/call", "retrieve_task")
    for name, value in changes:
        headers.pop(name, None)
        if value is not None:
            headers[name] = value
    api = TwoServices()
    async with running_app(api) as app, client_of(app) as client:
        response = await client.post("/mcp", content=content, headers=headers)
    assert api.sent == []
    return response


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Any:
    """Fail a test whose request anyone could use to fill the log."""
    yield
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "content",
    [b"", b"{nope", b"\xff\xfe{", b"[" * 500_000, b'{"a":' * 100_000, b'{"id":' + b"9" * 9_000],
    ids=["empty", "not JSON", "not UTF-8", "arrays", "objects", "a long number"],
)
async def test_a_body_that_is_not_json_is_a_parse_error(version: str, content: bytes) -> None:
    response = await send(version, content)

    assert response.status_code == 400
    assert answer_of(response)["error"]["code"] == -32700
    assert len(response.content) < 200


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "content", [b"1", b"null", b"[]", b" \n[" + CALL + b"]", b'{"jsonrpc":"2.0"}']
)
async def test_a_body_that_is_no_message_of_json_rpc_is_refused(
    version: str, content: bytes
) -> None:
    response = await send(version, content)

    assert response.status_code == 400
    assert answer_of(response)["error"]["code"] == -32600
    assert error_message_of(response) == "Invalid request: this is not one JSON-RPC 2.0 message."
    assert answer_of(response)["id"] is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("length", [(1 << 24) + 1, 10**12, 10**400])
async def test_a_body_that_says_that_it_is_far_too_long_is_not_read(
    version: str, length: int
) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("This is read")
        yield b""

    headers = headers_of(version) | {"content-length": str(length)}
    request = httpx.Request("POST", "http://localhost/mcp", headers=headers, content=body())
    async with running_app(TwoServices()) as app:
        response = await httpx.ASGITransport(app).handle_async_request(request)
        await response.aread()

    assert response.status_code == 413
    assert error_message_of(response) == "The body has more than 1,048,576 bytes."


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("parts", "parts_read"), [(17, 17), (10_000, 257)])
async def test_what_follows_a_body_that_is_too_long_is_read_for_a_while(
    version: str, parts: int, parts_read: int
) -> None:
    # Else a client that still sends may not come to read why.
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(parts):
            read += 1
            yield b" " * (1 << 16)

    response = await send(version, body())

    assert response.status_code == 413
    assert error_message_of(response) == "The body has more than 1,048,576 bytes."
    assert read == parts_read


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_body_of_the_highest_length_is_read(version: str) -> None:
    body, headers = call_of(version, "t")
    content = json.dumps(body).encode().ljust(1 << 20)
    api = TwoServices()
    api.know("hailuo", "t")
    async with running_app(api) as app, client_of(app) as client:
        response = await client.post("/mcp", content=content, headers=headers)

    assert response.status_code == 200


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("media_type", [None, "text/plain", "", "application/jsonx", "multipart/x"])
async def test_another_media_type_is_told_which_one_is_read(
    version: str, media_type: str | None
) -> None:
    response = await send(version, CALL, ("content-type", media_type))

    assert response.status_code == 415
    assert error_message_of(response) == "The Content-Type must be application/json."


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("accepted", ["text/html", "application/json", "text/event-stream", ""])
async def test_a_client_that_takes_other_answers_is_told_which_there_are(
    version: str, accepted: str
) -> None:
    response = await send(version, CALL, ("accept", accepted))

    assert response.status_code == 406
    assert error_message_of(response) == (
        "The Accept header must allow both application/json and text/event-stream."
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("accepted", "media_type"),
    [("*/*", "application/json; charset=utf-8"), ("text/*, application/*", "application/json")],
)
async def test_the_usual_ways_to_write_media_types_are_understood(
    version: str, accepted: str, media_type: str
) -> None:
    body, headers = call_of(version, "t")
    headers |= {"accept": accepted, "content-type": media_type}
    api = TwoServices()
    api.know("hailuo", "t")
    async with running_app(api) as app, client_of(app) as client:
        assert (await client.post("/mcp", json=body, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"mcp-name": None},
        {"mcp-name": "retrieve_tasks_batch"},
        {"mcp-name": "retrieve_task\x00"},
        {"mcp-method": None},
        {"mcp-method": "tools/list"},
        {"mcp-protocol-version": "1999-01-01"},
        {"mcp-protocol-version": "2026-07-28, 2025-06-18"},
        {"mcp-protocol-version": "\x1b" * 5_000},
    ],
    ids=str,
)
async def test_headers_of_mcp_that_contradict_the_body_are_refused(
    changes: dict[str, str | None],
) -> None:
    response = await send(MODERN_VERSION, CALL, *changes.items())

    assert response.status_code == 400
    assert "header" in error_message_of(response)
    assert len(response.content) < 300


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_session_that_a_client_makes_up_changes_nothing(version: str) -> None:
    body, headers = call_of(version, "t")
    headers |= {"mcp-session-id": "made-up", "last-event-id": "7"}
    api = TwoServices()
    api.know("hailuo", "t")
    async with running_app(api) as app, client_of(app) as client:
        response = await client.post("/mcp", json=body, headers=headers)

    assert response.status_code == 200
    assert "mcp-session-id" not in response.headers


@pytest.mark.parametrize(
    "name",
    ["content-type", "accept", "mcp-protocol-version", "mcp-name", "host", "origin"],
)
async def test_a_header_that_comes_twice_is_answered(name: str) -> None:
    body, headers = call_of(MODERN_VERSION, "t")
    pairs = [*headers.items(), ("host", "localhost"), (name, "evil.test")]
    api = TwoServices()
    api.know("hailuo", "t")
    async with running_app(api) as app, client_of(app) as client:
        response = await client.post("/mcp", json=body, headers=pairs)

    # The first one counts, or their combination is no such value.
    assert response.status_code in {200, 400, 403, 415}
    assert answer_of(response)
