"""Serves with uvicorn in this process, and talks to a server byte by byte."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from helpers import TIMEOUT_SECONDS


@asynccontextmanager
async def running(server: uvicorn.Server, listener: socket.socket) -> AsyncIterator[int]:
    """Run a server at a listening socket; yield its port."""
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def exchange(port: int, *parts: bytes) -> bytes:
    """Send bytes to a port of 127.0.0.1, and return all that comes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        while part := await reader.read(1 << 16):
            received += part
    except ConnectionError:
        pass
    finally:
        writer.close()
    return received
