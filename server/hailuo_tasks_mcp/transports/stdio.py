"""Serves an MCP server over stdin and stdout, to a clean end.

In place of the SDK's transport, which differs in four ways:

- It cancels the requests in flight the moment stdin ends. A client that writes its requests and
  closes stdin, as a shell pipe does, would get "Connection closed" for each of them; so the end of
  stdin is passed on once all of them are answered, or `GRACE_SECONDS` later.
- It does not answer a line that is no message, for whose answer the sender would wait for ever, and
  takes a request with an id of a wrong type for a notification.
- It holds lines of any length, and any number of requests.
- Its threads block on stdin and stdout, and the process stays until they return. Here they are
  daemons, and a client that no longer reads stdout is noticed even when nothing is written.
"""

import asyncio
import json
import math
import os
import queue
import re
import select
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, Self

import anyio
from mcp.server.lowlevel import Server
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_REQUEST,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)

from hailuo_tasks_mcp.descriptors import STDIN, STDOUT, read_chunk, write_all
from hailuo_tasks_mcp.transports.jsonrpc import (
    NotAMessageError,
    can_be_answered,
    error,
    read_message,
)

# Below the 2 seconds after which the SDK's own client kills a server whose stdin it has closed.
GRACE_SECONDS = 1.0
# For the last answers; the sum of both is below those 2 seconds too.
FLUSH_SECONDS = 0.5
_CHECK_SECONDS = 0.1
# A call with all the ids that it may have takes some kilobytes.
MAX_LINE_BYTES = 1 << 19
_END_BYTES = 512
# The id where it is the first member of the message, after the version or not, or the last one.
_ID = rb'"id"\s*:\s*("[^"\\]{1,128}"|-?[0-9]{1,18})'
_VERSION = rb'"jsonrpc"\s*:\s*"2\.0"'
_ID_FIRST = rb"\s*\{\s*(?:" + _VERSION + rb"\s*,\s*)?" + _ID + rb"\s*,"
_ID_LAST = rb",\s*" + _ID + rb"\s*(?:,\s*" + _VERSION + rb"\s*)?\}\s*\Z"
# Each takes some 10 kB. Further ones stay in the pipe until some are answered.
MAX_IN_FLIGHT = 1_000


def serve_stdio(server: Server[Any]) -> None:
    """Serve until stdin closes, or the client no longer reads stdout.

    Raises:
        OSError: stdout cannot be written for another reason.

    """
    with _private_descriptors() as (received, sent):
        anyio.run(_serve, server, received, sent)


@contextmanager
def _private_descriptors() -> Iterator[tuple[int, int]]:
    """Yield duplicates of stdin and stdout, which only the protocol uses.

    Meanwhile both are the null device, so that nothing else can read or write a message.
    """
    private = os.dup(STDIN), os.dup(STDOUT)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (STDIN, STDOUT):
        os.dup2(null, descriptor)
    os.close(null)
    try:
        yield private
    finally:
        # The duplicates stay open: a thread may still block on them.
        for descriptor, duplicate in zip((STDIN, STDOUT), private, strict=True):
            os.dup2(duplicate, descriptor)


async def _serve(server: Server[Any], received: int, sent: int) -> None:
    scope = anyio.CancelScope()
    output = _Output(sent, scope.cancel)
    in_flight = _InFlight()
    _watch(
        received, {received: partial(output.end_when_idle, in_flight.give_up), sent: output.on_gone}
    )
    with scope:
        await server.run(
            _ReceiveStream(_Lines(received), in_flight, output),
            _SendStream(in_flight, output),
            server.create_initialization_options(),
        )
    await output.flush()
    if output.error is not None:
        raise output.error


