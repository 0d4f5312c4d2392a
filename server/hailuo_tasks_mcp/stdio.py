"""Serves an MCP server over stdin and stdout, to a clean end.

The SDK's transport gives up what is under way the moment stdin ends. A client that writes its
requests and closes, as a shell pipe does, would be told "Connection closed" for each of them; so
the end of stdin is passed on when everything asked has been answered, or `GRACE_SECONDS` later.
"""

import sys
from typing import Any, Self

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, RequestId

# Below the 2 seconds after which the SDK's own client kills a server whose stdin it has closed.
GRACE_SECONDS = 1.0


def serve_stdio(server: Server[Any]) -> None:
    """Serve until stdin closes."""
    anyio.run(_serve, server)


async def _serve(server: Server[Any]) -> None:
    unanswered = _Unanswered()
    try:
        async with stdio_server() as (requests, answers):
            await server.run(
                _Requests(requests, unanswered),
                _Answers(answers, unanswered),
                server.create_initialization_options(),
            )
    except* (BrokenPipeError, ConnectionResetError):
        # The client is gone, and with it whoever would read the answer. What is left of that in
        # the transport's buffer is tried once more when Python throws the buffer away.
        sys.unraisablehook = _but_broken_pipes


def _but_broken_pipes(unraisable: "sys.UnraisableHookArgs") -> None:
    if not isinstance(unraisable.exc_value, BrokenPipeError):
        sys.__unraisablehook__(unraisable)


class _Unanswered:
    """The requests that are under way."""

    def __init__(self) -> None:
        self._ids: set[RequestId] = set()
        self._fewer = anyio.Event()

    def add(self, request_id: RequestId) -> None:
        self._ids.add(request_id)

    def discard(self, request_id: RequestId | None) -> None:
        self._ids.discard(request_id)
        self._fewer.set()
        self._fewer = anyio.Event()

    async def settle(self) -> None:
        """Wait until nothing is under way, but not for long."""
        with anyio.move_on_after(GRACE_SECONDS):
            while self._ids:
                await self._fewer.wait()


class _Stream:
    """The half of a stream pair that only passes things on."""

    def __init__(self, inner: Any, unanswered: _Unanswered) -> None:
        self._inner = inner
        self._unanswered = unanswered

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Requests(_Stream):
    async def receive(self) -> SessionMessage | Exception:
        try:
            item: SessionMessage | Exception = await self._inner.receive()
        except anyio.EndOfStream:
            await self._unanswered.settle()
            raise
        match item:
            case SessionMessage(message=JSONRPCRequest(id=request_id)):
                self._unanswered.add(request_id)
            case SessionMessage(
                message=JSONRPCNotification(
                    method="notifications/cancelled",
                    params={"requestId": str() | int() as request_id},
                )
            ):
                self._unanswered.discard(request_id)
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


class _Answers(_Stream):
    async def send(self, item: SessionMessage) -> None:
        await self._inner.send(item)
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._unanswered.discard(item.message.id)
