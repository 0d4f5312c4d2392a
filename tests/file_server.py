"""A little server of files that does to downloads what the world does."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from helpers import TIMEOUT_SECONDS


@dataclass
class Exchange:
    """A request, and where its response goes."""

    target: str
    head: str
    writer: asyncio.StreamWriter

    def header(self, name: str) -> str | None:
        found = re.search(rf"^{name}: (.*)\r$", self.head, re.IGNORECASE | re.MULTILINE)
        return found[1] if found else None

    @property
    def start(self) -> int:
        """The first byte of the range that is asked for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.header("range") or "bytes=0-")
        assert found
        return int(found[1])

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()


Act = Callable[[Exchange], Awaitable[None]]


def head(status: str, **headers: object) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{n.replace('_', '-')}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def ranged_head(exchange: Exchange, content: bytes, **headers: object) -> bytes:
    """Return the head of a response with the range that is asked for."""
    start, size = exchange.start, len(content)
    if not exchange.header("range"):
        return head("200 OK", content_length=size, **headers)
    span = f"bytes {start}-{size - 1}/{size}"
    return head("206 Partial", content_length=size - start, content_range=span, **headers)


def serve(content: bytes, **headers: object) -> Act:
    async def act(exchange: Exchange) -> None:
        response = ranged_head(exchange, content, **headers)
        await exchange.send(response, content[exchange.start :])

    return act


def sends(*parts: bytes) -> Act:
    """Send these bytes, whatever is asked for."""

    async def act(exchange: Exchange) -> None:
        await exchange.send(*parts)

    return act


def without_ranges(content: bytes, *, after: int | None = None) -> Act:
    """Send a file from its beginning, whatever range is asked for, up to a place of it."""
    return sends(head("200 OK", content_length=len(content)), content[:after])


def breaks_off(content: bytes, after: int, *, reset: bool = False) -> Act:
    """Send up to a place of the content, then close or reset the connection."""

    async def act(exchange: Exchange) -> None:
        response = ranged_head(exchange, content)
        await exchange.send(response, content[exchange.start : after])
        if reset:
            # All that was written has been taken by the other side's kernel, or is lost: as it is.
            exchange.writer.transport.abort()

    return act


def hangs(content: bytes, after: int) -> Act:
    """Send up to a place of the content, then nothing, for as long as the other side stays."""

    async def act(exchange: Exchange) -> None:
        await exchange.send(ranged_head(exchange, content), content[exchange.start : after])
        await exchange.writer.wait_closed()

    return act


def answers(status: str, body: bytes = b"", **headers: object) -> Act:
    return sends(head(status, content_length=len(body), **headers), body)


def redirects(location: str, status: str = "302 Found") -> Act:
    return answers(status, b"elsewhere", location=location)


def endless(beginning: bytes) -> Act:
    """Send without a length and without an end."""

    async def act(exchange: Exchange) -> None:
        await exchange.send(head("200 OK"), beginning)
        while not exchange.writer.is_closing():
            await exchange.send(bytes(1 << 16))

    return act


@dataclass
class FileServer:
    """The server.

    Attributes:
        url: where it is.
        acts: what it does with the requests for each path, one after the other, the last for ever.
        requests: those that came.

    """

    url: str = ""
    acts: dict[str, Sequence[Act]] = field(default_factory=dict)
    requests: list[Exchange] = field(default_factory=list)

    def link(self, path: str, *acts: Act) -> str:
        """Return the URL of a file, and have the server do this with the requests for it."""
        self.acts[path] = acts
        return self.url + path

    @property
    def targets(self) -> list[str]:
        return [request.target for request in self.requests]

    @property
    def ranges(self) -> list[str | None]:
        return [request.header("range") for request in self.requests]

    async def on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            text = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"^content-length: (\d+)\r$", text, re.IGNORECASE | re.MULTILINE)
            await reader.readexactly(int(length[1]) if length else 0)
            exchange = Exchange(text.split(" ")[1], text, writer)
            before = self.targets.count(exchange.target)
            self.requests.append(exchange)
            acts = self.acts[exchange.target]
            await acts[min(before, len(acts) - 1)](exchange)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


@asynccontextmanager
async def file_server() -> AsyncIterator[FileServer]:
    """Serve on a port of 127.0.0.1 until the end of the block."""
    files = FileServer()
    handlers: set[asyncio.Task[None]] = set()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        handlers.add(task)
        # Python 3.11 tells of a handler that was cancelled as of an error.
        with suppress(asyncio.CancelledError):
            await files.on_connection(reader, writer)

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    async with server, asyncio.timeout(TIMEOUT_SECONDS):
        port = server.sockets[0].getsockname()[1]
        files.url = f"http://127.0.0.1:{port}"
        try:
            yield files
        finally:
            server.close()
            for task in handlers:
                task.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)