class _Output:
    """Lines for stdout, written by a thread.

    Args:
        descriptor: of stdout.
        stop: ends the serving.

    Attributes:
        error: why lines can no longer be written, unless the client is gone.

    """

    def __init__(self, descriptor: int, stop: Callable[[], None]) -> None:
        self.error: OSError | None = None
        self._descriptor = descriptor
        self._stop = stop
        self._ending = False
        self._lines: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        self._gone = False
        self._unwritten = 0
        self._loop = asyncio.get_running_loop()
        self._progress_seconds = self._loop.time()
        threading.Thread(target=self._write, name="stdout", daemon=True).start()

    async def send(self, line: bytes) -> None:
        """Return when the line is written or, at the end, at once."""
        written = self._loop.create_future()
        if not self._unwritten:
            self._progress_seconds = self._loop.time()
        self._unwritten += 1
        self._lines.put((line, written))
        if not self._ending:
            await written

    def end(self) -> None:
        """Let no further line wait until it is written."""
        self._ending = True

    async def flush(self) -> None:
        """Wait until all lines are written, for `FLUSH_SECONDS` at most."""
        if self._gone:
            return
        self._ending = False
        with anyio.move_on_after(FLUSH_SECONDS):
            await self.send(b"")

    def on_gone(self) -> None:
        """Stop, because the client no longer reads."""
        self._gone = True
        self.end()
        self._stop()

    def end_when_idle(self, give_up: Callable[[], None]) -> None:
        """Stop or, if no line waits, give up, when none has been written for `GRACE_SECONDS`."""
        self._progress_seconds = self._loop.time()
        self._check_progress(give_up)

    def _check_progress(self, give_up: Callable[[], None]) -> None:
        idle_at = self._progress_seconds + GRACE_SECONDS
        if self._loop.time() >= idle_at:
            if self._unwritten:
                self.on_gone()
                return
            give_up()
            idle_at = self._loop.time() + _CHECK_SECONDS
        self._loop.call_at(idle_at, self._check_progress, give_up)

    def _write(self) -> None:
        # No one waits for this thread when the loop is closed.
        with suppress(RuntimeError):
            while True:
                line, written = self._lines.get()
                error = None
                try:
                    write_all(self._descriptor, line)
                except OSError as failure:
                    error = failure
                self._loop.call_soon_threadsafe(self._on_written, written, error)

    def _on_written(self, written: "asyncio.Future[None]", error: OSError | None) -> None:
        self._unwritten -= 1
        self._progress_seconds = self._loop.time()
        if not written.done():
            written.set_result(None)
        if error is not None:
            # Some hosts use sockets for stdin and stdout.
            if not isinstance(error, BrokenPipeError | ConnectionResetError):
                self.error = error
            self.on_gone()


def _watch(stdin: int, on_closed: dict[int, Callable[[], None]]) -> None:
    """Have a thread notice that the client has closed its end of stdin or stdout, by descriptor.

    Of stdout that shows only here as long as nothing is written. Of stdin it shows in what is read,
    but that may have to wait for answers, or for someone who reads them. Where there is no `poll`,
    as on Windows, or where it does not tell, as is reported of macOS, it is left at that.
    """
    if not hasattr(select, "poll"):
        return
    loop = asyncio.get_running_loop()

    def watch() -> None:
        poll = select.poll()
        for descriptor in on_closed:
            # That the other end is closed is always told. That it sends no more is an event of
            # sockets, which Node.js uses; of stdout it means nothing.
            half_closed = getattr(select, "POLLRDHUP", 0) if descriptor == stdin else 0
            poll.register(descriptor, half_closed)
        with suppress(RuntimeError):
            while True:
                for descriptor, _ in poll.poll():
                    poll.unregister(descriptor)
                    loop.call_soon_threadsafe(on_closed[descriptor])

    threading.Thread(target=watch, name="hang-up", daemon=True).start()


class _TooLongLine(NamedTuple):
    """What is kept of a line that is too long: the ends, because one of them has the id."""

    head: bytes
    tail: bytes


