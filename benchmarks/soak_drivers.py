"""Makes the soak's calls: over stdio, or over HTTP with several tokens."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import IO, Protocol

from http_servers import HttpServer, ours, serving
from http_wire import (
    REVISIONS,
    Caller,
    Connection,
    body_of,
    call_request,
    connect,
    fetch,
    get_request,
    messages_of,
    status_of,
)
from stdio_driver import OURS, Json, Server, running


class Driver(Protocol):
    """Makes calls of a running server."""

    server: Server | HttpServer

    async def ask(self, token: str, params: Json, seconds: float) -> Json:
        """Return the response to a call that is made with a token.

        Raises:
            TimeoutError: there was none after so many seconds, and the call was cancelled.

        """

    def unasked(self) -> int:
        """Return how many messages came that nobody waits for, nor waited before."""

    async def metrics(self) -> str:
        """Return what the server says of itself; nothing where it does not."""

    def close(self) -> None:
        """Close what is kept open between calls."""


class StdioDriver:
    """Makes calls over stdio, where the token is the server's own."""

    def __init__(self, server: Server) -> None:
        self.server: Server | HttpServer = server
        self._stdio = server
        self._cancelled: set[int] = set()

    async def ask(self, _: str, params: Json, seconds: float) -> Json:
        """Return the response to a call, or cancel it."""
        request_id = self._stdio.new_id()
        try:
            async with asyncio.timeout(seconds):
                return await self._stdio.ask("tools/call", params, request_id)
        except TimeoutError:
            self._stdio.send("notifications/cancelled", {"requestId": request_id})
            self._cancelled.add(request_id)
            raise

    def unasked(self) -> int:
        """Return how many messages came that nobody waits for, nor waited before."""
        return sum(message.get("id") not in self._cancelled for message in self._stdio.others)

    async def metrics(self) -> str:
        """Return nothing."""
        return ""

    def close(self) -> None:
        """Do nothing."""


class HttpDriver:
    """Makes calls over HTTP, at two revisions, on connections that serve one token after another.

    A proxy uses them so, and nothing of a caller may stay with a connection.
    """

    def __init__(self, server: HttpServer, rng: Random) -> None:
        self.server: Server | HttpServer = server
        self._port = server.port
        self._rng = rng
        self._connections: list[Connection] = []
        self._idle: list[Connection] = []
        self._calls = 0
        self._unasked = 0

    async def ask(self, token: str, params: Json, seconds: float) -> Json:
        """Return the response to a call, or drop its connection."""
        self._calls += 1
        number = self._calls
        caller = Caller(self._port, self._rng.choice(REVISIONS), token)
        request = call_request(caller, params["name"], params["arguments"], number)
        connection = None
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connection()
                messages = messages_of(await connection.send(request))
        except TimeoutError:
            if connection is not None:
                connection.close(reset=self._rng.random() < 0.5)  # noqa: PLR2004 - half of them
            raise
        self._idle.append(connection)
        self._unasked += sum(message.get("id") != number for message in messages)
        return messages[-1]

    async def _connection(self) -> Connection:
        """Return a connection that is idle, or a new one."""
        self._idle = [connection for connection in self._idle if connection.is_open]
        if self._idle:
            return self._idle.pop(self._rng.randrange(len(self._idle)))
        connection = await connect(self._port)
        self._connections.append(connection)
        return connection

    def unasked(self) -> int:
        """Return how many messages came that are not the response to their call."""
        return self._unasked + sum(connection.surplus > 0 for connection in self._connections)

    async def metrics(self) -> str:
        """Return the server's metrics."""
        response = await fetch(self._port, get_request(self._port, "/metrics"))
        if status_of(response) != 200:  # noqa: PLR2004 - OK
            raise RuntimeError(f"no metrics: {response[:1000]!r}")
        return body_of(response).decode()

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()


@asynccontextmanager
async def over_stdio(
    base_url: str, log: IO[bytes], token: str, **environ: str
) -> AsyncIterator[Driver]:
    """Start the server as a host does."""
    stderr = log.fileno()
    async with running(OURS, base_url, stderr, math.inf, token=token, **environ) as server:
        yield StdioDriver(server)


@asynccontextmanager
async def over_http(
    base_url: str, log: IO[bytes], rng: Random, **environ: str
) -> AsyncIterator[Driver]:
    """Start the server as an operator does."""
    arm = ours(*OURS.command)
    async with serving(arm, base_url, "--metrics", stderr=log.fileno(), **environ) as server:
        yield HttpDriver(server, rng)
