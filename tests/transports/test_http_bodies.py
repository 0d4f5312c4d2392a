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
    records = caplog.get_records("call")
    assert [record for record in records if record.levelname != "INFO"] == []


NO_JSON = (None, -32700, "Parse error: this cannot be read as JSON.")
NO_MESSAGE = (None, -32600, "Invalid request: this is not one JSON-RPC 2.0 message.")
BAD_ID = (None, -32600, "Invalid request: its id must be a text or a whole number.")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", NO_JSON),
        (b"{nope", NO_JSON),
        (b"[" * 20_000, NO_JSON),
        (b'{"a":' * 20_000, NO_JSON),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 9_000 + b',"method":"ping"}', NO_JSON),
        (b"\xff\xfe{", (None, -32700, "Parse error: this is not UTF-8.")),
        (CALL.decode().encode("utf-16"), (None, -32700, "Parse error: this is not UTF-8.")),
        (b"1", NO_MESSAGE),
        (b"null", NO_MESSAGE),
        (b"[]", NO_MESSAGE),
        (b"[" + CALL + b"]", NO_MESSAGE),
        (b'{"jsonrpc":"2.0"}', NO_MESSAGE),
        (b'{"id":7,"method":"ping"}', (7, *NO_MESSAGE[1:])),
        (b'{"jsonrpc":"1.0","id":"x","method":"ping"}', ("x", *NO_MESSAGE[1:])),
        (b'{"jsonrpc":"2.0","method":7}', (None, -32600, "This is not one JSON-RPC 2.0 message.")),
        (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', BAD_ID),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', BAD_ID),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', BAD_ID),
        (b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}', BAD_ID),
    ],
)
async def test_a_body_that_is_no_message_is_told_so(
    version: str, content: bytes, told: tuple[Any, int, str]
) -> None:
    response = await send(version, content)
    answer = answer_of(response)

    assert response.status_code == 400
    assert (answer["id"], answer["error"]["code"], answer["error"]["message"]) == told


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf%b", b" \r\n%b\n"], ids=["byte-order mark", "white space"]
)
async def test_what_may_stand_around_a_message_is_passed_over(version: str, content: bytes) -> None:
    body, headers = call_of(version, "t")
    api = TwoServices()
    api.know("hailuo", "t")
    async with running_app(api) as app, client_of(app) as client:
        sent = content % json.dumps(body).encode()
        response = await client.post("/mcp", content=sent, headers=headers)

    assert response.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"x": "y" * 17_000}, {f"x-{number}": "y" * 90 for number in range(180)}],
    ids=["long", "many"],
)
async def test_too_large_a_head_is_refused(headers: dict[str, str]) -> None:
    response = await send(MODERN_VERSION, CALL, *headers.items())

    assert response.status_code == 431
    assert error_message_of(response) == "The head of the request has more than 16,000 bytes."


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("length", [(1 << 24) + 1, 10**12, 10**400])
async def test_a_body_that_says_that_it_is_too_long_is_not_read(version: str, length: int) -> None:
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
async def test_a_body_that_becomes_too_long_is_read_no_further(version: str) -> None:
    parts_read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal parts_read
        while True:
            parts_read += 1
            yield b" " * (1 << 16)

    response = await send(version, body())

    assert response.status_code == 413
    assert response.headers["connection"] == "close"
    # More than is kept, so that a client that sends first comes to read why.
    assert 16 < parts_read < 300


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


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", [b"[]," * 10_001, b"{" * 20_001, b"0," * 20_001])
async def test_a_body_of_very_many_values_is_refused_before_it_is_parsed(
    version: str, values: bytes
) -> None:
    # Each value takes up to a hundred times its bytes, and no token has been found valid yet.
    body = b'{"jsonrpc":"2.0","method":"notifications/x","params":{"x":[' + values + b"0]}}"

    response = await send(version, body)

    assert response.status_code == 413
    assert error_message_of(response) == "The body has more than 20,000 JSON values."
