"""Takes connections on 127.0.0.1, byte by byte, for stand-ins of the API and of proxies."""

import asyncio
import re
import ssl
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

OnConnection = Callable[[StreamReader, StreamWriter], Awaitable[None]]


@dataclass
class Listener:
    """A port, and the connections to it that are open."""

    port: int = 0
    open: set[asyncio.Task[Any] | None] = field(default_factory=set)
    total: int = 0
    most_open: int = 0


@asynccontextmanager
async def listening(
    on_connection: OnConnection, certificates: ssl.SSLContext | None = None
) -> AsyncIterator[Listener]:
    """Handle the connections to a port; yield it, and wait for the last one at the end.

    A connection is closed when its handler returns, or when the other side has gone.
    """
    listener = Listener()

    async def handle(reader: StreamReader, writer: StreamWriter) -> None:
        listener.open.add(asyncio.current_task())
        listener.total += 1
        listener.most_open = max(listener.most_open, len(listener.open))
        try:
            with suppress(OSError, IncompleteReadError):
                await on_connection(reader, writer)
        finally:
            listener.open.discard(asyncio.current_task())
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(
        handle, "127.0.0.1", 0, ssl=certificates, limit=2**20, backlog=500
    )
    async with server:
        listener.port = server.sockets[0].getsockname()[1]
        yield listener
        # In later Pythons a server waits for its connections, so it must not do so before this.
        await asyncio.gather(*filter(None, listener.open))


async def read_request(reader: StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body of the next HTTP request of a connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return head, await reader.readexactly(int(length[1]) if length else 0)
