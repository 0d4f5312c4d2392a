"""What bounds a connection of a client: slow ones, ones that do not read, and too many of them."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hailuo_tasks_mcp import uvicorn_protocol
from hailuo_tasks_mcp.uvicorn_protocol import MAX_HEAD_BYTES, BoundedProtocol
from raw_http import exchange, running

pytestmark = pytest.mark.real_time

HEAD = b"POST /%b HTTP/1.1\r\nHost: localhost\r\n"
SLOW = b"The request took more than "


def whole(path: bytes = b"read", extra: bytes = b"") -> bytes:
    return HEAD % path + b"Content-Length: 2\r\n" + extra + b"\r\nhi"


LAST = whole(extra=b"Connection: close\r\n")


class App:
    """Answers by the path: after the body, without it, or with far more than a socket holds."""

    def __init__(self) -> None:
        self.clients_gone = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = "answered"
        try:
            if scope["path"] == "/read":
                text = (await Request(scope, receive).body()).decode()
            elif scope["path"] == "/large":
                text = "x" * 30_000_000
            await PlainTextResponse(text)(scope, receive, send)
            if scope["path"] == "/large":
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.clients_gone.set()
        except ClientDisconnect:
            self.clients_gone.set()


@asynccontextmanager
async def serving(app: ASGIApp, max_connections: int = 1_000, **options: Any) -> AsyncIterator[int]:
    """Serve an app on a loopback port; yield the port."""
    config = uvicorn.Config(
        app,
        http=partial(BoundedProtocol, max_connections=max_connections),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_graceful_shutdown=1,
        **options,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=1_024) as listener:
        async with running(server, listener) as port:
            yield port


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_protocol, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(uvicorn_protocol, "READ_SECONDS", 0.2)


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Any:
    yield
    assert caplog.get_records("call") == []


async def test_requests_are_answered_one_after_another_on_a_connection() -> None:
    async with serving(App()) as port:
        answer = await exchange(port, whole() + whole(), LAST)

    assert answer.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.usefixtures("short_times")
@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST /read HT",
        HEAD % b"read",
        HEAD % b"read" + b"Content-Length: 9\r\n\r\nhalf",
        HEAD % b"read" + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
    ids=["nothing", "half a line", "half a head", "half a body", "half of the chunks"],
)
@pytest.mark.parametrize("before", [b"", whole()], ids=["first", "after another"])
async def test_a_slow_request_is_told_so_and_cut_off(before: bytes, begun: bytes) -> None:
    """Also if its beginning comes together with the request before it."""
    async with serving(App(), timeout_keep_alive=1) as port:
        answer = await exchange(port, before + begun)

    assert answer.count(b" 200 OK") == bool(before)
    if begun or not before:
        assert b"HTTP/1.1 408 Request Timeout\r\n" in answer
        assert SLOW in answer


@pytest.mark.usefixtures("short_times")
async def test_the_app_learns_that_a_slow_request_is_cut_off() -> None:
    app = App()
    async with serving(app) as port:
        await exchange(port, HEAD % b"read" + b"Content-Length: 9\r\n\r\nhalf")
        await app.clients_gone.wait()


@pytest.mark.usefixtures("short_times")
async def test_a_body_that_nobody_reads_is_cut_off_too() -> None:
    async with serving(App()) as port:
        answer = await exchange(port, HEAD % b"any" + b"Content-Length: 99\r\n\r\nhalf")

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert SLOW not in answer


@pytest.mark.usefixtures("short_times")
async def test_a_request_answered_before_its_body_came_leaves_a_usable_connection() -> None:
    async with serving(App()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % b"any" + b"Content-Length: 2\r\n\r\n")
        assert (await reader.readuntil(b"answered")).startswith(b"HTTP/1.1 200 OK")
        writer.write(b"hi")
        # Others come and are cut off meanwhile.
        for _ in range(2):
            await exchange(port, b"POST")
        writer.write(LAST)
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"hi")


async def test_an_idle_connection_is_closed_also_after_a_body_that_nobody_read() -> None:
    async with serving(App(), timeout_keep_alive=0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % b"any" + b"Content-Length: 2\r\n\r\n")
        await reader.readuntil(b"answered")
        writer.write(b"hi")
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("path", [b"any", b"read", b"large"])
async def test_chunks_that_are_none_are_no_traceback(path: bytes) -> None:
    head = HEAD % path + b"Transfer-Encoding: chunked\r\n\r\n"
    async with serving(App()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        if path != b"read":
            await reader.read(1)
        writer.write(b"nope\r\n")
        while await reader.read(1 << 16):
            pass
        writer.close()


@pytest.mark.parametrize("path", [b"any", b"read"])
async def test_a_head_with_chunks_that_are_none_is_answered_once(path: bytes) -> None:
    async with serving(App()) as port:
        received = await exchange(port, HEAD % path + b"Transfer-Encoding: chunked\r\n\r\nno\r\n")

    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert received.count(b"HTTP/1.1 ") == 1


async def test_nothing_is_kept_of_a_request_that_is_answered() -> None:
    # Its connection may wait for another one, and its headers hold a token.
    secret = b"secret-of-a-request"
    async with serving(App()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole(extra=b"Authorization: Bearer " + secret + b"\r\n"))
        await reader.readuntil(b"hi")
        gc.collect()
        holders = [
            each
            for each in gc.get_objects()
            if isinstance(each, list | tuple) and (b"authorization", b"Bearer " + secret) in each
        ]
        writer.close()

    assert holders == []


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\r\n\r\n",
        b"nope\r\n\r\n",
        HEAD % b"read" + b"X: " + b"x" * 20_000,
        HEAD % b"read" + b"X: x\r\n" * 9_000,
        HEAD % b"read" + b"Content-Length: x\r\n\r\n",
        HEAD % b"read" + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
    ],
    ids=["TLS", "nonsense", "long header", "many headers", "no length", "lengths", "no host"],
)
async def test_what_is_not_http_is_told_so(sent: bytes) -> None:
    async with serving(App()) as port:
        answer = await exchange(port, sent)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\nThis is not HTTP/1.1, or its head has more than 16,000 bytes.")


@pytest.mark.usefixtures("short_times")
async def test_a_client_that_does_not_read_its_response_is_cut_off() -> None:
    app = App()
    async with serving(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(whole(b"large"))
        await app.clients_gone.wait()
        writer.transport.abort()


async def test_a_client_that_reads_slowly_is_waited_for() -> None:
    async with serving(App()) as port:
        answer = await exchange(port, whole(b"large", b"Connection: close\r\n"))

    assert len(answer) > 30_000_000


async def test_connections_beyond_the_highest_number_are_told_so_and_many_more_are_closed() -> None:
    async with serving(App(), max_connections=3) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(103)]
        closed = await exchange(port)
        refused = [held.pop(), held.pop(50), held.pop(3)]
        answers = []
        for reader, writer in refused:
            writer.write(whole())
            answers.append(await reader.read())
        served_reader, served_writer = held[0]
        served_writer.write(LAST)
        served = await served_reader.read()
        for _, writer in held + refused:
            writer.close()

    assert closed == b""
    assert served.startswith(b"HTTP/1.1 200 OK\r\n")
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nretry-after: 1\r\n" in answer
        assert answer.endswith(b"Too many connections are open here; try again in a moment.")


async def test_a_connection_that_waits_for_another_request_makes_room_for_a_new_one() -> None:
    async with serving(App(), max_connections=3) as port:
        waiting = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(whole())
            await reader.readuntil(b"hi")
            waiting.append((reader, writer))
        answer = await exchange(port, LAST)
        first = await waiting[0][0].read()
        for _, writer in waiting[1:]:
            writer.write(LAST)
        others = [await reader.read() for reader, _ in waiting[1:]]
        for _, writer in waiting:
            writer.close()

    assert b" 200 OK" in answer
    assert first == b""
    assert all(b" 200 OK" in each for each in others)


async def test_parts_of_a_response_do_not_wait_for_the_clients_acknowledgement() -> None:
    # The listening socket is made without a protocol, of which asyncio would leave Nagle's
    # algorithm on.
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for each in gc.get_objects():
            if isinstance(each, BoundedProtocol) and each.scope is scope:
                sock = each.transport.get_extra_info("socket")
                seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await PlainTextResponse("answered")(scope, receive, send)

    async with serving(app) as port:
        await exchange(port, LAST)

    assert seen
    assert all(seen)


async def test_there_is_room_again_once_connections_are_closed() -> None:
    async with serving(App(), max_connections=3) as port:
        for _ in range(10):
            assert b" 200 OK" in await exchange(port, LAST)
