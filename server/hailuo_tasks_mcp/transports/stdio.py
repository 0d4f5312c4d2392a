"""Serves an MCP server over stdin and stdout, to a clean end.

The SDK's transport cancels the requests in flight the moment stdin ends. A client that writes its
requests and closes stdin, as a shell pipe does, would get "Connection closed" for each of them; so
the end of stdin is passed on once all of them are answered, or `GRACE_SECONDS` later.

Nor does it answer a line that is no message, for whose answer the sender would wait for ever; so
that is done here, with the errors of JSON-RPC.
"""

import json
from typing import Any, Self

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)
from pydantic import ValidationError

# Below the 2 seconds after which the SDK's own client kills a server whose stdin it has closed.
GRACE_SECONDS = 1.0


def serve_stdio(server: Server[Any]) -> None:
    """Serve until stdin closes.

    Raises:
        BrokenPipeError: in a group; the client no longer reads stdout.

    """
    anyio.run(_serve, server)


async def _serve(server: Server[Any]) -> None:
    in_flight = _InFlight()
    async with stdio_server() as (received, sent):
        await server.run(
            _ReceiveStream(received, in_flight, sent),
            _SendStream(sent, in_flight),
            server.create_initialization_options(),
        )


class _InFlight:
    """The requests that are not answered yet."""

    def __init__(self) -> None:
        self._ids: set[RequestId] = set()
        self._answered = anyio.Event()

    def add(self, request_id: RequestId) -> None:
        self._ids.add(request_id)

    def discard(self, request_id: RequestId | None) -> None:
        self._ids.discard(request_id)
        self._answered.set()
        self._answered = anyio.Event()

    async def drain(self) -> None:
        """Wait until all requests are answered, for `GRACE_SECONDS` at most."""
        with anyio.move_on_after(GRACE_SECONDS):
            while self._ids:
                await self._answered.wait()


class _Stream:
    """What both halves of the stream pair have in common."""

    def __init__(self, inner: Any, in_flight: _InFlight) -> None:
        self._inner = inner
        self._in_flight = in_flight

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _ReceiveStream(_Stream):
    def __init__(self, inner: Any, in_flight: _InFlight, sent: Any) -> None:
        super().__init__(inner, in_flight)
        self._sent = sent

    async def receive(self) -> SessionMessage | Exception:
        try:
            item: SessionMessage | Exception = await self._inner.receive()
        except anyio.EndOfStream:
            await self._in_flight.drain()
            raise
        match item:
            case ValidationError() if (error := _error_for(item)) is not None:
                await self._sent.send(SessionMessage(error))
            case SessionMessage(message=JSONRPCRequest(id=request_id)):
                self._in_flight.add(request_id)
            case SessionMessage(
                message=JSONRPCNotification(
                    method="notifications/cancelled",
                    params={"requestId": str() | int() as request_id},
                )
            ):
                self._in_flight.discard(request_id)
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


class _SendStream(_Stream):
    async def send(self, item: SessionMessage) -> None:
        await self._inner.send(item)
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._in_flight.discard(item.message.id)


def _error_for(problem: ValidationError) -> JSONRPCError | None:
    """Return the answer to a line that is no message; None if it must not have one."""
    line = _line(problem)
    if isinstance(line, str):
        if not line.strip():
            return None
        return _error(None, PARSE_ERROR, "Parse error: the line cannot be read as JSON.")
    request_id = None
    if isinstance(line, dict):
        if line.keys() & {"result", "error"} or ("method" in line and "id" not in line):
            # Two sides that answer answers could go on for ever; a notification has none.
            return None
        request_id = line.get("id")
    return _error(
        request_id if _can_be_answered(request_id) else None,
        INVALID_REQUEST,
        "Invalid request: the line is not one JSON-RPC 2.0 message.",
    )


def _can_be_answered(request_id: Any) -> bool:
    """Return whether this is an id that an answer can repeat."""
    if isinstance(request_id, str):
        # Half a surrogate pair cannot be encoded.
        return not any("\ud800" <= char <= "\udfff" for char in request_id)
    # Not isinstance: a boolean is an int too.
    return type(request_id) is int


def _line(problem: ValidationError) -> Any:
    """Return the JSON of the line that was no message; the line itself if it is no JSON."""
    details = problem.errors(include_url=False, include_context=False)
    if details[0]["type"] == "json_invalid":
        # Python reads some JSON that the SDK does not: half a surrogate pair, deep nesting.
        line: str = details[0]["input"]
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return line
        return value if isinstance(value, dict) else line
    # It was validated as every kind of message; the input of some detail is the line itself.
    lines = [
        detail for detail in details if len(detail["loc"]) == 1 + (detail["type"] == "missing")
    ]
    return lines[0]["input"] if lines else None


def _error(request_id: RequestId | None, code: int, message: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message))
