"""Byte streams: which address is used, and what is noticed of a stream that is not used."""

import asyncio
import select
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hailuo_tasks_mcp.api import streams
from hailuo_tasks_mcp.api.streams import Address, ByteStream, connect
from helpers import raw_server

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter

FIRST: Address = ("::1", 1)
SECOND: Address = ("127.0.0.1", 1)


class Stream:
    """What stands for a stream where only its address and its end matter."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Network:
    """Answers at each address after so many seconds, or with an error."""

    def __init__(self, **seconds: float | OSError) -> None:
        self.answers = {FIRST: seconds["first"], SECOND: seconds["second"]}
        self.streams: list[Stream] = []
        self.tried: list[tuple[float, Address]] = []

    async def open(self, address: Address) -> Stream:
        self.tried.append((asyncio.get_running_loop().time(), address))
        answer = self.answers[address]
        if isinstance(answer, OSError):
            raise answer
        try:
            await asyncio.sleep(answer)
        except asyncio.CancelledError:
            if answer < 1:
                # Connected, and then cancelled.
                self.streams.append(Stream(address))
                return self.streams[-1]
            raise
        self.streams.append(Stream(address))
        return self.streams[-1]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Network], Awaitable[Any]]:
    async def connect_in(network: Network) -> Any:
        monkeypatch.setattr(streams.ByteStream, "open", network.open)
        start = asyncio.get_running_loop().time()
        try:
            return await connect([FIRST, SECOND])
        finally:
            network.tried = [(time - start, address) for time, address in network.tried]
            # What is cancelled ends a moment later.
            await asyncio.sleep(0.01)

    return connect_in


Use = Callable[[Network], Awaitable[Any]]


async def test_a_second_address_is_not_tried_where_the_first_answers_soon(use: Use) -> None:
    network = Network(first=0.2, second=0.0)

    assert (await use(network)).address == FIRST
    assert network.tried == [(0, FIRST)]


async def test_a_second_address_is_tried_while_the_first_does_not_answer(use: Use) -> None:
    network = Network(first=60.0, second=0.1)

    assert (await use(network)).address == SECOND
    assert network.tried == [(0, FIRST), (0.25, SECOND)]


async def test_a_second_address_is_tried_at_once_where_the_first_refuses(use: Use) -> None:
    network = Network(first=ConnectionRefusedError(), second=0.1)

    assert (await use(network)).address == SECOND
    assert network.tried == [(0, FIRST), (0, SECOND)]


@pytest.mark.parametrize("first", [0.35, 0.9])
async def test_of_two_addresses_that_answer_one_is_closed(first: float, use: Use) -> None:
    network = Network(first=first, second=0.1)

    used = await use(network)

    assert len(network.streams) == 2
    assert [stream for stream in network.streams if not stream.aborted] == [used]


async def test_where_no_address_answers_the_first_error_is_told(use: Use) -> None:
    network = Network(first=ConnectionRefusedError("first"), second=TimeoutError("second"))

    with pytest.raises(ConnectionRefusedError, match="first"):
        await use(network)


async def no_longer_quiet(stream: ByteStream) -> None:
    """Return when something has come, be it the end."""
    for _ in range(1_000):
        if not stream.is_quiet():
            return
        await asyncio.sleep(0.001)
    raise AssertionError


async def opened(address: str) -> ByteStream:
    host, _, port = address.rpartition(":")
    return await ByteStream.open((host, int(port)))


async def send_greeting(reader: Reader, writer: Writer) -> None:
    writer.write(b"220 ready\r\n")
    await writer.drain()
    await reader.read()


async def close(_: Reader, __: Writer) -> None:
    """Do nothing; the connection is closed when a handler returns."""


@pytest.mark.real_time
@pytest.mark.parametrize("has_poll", [True, False])
async def test_what_was_not_read_shows_before_it_is_read(
    *, has_poll: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_poll:
        # As on Windows.
        monkeypatch.delattr(select, "poll")
    async with raw_server(send_greeting) as address:
        stream = await opened(address)
        await no_longer_quiet(stream)
        assert await stream.read() == b"220 ready\r\n"
        assert stream.is_quiet()
        stream.abort()
        assert not stream.is_quiet()


@pytest.mark.real_time
async def test_the_end_of_a_stream_is_told_as_often_as_it_is_asked_for() -> None:
    async with raw_server(close) as address:
        stream = await opened(address)
        assert [await stream.read() for _ in range(3)] == [b"", b"", b""]
        with pytest.raises(ConnectionResetError):
            await stream.start_tls(ssl.create_default_context(), "localhost")


@pytest.mark.real_time
async def test_what_came_in_the_clear_is_not_taken_for_what_tls_protects() -> None:
    async with raw_server(send_greeting) as address:
        stream = await opened(address)
        await no_longer_quiet(stream)
        # Until the event loop has read it too.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="data came before TLS"):
            await stream.start_tls(ssl.create_default_context(), "localhost")
        assert not stream.is_quiet()


@pytest.mark.real_time
async def test_a_connection_that_is_lost_as_tls_begins_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lose(*_: object, **__: object) -> None:
        """Return what asyncio does where the connection ends with the handshake."""

    async with raw_server(close) as address:
        stream = await opened(address)
        monkeypatch.setattr(asyncio.get_running_loop(), "start_tls", lose)
        with pytest.raises(ConnectionResetError):
            await stream.start_tls(ssl.create_default_context(), "localhost")
        stream.abort()


@pytest.mark.real_time
async def test_a_peer_that_sends_faster_than_it_is_read_is_made_to_wait() -> None:
    sent = 0

    async def flood(_: Reader, writer: Writer) -> None:
        nonlocal sent
        while True:
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with raw_server(flood) as address:
        stream = await opened(address)
        read = 0
        while read < 20_000_000:
            read += len(await stream.read())
        stream.abort()

    # What lies between is in the buffers of two sockets.
    assert sent - read < 20_000_000