class _Lines(asyncio.ReadTransport):
    """The lines on stdin, read by a thread, and no more of them than are wanted."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._paused = False
        self._wanted = threading.Event()
        self._wanted.set()
        self._reader = asyncio.StreamReader(MAX_LINE_BYTES)
        self._reader.set_transport(self)
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    async def next(self) -> "bytes | _TooLongLine":
        """Return the next line; of one that is too long, both ends.

        Raises:
            EndOfStream: stdin has ended.

        """
        head = tail = b""
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                part = await self._reader.readexactly(error.consumed)
                head, tail = head or part[:_END_BYTES], (tail + part)[-_END_BYTES:]
                continue
            except asyncio.IncompleteReadError as error:
                line = error.partial
                if not line and not head:
                    raise anyio.EndOfStream from None
            return _TooLongLine(head, (tail + line)[-_END_BYTES:]) if head else line

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._wanted.set()

    def _read(self) -> None:
        chunk = b"-"
        with suppress(RuntimeError):
            while chunk:
                self._wanted.wait()
                self._wanted.clear()
                try:
                    chunk = read_chunk(self._descriptor)
                except OSError:
                    # Whatever the reason, nothing more will come.
                    chunk = b""
                self._loop.call_soon_threadsafe(self._on_read, chunk)

    def _on_read(self, chunk: bytes) -> None:
        if not chunk:
            self._reader.feed_eof()
            return
        self._reader.feed_data(chunk)
        if not self._paused:
            self._wanted.set()


class _InFlight:
    """The requests that are not answered yet."""

    def __init__(self) -> None:
        # Counted, because a client may use an id again before it is answered.
        self._ids: Counter[RequestId | None] = Counter()
        self._highest: float = MAX_IN_FLIGHT
        self._grace_seconds = GRACE_SECONDS
        self._answered = anyio.Event()

    def add(self, request_id: RequestId) -> None:
        # As the SDK has it, to which "7" is 7.
        self._ids[coerce_request_id(request_id)] += 1

    def discard(self, request_id: RequestId | None) -> None:
        key = None if request_id is None else coerce_request_id(request_id)
        if key in self._ids:
            self._ids[key] -= 1
            if not self._ids[key]:
                del self._ids[key]
        self._wake()

    def give_up(self) -> None:
        """Wait for none of them any more, so that the end of stdin is read."""
        self._highest = math.inf
        self._grace_seconds = 0.0
        self._wake()

    def _wake(self) -> None:
        self._answered.set()
        self._answered = anyio.Event()

    async def wait_for_room(self) -> None:
        """Wait until there are fewer than `MAX_IN_FLIGHT`."""
        while self._ids.total() >= self._highest:
            await self._answered.wait()

    async def drain(self) -> None:
        """Wait until all requests are answered, for `GRACE_SECONDS` at most."""
        with anyio.move_on_after(self._grace_seconds):
            while self._ids:
                await self._answered.wait()


class _Stream:
    """What both streams of the pair have in common, which the SDK's server closes."""

    async def aclose(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _SendStream(_Stream):
    def __init__(self, in_flight: _InFlight, output: _Output) -> None:
        self._in_flight = in_flight
        self._output = output

    async def send(self, item: SessionMessage) -> None:
        await self._output.send(_line(item.message))
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._in_flight.discard(item.message.id)


class _ReceiveStream(_Stream):
    def __init__(self, lines: _Lines, in_flight: _InFlight, output: _Output) -> None:
        self._lines = lines
        self._in_flight = in_flight
        self._output = output

    async def receive(self) -> SessionMessage | Exception:
        while True:
            # Many lines can be there at once.
            await asyncio.sleep(0)
            await self._in_flight.wait_for_room()
            try:
                line = await self._lines.next()
            except anyio.EndOfStream:
                await self._in_flight.drain()
                self._output.end()
                raise
            message = _too_long(line) if isinstance(line, _TooLongLine) else _message(line)
            if isinstance(message, SessionMessage):
                self._note(message)
                return message
            if message is not None:
                await self._output.send(_line(message))

    def _note(self, item: SessionMessage) -> None:
        match item.message:
            case JSONRPCRequest(id=request_id):
                self._in_flight.add(request_id)
            case JSONRPCNotification(method="notifications/cancelled", params=params):
                # The SDK does not answer what is cancelled.
                self._in_flight.discard(cancelled_request_id_from_params(params))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


def _line(message: Any) -> bytes:
    """Return a message as it is sent."""
    return f"{message.model_dump_json(by_alias=True, exclude_unset=True)}\n".encode()


def _message(line: bytes) -> SessionMessage | JSONRPCError | None:
    """Return the message of a line; the answer if it is none; None if it must not have one."""
    # Some shells write a byte-order mark.
    text = line.decode("utf-8-sig", "replace")
    if not text.strip():
        return None
    try:
        return SessionMessage(read_message(text))
    except NotAMessageError as problem:
        return problem.answer


def _too_long(line: "_TooLongLine") -> JSONRPCError | None:
    """Return the answer to a line that is too long, with its id, or its sender would wait."""
    if re.search(rb'^\s*\{[^{]*"(result|error)"\s*:', line.head):
        # Two sides that answer answers could go on for ever.
        return None
    found = re.match(_ID_FIRST, line.head) or re.search(_ID_LAST, line.tail)
    request_id = None if found is None else json.loads(found[1].decode(errors="replace"))
    return error(
        request_id if can_be_answered(request_id) else None,
        INVALID_REQUEST,
        f"Invalid request: the line is longer than {MAX_LINE_BYTES} bytes.",
    )
