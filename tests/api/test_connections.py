"""Connections through proxies and with TLS: what fails leaves nothing behind."""

import asyncio
import base64
import logging
import os
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from hailuo_tasks_mcp.api import transport
from hailuo_tasks_mcp.api.http import MAX_CONNECTIONS, HttpPool, Result, Throttle
from hailuo_tasks_mcp.api.proxies import ProxyRefusalError
from hailuo_tasks_mcp.api.transport import MAX_IDLE_CONNECTIONS
from hailuo_tasks_mcp.errors import UntrustedCertificateError, WrongBaseUrlError
from helpers import (
    TIMEOUT_SECONDS,
    TOKEN,
    ConnectionHandler,
    http_response,
    raw_server,
    read_request,
    settings,
    tls_context,
)

pytestmark = pytest.mark.real_time

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter

# As many as there may be connections, which is what dead ones would use up, and some more.
MANY = 110
RESPONSE = http_response({"id": "t"})


async def post(pool: HttpPool) -> httpx.Response:
    """Send a request once."""
    return await pool.post(
        "/hailuo/tasks",
        {},
        "a-token",
        max_response_bytes=1_000_000,
        max_attempts=1,
        throttle=Throttle(str),
        on_attempt=print,
    )


async def outcomes(pool: HttpPool, count: int) -> list[httpx.Response | BaseException]:
    return await asyncio.gather(*(post(pool) for _ in range(count)), return_exceptions=True)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def answer_all(reader: Reader, writer: Writer) -> None:
    while True:
        await read_request(reader)
        writer.write(RESPONSE)
        await writer.drain()


async def join(reader: Reader, writer: Writer, address: str) -> None:
    """Pass on all bytes between a client and an address."""
    host, _, port = address.rpartition(":")
    api_reader, api_writer = await asyncio.open_connection(host, int(port))

    async def pass_on(source: Reader, target: Writer) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        target.close()

    await asyncio.gather(pass_on(reader, api_writer), pass_on(api_reader, writer))


async def accept_http(reader: Reader, writer: Writer) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await writer.drain()


async def accept_socks(reader: Reader, writer: Writer) -> None:
    _, count = await reader.readexactly(2)
    await reader.readexactly(count)
    writer.write(b"\x05\x00")
    _, _, _, kind = await reader.readexactly(4)
    assert kind == 3
    await reader.readexactly((await reader.readexactly(1))[0] + 2)
    # In pieces, as a network may bring it.
    for byte in b"\x05\x00\x00\x03\x09localhost\x01\xbb":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)


ACCEPT = {"http": accept_http, "https": accept_http, "socks5": accept_socks}


class Proxy:
    """A proxy that does what it is told to, at first after it has accepted a connection."""

    def __init__(self, scheme: str) -> None:
        self.accept: ConnectionHandler = ACCEPT[scheme]
        self.then: ConnectionHandler = hang
        self.connections: list[asyncio.Task[None] | None] = []

    async def on_connection(self, reader: Reader, writer: Writer) -> None:
        self.connections.append(asyncio.current_task())
        await self.accept(reader, writer)
        await self.then(reader, writer)


async def hang(reader: Reader, _: Writer) -> None:
    await reader.read()


async def close(_: Reader, __: Writer) -> None:
    """Do nothing; the connection is closed when a handler returns."""


async def send_garbage(reader: Reader, writer: Writer) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()
    await reader.read()


async def shut_down_at_once(reader: Reader, writer: Writer) -> None:
    await reader.read(1)
    writer.transport.abort()


