"""Serves an `HttpApp` with uvicorn, to a clean end."""

import asyncio
import gc
import os
import socket
import sys
from functools import partial
from types import FrameType

import uvicorn
from sse_starlette.sse import AppStatus

from hailuo_tasks_mcp.transports.streamable_http.app import HttpApp
from hailuo_tasks_mcp.uvicorn_protocol import MAX_HEAD_BYTES, BoundedProtocol

MAX_CONNECTIONS = 4_000
# Of the two seconds in which a process ends; what is left is uvicorn's.
_DRAIN_SECONDS = 1.4
# Longer than the pause after which the usual proxies close a connection that they keep: whoever
# closes it first must be the one that sends requests.
_KEEP_ALIVE_SECONDS = 75
_GRACEFUL_SECONDS = 1


def serve_http(
    app: HttpApp, listener: socket.socket, *, stop_at_end_of_stdin: bool = False
) -> None:
    """Serve an app at a listening socket until SIGTERM or SIGINT.

    Args:
        app: what is served.
        listener: where.
        stop_at_end_of_stdin: whether to end as well when stdin does.

    """
    # It would cut the streams of clients of older revisions at the signal, without an answer.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
    _HttpServer(app, stop_at_end_of_stdin=stop_at_end_of_stdin).run([listener])


class _HttpServer(uvicorn.Server):
    """Drains its app before it ends."""

    def __init__(self, app: HttpApp, *, stop_at_end_of_stdin: bool) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                # Not httptools: it keeps blanks at the end of headers, which MCP compares.
                http=partial(BoundedProtocol, max_connections=MAX_CONNECTIONS),  # type: ignore[arg-type]
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                # A warning for each malformed request would let anyone fill the log.
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACEFUL_SECONDS,
            )
        )
        self._app = app
        self._stop_at_end_of_stdin = stop_at_end_of_stdin
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        if self._stop_at_end_of_stdin:
            self._loop.add_reader(sys.stdin.fileno(), self._on_stdin)
        await super().startup(sockets)
        # What has been loaded by now stays, so the garbage collector need not look at it.
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Take a signal: the first one drains, another one ends at once."""
        if self._drain is not None or self._loop is None:
            # Not uvicorn's `force_exit`, which leaves the app running, to be cancelled with a
            # traceback; `shutdown` closes what is busy, so it takes no time.
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(self._begin_to_drain)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            # What the drain has left: clients that do not finish their request, or do not read.
            if isinstance(connection, BoundedProtocol) and connection.is_busy:
                connection.transport.abort()
        await super().shutdown(sockets)

    def _on_stdin(self) -> None:
        descriptor = sys.stdin.fileno()
        if not os.read(descriptor, 1 << 12):
            asyncio.get_running_loop().remove_reader(descriptor)
            self._begin_to_drain()

    def _begin_to_drain(self) -> None:
        if self._drain is None:
            self._drain = asyncio.create_task(self._end())

    async def _end(self) -> None:
        await self._app.drain(_DRAIN_SECONDS)
        self.should_exit = True
