"""Byte streams over the network: the name resolved, TCP, and TLS on top.

Closing a stream never waits, so that a time-out or a cancellation, which may come at any moment,
cannot cut it off and leave a descriptor open.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain, zip_longest
from threading import Thread
from typing import Any, Self

# How long one address is waited for before the next one is tried as well: RFC 8305.
_ATTEMPT_DELAY_SECONDS = 0.25
_READ_BYTES = 16_384
# Of what has not been read, before the peer is made to wait.
_BUFFER_BYTES = 65_536

Address = tuple[str, int]


async def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, IPv6 and IPv4 by turns, the resolver's first one first.

    In a daemon thread, because nothing ends a resolver that hangs: a thread of the event loop's
    executor would keep the process alive for as long.

    Raises:
        OSError: the name has no address.

    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Any]] = loop.create_future()

    def settle(found: list[Any], error: OSError | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(found)

    def look_up() -> None:
        found: list[Any] = []
        problem = None
        try:
            # As bytes, because for a string Python loads a codec that no host name of a URL needs.
            name = host.encode("ascii")
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except OSError as error:
            problem = error
        # The event loop may have ended meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, found, problem)

    Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    found = await future
    first = found[0][0]
    by_turns = zip_longest(
        [entry for entry in found if entry[0] == first],
        [entry for entry in found if entry[0] != first],
    )
    return list(dict.fromkeys(entry[4][:2] for entry in chain.from_iterable(by_turns) if entry))


async def connect(addresses: Sequence[Address]) -> "ByteStream":
    """Return a stream to the first address that answers.

    Raises:
        OSError: none does; why the first one does not.

    """
    failures: list[BaseException] = []
    pending: set[asyncio.Task[ByteStream]] = set()
    left = list(addresses)
    try:
        while left or pending:
            if left:
                pending.add(asyncio.create_task(ByteStream.open(left.pop(0))))
            done, pending = await asyncio.wait(
                pending,
                timeout=_ATTEMPT_DELAY_SECONDS if left else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            # The others that connected at the same moment are closed like those that still may.
            pending |= done
            for task in done:
                if (failure := task.exception()) is None:
                    pending.discard(task)
                    return task.result()
                pending.discard(task)
                failures.append(failure)
        raise failures[0]
    finally:
        for task in pending:
            task.cancel()
            task.add_done_callback(_abort_result)


def _abort_result(task: "asyncio.Task[ByteStream]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().abort()


class ByteStream(asyncio.Protocol):
    """A TCP connection, with TLS once that is started."""

    def __init__(self) -> None:
        self._tcp: Any = None
        self._transport: Any = None
        self._buffer = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Return a stream to an address.

        Raises:
            OSError: there is no connection.

        """
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(cls, *address, flags=socket.AI_NUMERICHOST)
        return stream

    async def start_tls(self, certificates: ssl.SSLContext, server_name: str) -> str:
        """Put TLS on the stream, and return its version; close the stream if that fails.

        Raises:
            OSError: there is no TLS, or the certificate is not trusted.

        """
        loop = asyncio.get_running_loop()
        plain = self._transport
        if plain is not self._tcp:
            # TLS in TLS: that of asyncio before 3.11.8 and 3.12.2 raises a TypeError (gh-113214).
            plain._force_close = self._tcp._force_close  # noqa: SLF001
        try:
            self._raise_unless_quiet()
            self._transport = await loop.start_tls(
                plain, self, certificates, server_hostname=server_name
            )
        except BaseException:
            self._tcp.abort()
            raise
        if self._transport is None:
            # The connection was lost right after the handshake.
            self._transport = plain
            raise self._error or ConnectionResetError
        version: str = self._transport.get_extra_info("ssl_object").version()
        return version

    def _raise_unless_quiet(self) -> None:
        if self._ended:
            raise self._error or ConnectionResetError
        if self._buffer:
            # It would be taken for what TLS protects.
            raise ConnectionError("data came before TLS")

    def write(self, data: bytes) -> None:
        """Send data; that it cannot be sent shows when the response is read."""
        self._transport.write(data)

    async def read(self) -> bytes:
        """Return what came, some kilobytes at most; nothing at the end of the stream.

        Raises:
            OSError: the connection broke.

        """
        if self._buffer:
            # A peer that sends faster than this is read must not keep other tasks waiting.
            await asyncio.sleep(0)
        elif not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if not self._buffer and self._error is not None:
            raise self._error.with_traceback(None)
        data = bytes(self._buffer[:_READ_BYTES])
        del self._buffer[:_READ_BYTES]
        if len(self._buffer) < _BUFFER_BYTES and not self._ended:
            self._transport.resume_reading()
        return data

    def is_quiet(self) -> bool:
        """Return whether the stream is open and nothing has come that was not read."""
        if self._ended or self._buffer or self._transport.is_closing():
            return False
        return not _is_readable(self._transport.get_extra_info("socket"))

    def abort(self) -> None:
        """Close the stream at once."""
        self._ended = True
        self._tcp.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, which is TCP's; TLS has its own on top."""
        self._transport = self._tcp = transport

    def data_received(self, data: bytes) -> None:
        """Keep what came until it is read."""
        self._buffer += data
        if len(self._buffer) >= _BUFFER_BYTES:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Note that nothing more will come; the transport closes itself afterwards."""
        self._ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end, and what is raised once all that came is read."""
        self._ended, self._error = True, error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _is_readable(connection: Any) -> bool:
    """Return whether a socket has something to be read, which may be its end."""
    if not hasattr(select, "poll"):
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