@asynccontextmanager
async def proxied(
    scheme: str,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    timeout_seconds: float = 15,
    proxy_authority: trustme.CA | None = None,
) -> AsyncIterator[tuple[Proxy, HttpPool, ConnectionHandler]]:
    """Yield a proxy, a pool that uses it, and what makes the proxy connect through to the API."""
    proxy = Proxy(scheme)
    proxy_tls = tls_context(proxy_authority or authority) if scheme == "https" else None
    async with (
        raw_server(answer_all, tls_context(authority)) as api,
        raw_server(proxy.on_connection, proxy_tls) as address,
    ):
        port = address.rpartition(":")[2]
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://localhost:{port}")
        there = settings(
            api_base_url="https://localhost:1", request_timeout_seconds=timeout_seconds
        )
        async with HttpPool(there) as pool:
            yield proxy, pool, partial(join, address=api)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (close, "the proxy: "),
        (shut_down_at_once, "the proxy: "),
        (send_garbage, "the proxy: "),
        (hang, "The response took too long"),
    ],
)
async def test_after_a_hundred_faults_of_a_proxy_the_next_request_succeeds(
    fault: ConnectionHandler,
    words: str,
    scheme: str,
    trusted_authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timeout_seconds = 0.5 if fault is hang else 15
    before = open_descriptors()
    async with proxied(scheme, trusted_authority, monkeypatch, timeout_seconds) as (
        proxy,
        pool,
        connect_through,
    ):
        proxy.then = fault
        failures = await outcomes(pool, MANY)
        assert {words in str(failure) for failure in failures} == {True}
        # All are closed while the pool is still open.
        await asyncio.wait(filter(None, proxy.connections))
        proxy.then = connect_through

        assert (await post(pool)).status_code == 200
    assert open_descriptors() == before


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_a_hundred_cancelled_requests_through_a_proxy_leave_nothing_behind(
    scheme: str, trusted_authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_descriptors()
    async with proxied(scheme, trusted_authority, monkeypatch) as (proxy, pool, connect_through):
        under_way = asyncio.Event()

        async def note_and_hang(reader: Reader, writer: Writer) -> None:
            if len(proxy.connections) == MAX_CONNECTIONS:
                under_way.set()
            await hang(reader, writer)

        proxy.then = note_and_hang
        tasks = [asyncio.create_task(post(pool)) for _ in range(MAX_CONNECTIONS)]
        await under_way.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait([*tasks, *filter(None, proxy.connections)])
        proxy.then = connect_through

        assert (await post(pool)).status_code == 200
    assert open_descriptors() == before


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_an_untrusted_certificate_behind_a_proxy_is_told_each_time(
    scheme: str, trusted_authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_descriptors()
    async with proxied(scheme, trustme.CA(), monkeypatch, proxy_authority=trusted_authority) as (
        proxy,
        pool,
        connect_through,
    ):
        proxy.then = connect_through
        failures = await outcomes(pool, MANY)
        await asyncio.wait(filter(None, proxy.connections))

    assert {type(failure) for failure in failures} == {UntrustedCertificateError}
    assert open_descriptors() == before


@pytest.mark.parametrize("accepted", [True, False])
async def test_a_socks_proxy_that_hangs_is_given_up_in_time(
    *, accepted: bool, trusted_authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def half_a_greeting(reader: Reader, writer: Writer) -> None:
        if accepted:
            writer.write(b"\x05\x00\x05")
        await hang(reader, writer)

    before = open_descriptors()
    async with proxied("socks5", trusted_authority, monkeypatch, 0.5) as (proxy, pool, through):
        proxy.accept = half_a_greeting
        failures = await outcomes(pool, MANY)
        await asyncio.wait(filter(None, proxy.connections))
        proxy.accept, proxy.then = accept_socks, through

        assert (await post(pool)).status_code == 200
    assert {type(failure) for failure in failures} == {httpx.ReadTimeout}
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (
            b"HTTP/1.1 407 Who are\x1b[2Jyou?\r\n\r\n",
            ProxyRefusalError,
            'HTTP 407: "Who are[2Jyou?"',
        ),
        (b"HTTP/1.1 403\r\n\r\n", ProxyRefusalError, "HTTP 403"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", httpx.ProxyError, 'HTTP 503: "Busy"'),
        (
            b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}",
            httpx.ConnectError,
            "the proxy: data",
        ),
        (b"SSH-2.0-x\r\n\r\n", httpx.ConnectError, 'the proxy: "illegal status line'),
        (b"", httpx.ConnectError, "the proxy: Closed without a response"),
    ],
)
async def test_a_proxy_that_does_not_connect_is_told_with_its_words_quoted(
    reply: bytes,
    kind: type[Exception],
    words: str,
    trusted_authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()

    async with proxied("http", trusted_authority, monkeypatch) as (proxy, pool, _):
        proxy.accept, proxy.then = refuse, close
        with pytest.raises(kind) as caught:
            await post(pool)

    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("login", "replies", "kind", "words"),
    [
        ("", b"\x04\x00", ProxyRefusalError, "it does not speak SOCKS5"),
        ("", b"\x05\xff", ProxyRefusalError, "it takes no login of this kind"),
        ("", b"\x05\x02", ProxyRefusalError, "it wants a user and a password"),
        ("u:p@", b"\x05\x02\x01\x01", ProxyRefusalError, "it rejects the user or the password"),
        ("u:p@", b"\x05\x00", ProxyRefusalError, "it takes no login of this kind"),
        ("", b"\x05\x00\x05\x02\x00\x01", ProxyRefusalError, "not allowed"),
        ("", b"\x05\x00\x05\x05\x00\x01", httpx.ProxyError, "connection refused"),
        ("", b"\x05\x00\x05\x63\x00\x01", httpx.ProxyError, "failure 99"),
        ("", b"\x05", httpx.ConnectError, "the proxy: it closed the connection"),
        ("", b"\x05\x00\x05\x00\x00\x01" + b"\x00" * 7, httpx.ConnectError, "the proxy: data came"),
        (f"{'u' * 256}:p@", b"\x05\x02", ProxyRefusalError, "SOCKS5 takes names, users"),
    ],
)
async def test_what_a_socks_proxy_answers_is_told(
    login: str,
    replies: bytes,
    kind: type[Exception],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(reader: Reader, writer: Writer) -> None:
        await reader.read(1)
        writer.write(replies)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async with raw_server(answer) as address:
        monkeypatch.setenv("ALL_PROXY", f"socks5://{login}{address}")
        async with HttpPool(settings()) as pool:
            with pytest.raises(kind) as caught:
                await post(pool)

    assert str(caught.value).startswith(words)


async def test_the_user_and_password_of_a_proxy_are_sent_to_it_alone(
    trusted_authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    received = []

    async def accept_login(reader: Reader, writer: Writer) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.drain()

    caplog.set_level(logging.DEBUG)
    async with proxied("http", trusted_authority, monkeypatch) as (proxy, pool, connect_through):
        proxy.accept, proxy.then = accept_login, connect_through
        address = os.environ["HTTPS_PROXY"].partition("//")[2]
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:planted-secret@{address}")
        await post(pool)

    (head,) = received
    assert head.startswith(b"CONNECT localhost:1 HTTP/1.1\r\n")
    login = base64.b64encode(b"me:planted-secret")
    assert b"proxy-authorization: basic " + login.lower() in head.lower()
    assert login in head
    assert "planted-secret" not in caplog.text


async def test_a_proxy_that_speaks_tls_connects_through(
    trusted_authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = tls_context(trusted_authority)

    async def on_connection(reader: Reader, writer: Writer) -> None:
        await accept_http(reader, writer)
        await join(reader, writer, api)

    async with (
        raw_server(answer_all, certificates) as api,
        raw_server(on_connection, certificates) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"https://localhost:{proxy.rpartition(':')[2]}")
        async with HttpPool(settings(api_base_url="https://localhost:1")) as pool:
            assert (await post(pool)).status_code == 200


# TLS, directly.


@asynccontextmanager
async def over_tls(
    on_connection: ConnectionHandler, certificates: ssl.SSLContext, timeout_seconds: float = 15
) -> AsyncIterator[HttpPool]:
    async with raw_server(on_connection, certificates) as address:
        base_url = f"https://localhost:{address.rpartition(':')[2]}"
        there = settings(api_base_url=base_url, request_timeout_seconds=timeout_seconds)
        async with HttpPool(there) as pool:
            yield pool


def write_plain(writer: Writer, data: bytes) -> None:
    """Send bytes past TLS, as something on the way would."""
    sock = writer.get_extra_info("socket")
    os.write(sock.fileno(), data)


@pytest.mark.parametrize(
    "plain", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x17\x03\x03\x00\x20" + b"x" * 32]
)
@pytest.mark.parametrize("sent", [b"", RESPONSE[:-3]])
async def test_a_tls_fault_after_the_handshake_is_a_broken_answer_like_any_other(
    sent: bytes, plain: bytes, trusted_authority: trustme.CA
) -> None:
    async def break_tls(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(sent)
        await writer.drain()
        write_plain(writer, plain)
        await reader.read()

    async with over_tls(break_tls, tls_context(trusted_authority)) as pool:
        results: list[Result] = []
        with pytest.raises(httpx.ReadError) as caught:
            await pool.post(
                "/",
                {},
                "t",
                max_response_bytes=1_000_000,
                max_attempts=2,
                throttle=Throttle(str),
                on_attempt=results.append,
            )

    assert len(results) == 2
    assert "record" in str(caught.value) or "version" in str(caught.value)


def refuse_without_a_certificate(listener: socket.socket, certificates: ssl.SSLContext) -> None:
    """Take one connection, and end its TLS with the alert; asyncio's own server sends none."""
    raw, _ = listener.accept()
    with raw, raw.dup() as below:
        below.settimeout(TIMEOUT_SECONDS)
        with suppress(ssl.SSLError):
            certificates.wrap_socket(raw, server_side=True)
        below.shutdown(socket.SHUT_WR)
        while below.recv(65_536):
            pass


async def test_a_server_that_wants_a_client_certificate_is_told_as_such(
    trusted_authority: trustme.CA,
) -> None:
    certificates = tls_context(trusted_authority)
    trusted_authority.configure_trust(certificates)
    certificates.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base_url = f"https://localhost:{listener.getsockname()[1]}"
        serving = asyncio.to_thread(refuse_without_a_certificate, listener, certificates)
        async with asyncio.TaskGroup() as tasks, HttpPool(settings(api_base_url=base_url)) as pool:
            tasks.create_task(serving)
            with pytest.raises(WrongBaseUrlError, match="wants a certificate of its clients"):
                await post(pool)


async def test_a_port_that_never_completes_tls_leaves_no_descriptor() -> None:
    before = open_descriptors()
    connections: list[asyncio.Task[None] | None] = []

    async def on_connection(reader: Reader, writer: Writer) -> None:
        connections.append(asyncio.current_task())
        await hang(reader, writer)

    async with raw_server(on_connection) as address:
        there = settings(api_base_url=f"https://{address}", request_timeout_seconds=0.5)
        async with HttpPool(there) as pool:
            failures = await outcomes(pool, MANY)
            await asyncio.wait(filter(None, connections))

    assert {type(failure) for failure in failures} == {httpx.ReadTimeout}
    assert open_descriptors() == before


# What is kept for the next request.


@pytest.mark.parametrize(
    "surplus", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"H", b"\r\n"]
)
@pytest.mark.parametrize("separately", [True, False])
@pytest.mark.parametrize("tls", [True, False])
async def test_a_connection_with_a_surplus_answer_is_not_used_again(
    surplus: bytes, *, separately: bool, tls: bool, trusted_authority: trustme.CA
) -> None:
    connections = 0

    async def on_connection(reader: Reader, writer: Writer) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            if separately:
                writer.write(RESPONSE)
                await writer.drain()
                writer.write(surplus)
            else:
                writer.write(RESPONSE + surplus)
            await writer.drain()

    certificates = tls_context(trusted_authority) if tls else None
    async with raw_server(on_connection, certificates) as address:
        scheme = "https" if tls else "http"
        base_url = f"{scheme}://localhost:{address.rpartition(':')[2]}"
        async with HttpPool(settings(api_base_url=base_url)) as pool:
            contents = [(await post(pool)).content for _ in range(3)]

    assert set(contents) == {RESPONSE.rpartition(b"\r\n")[2]}
    assert connections == 3


async def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    async def answer_one(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(RESPONSE)
        await writer.drain()

    async with (
        raw_server(answer_one) as address,
        HttpPool(settings(api_base_url=f"http://{address}")) as pool,
    ):
        assert [(await post(pool)).status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\nx\r\n" * 100_000
        + b"0\r\n\r\n",
    ],
)
async def test_more_framing_than_content_is_not_read_to_its_end(response: bytes) -> None:
    async def respond(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(response)
        await writer.drain()

    async with (
        raw_server(respond) as address,
        HttpPool(settings(api_base_url=f"http://{address}")) as pool,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await post(pool)


# The command, with a resolver that never answers.
HANGING_RESOLVER = """
import socket
import sys
import threading

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
from hailuo_tasks_mcp.cli import check, main

check.STEP_SECONDS = 0.1
sys.exit(main.main(sys.argv[1:]))
"""
LOOK_UP = """
{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", \
"capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}
{"jsonrpc": "2.0", "method": "notifications/initialized"}
{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "retrieve_task", \
"arguments": {"task_id": "t"}}}
""".replace("\\\n", "")


@pytest.mark.parametrize(
    ("arguments", "stdin", "exit_code", "words"),
    [([], LOOK_UP, 0, '"id":2'), (["check"], "", 1, "api.test:443: no answer in 0.1 s")],
)
async def test_a_resolver_that_hangs_keeps_no_process_alive(
    arguments: list[str], stdin: str, exit_code: int, words: str
) -> None:
    environ = {
        "ACEDATACLOUD_API_TOKEN": TOKEN,
        "ACEDATACLOUD_API_BASE_URL": "https://api.test",
        "HAILUO_REQUEST_TIMEOUT_SECONDS": "0.1",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HANGING_RESOLVER, *arguments),
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        output, _ = await process.communicate(stdin.encode())

    assert process.returncode == exit_code
    assert words in output.decode()


async def test_attempts_share_the_question_to_a_resolver_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    ended = threading.Event()

    def hang_until_the_end(*_: object, **__: object) -> list[object]:
        asked.append(threading.current_thread())
        ended.wait(TIMEOUT_SECONDS)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang_until_the_end)
    async with HttpPool(settings(request_timeout_seconds=0.1)) as pool:
        failures = await outcomes(pool, MANY)
    ended.set()

    assert {type(failure) for failure in failures} == {httpx.ReadTimeout}
    assert len(asked) == 1


async def test_a_resolver_that_works_again_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    ended = threading.Event()
    resolve = socket.getaddrinfo

    def hang_at_first(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 1:
            ended.wait(TIMEOUT_SECONDS)
        return resolve("127.0.0.1", *arguments[1:], **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang_at_first)
    monkeypatch.setattr(transport, "_SHARED_RESOLUTION_SECONDS", 0.05)
    async with raw_server(answer_all) as address:
        base_url = f"http://localhost:{address.rpartition(':')[2]}"
        there = settings(api_base_url=base_url, request_timeout_seconds=0.1)
        async with HttpPool(there) as pool:
            with pytest.raises(httpx.ReadTimeout):
                await post(pool)
            assert (await post(pool)).status_code == 200
    ended.set()

    assert len(asked) == 2


async def test_requests_that_begin_one_after_the_other_each_find_the_address() -> None:
    async def answer_slowly(reader: Reader, writer: Writer) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        await answer_all(reader, writer)

    async with (
        raw_server(answer_slowly) as address,
        HttpPool(settings(api_base_url=f"http://{address}")) as pool,
    ):
        requests = []
        for _ in range(MANY):
            requests.append(asyncio.create_task(post(pool)))
            await asyncio.sleep(0)
        responses = await asyncio.gather(*requests)

    assert {response.status_code for response in responses} == {200}


async def test_a_connection_that_was_not_used_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections = 0

    async def count_and_answer(reader: Reader, writer: Writer) -> None:
        nonlocal connections
        connections += 1
        await answer_all(reader, writer)

    monkeypatch.setattr(transport, "KEEPALIVE_SECONDS", 0.0)
    async with (
        raw_server(count_and_answer) as address,
        HttpPool(settings(api_base_url=f"http://{address}")) as pool,
    ):
        await post(pool)
        await post(pool)

    assert connections == 2


async def test_of_many_connections_only_some_are_kept() -> None:
    opened: list[asyncio.Task[None] | None] = []
    all_asked = asyncio.Event()

    async def answer_when_all_have_asked(reader: Reader, writer: Writer) -> None:
        opened.append(asyncio.current_task())
        await read_request(reader)
        if len(opened) == 30:
            all_asked.set()
        await all_asked.wait()
        writer.write(RESPONSE)
        await answer_all(reader, writer)

    async with (
        raw_server(answer_when_all_have_asked) as address,
        HttpPool(settings(api_base_url=f"http://{address}")) as pool,
    ):
        await outcomes(pool, 30)
        surplus = 30 - MAX_IDLE_CONNECTIONS
        closed = asyncio.as_completed(list(filter(None, opened)))
        for _, done in zip(range(surplus), closed, strict=False):
            await done
        await outcomes(pool, MAX_IDLE_CONNECTIONS)

    assert len(opened) == 30


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("127.0.0.1", b"\x05\x01\x00\x01\x7f\x00\x00\x01\x01\xbb"),
        ("[::1]", b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x01\xbb"),
        ("api.test", b"\x05\x01\x00\x03\x08api.test\x01\xbb"),
    ],
)
@pytest.mark.parametrize("bound", [b"\x01" + bytes(6), b"\x04" + bytes(18), b"\x03\x03abc\x00\x00"])
async def test_a_socks_proxy_is_told_the_host_and_may_tell_any_address(
    host: str, sent: bytes, bound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = []

    async def accept_then_close(reader: Reader, writer: Writer) -> None:
        await reader.readexactly(3)
        writer.write(b"\x05\x00")
        received.append(await reader.readexactly(len(sent)))
        writer.write(b"\x05\x00\x00" + bound)
        # The first bytes of TLS.
        received.append(await reader.readexactly(2))

    async with raw_server(accept_then_close) as address:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://{address}")
        async with HttpPool(settings(api_base_url=f"https://{host}")) as pool:
            with pytest.raises(httpx.ConnectError, match="through the proxy"):
                await post(pool)

    assert received == [sent, b"\x16\x03"]
