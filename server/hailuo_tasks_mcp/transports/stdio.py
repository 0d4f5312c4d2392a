"""Serves an MCP server over stdin and stdout, to a clean end.

The SDK's transport gives up what is under way the moment stdin ends. A client that writes its
requests and closes, as a shell pipe does, would be told "Connection closed" for each of them; so
the end of stdin is passed on when everything asked has been answered, or `GRACE_SECONDS` later.

Nor does it answer a line that is no message, and whoever sent it would wait for ever; so that is
done here, as JSON-RPC has it.
"""

import json
import sys
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
    """Serve until stdin closes."""
    anyio.run(_serve, server)


async def _serve(server: Server[Any]) -> None:
    unanswered = _Unanswered()
    try:
        async with stdio_server() as (requests, answers):
            await server.run(
                _Requests(requests, unanswered, answers),
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
    def __init__(self, inner: Any, unanswered: _Unanswered, answers: Any) -> None:
        super().__init__(inner, unanswered)
        self._answers = answers

    async def receive(self) -> SessionMessage | Exception:
        try:
            item: SessionMessage | Exception = await self._inner.receive()
        except anyio.EndOfStream:
            await self._unanswered.settle()
            raise
        match item:
            case ValidationError() if (refusal := _refusal(item)) is not None:
                await self._answers.send(SessionMessage(refusal))
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


def _refusal(problem: ValidationError) -> JSONRPCError | None:
    """Return the answer to a line that is no message; None if it must not have one."""
    line = _line(problem)
    if isinstance(line, str):
        if not line.strip():
            return None
        return _error(None, PARSE_ERROR, "Parse error: the line cannot be read as JSON.")
    request_id = None
    if isinstance(line, dict):
        if line.keys() & {"result", "error"} or ("method" in line and "id" not in line):
            # An answer to an answer could go on for ever; a notification wants none.
            return None
        request_id = line.get("id")
    return _error(
        request_id if _can_be_answered(request_id) else None,
        INVALID_REQUEST,
        "Invalid request: the line is not one JSON-RPC 2.0 message.",
    )


def _can_be_answered(request_id: Any) -> bool:
    """Tell whether this is an id that can be written down again."""
    if isinstance(request_id, str):
        # Half a surrogate pair cannot.
        return not any("\ud800" <= char <= "\udfff" for char in request_id)
    # Not bool, which Python counts among the whole numbers.
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
    # It was held against every kind of message, and of one at least it lacks a field.
    whole = [
        detail for detail in details if len(detail["loc"]) == 1 + (detail["type"] == "missing")
    ]
    return whole[0]["input"] if whole else None


def _error(request_id: RequestId | None, code: int, message: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message))
