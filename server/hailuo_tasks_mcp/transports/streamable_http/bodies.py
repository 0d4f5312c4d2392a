"""The body of a request: read within bounds, and refused if it is no message."""

from codecs import BOM_UTF8

from mcp.server.streamable_http import check_accept_headers
from mcp_types import PARSE_ERROR
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from hailuo_tasks_mcp.text import max_json_values
from hailuo_tasks_mcp.transports.jsonrpc import NotAMessageError, error, read_message
from hailuo_tasks_mcp.transports.streamable_http.refusals import error_response, refusal

MAX_BODY_BYTES = 1 << 20
# A call with all the ids that it may have has some 1,000.
MAX_VALUES = 20_000
# So much of a body that is too long is read all the same: a client that still sends when the
# connection is closed may not come to read why.
_MAX_DISCARDED_BYTES = 1 << 24


def media_refusal(scope: Scope) -> Response | None:
    """Return the response to a request of another media type than MCP's.

    The SDK looks at these too, but has no words for each revision.
    """
    media_type = Headers(scope=scope).get("content-type", "").partition(";")[0]
    if media_type.strip().lower() != "application/json":
        return refusal(415, "The Content-Type must be application/json.")
    if not all(check_accept_headers(Request(scope))):
        return refusal(
            406, "The Accept header must allow both application/json and text/event-stream."
        )
    return None


async def read_body(scope: Scope, receive: Receive) -> Receive | Response:
    """Read the body of a request, which is refused if it is too long or no message.

    Returns: what brings the body once more, and then what comes after it; or the refusal.

    Raises:
        ClientDisconnect: the client has gone before its end.

    """
    body = bytearray()
    received_bytes, more_body = 0, True
    # h11 has checked that it is a number.
    if float(Headers(scope=scope).get("content-length", "0")) > _MAX_DISCARDED_BYTES:
        return _too_long()
    while more_body and received_bytes <= _MAX_DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        received_bytes += len(part)
        if received_bytes <= MAX_BODY_BYTES:
            body += part
        more_body = message.get("more_body", False)
    if received_bytes > MAX_BODY_BYTES:
        return _too_long()
    checked = _checked(bytes(body))
    return checked if isinstance(checked, Response) else _replayed(checked, receive)


def _checked(body: bytes) -> bytes | Response:
    """Return a body that is one message, as UTF-8 without a byte-order mark."""
    body = body.removeprefix(BOM_UTF8)
    if max_json_values(body) > MAX_VALUES:
        return refusal(413, f"The body has more than {MAX_VALUES:,} JSON values.")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return error_response(400, error(None, PARSE_ERROR, "Parse error: this is not UTF-8."))
    try:
        read_message(text)
    except NotAMessageError as problem:
        if problem.answer is None:
            return refusal(400, "This is not one JSON-RPC 2.0 message.")
        return error_response(400, problem.answer)
    return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    # Kept no longer than needed: the call may wait, and the SDK has its own copy.
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _too_long() -> Response:
    # What is left of the body would be taken for the next request.
    return refusal(
        413, f"The body has more than {MAX_BODY_BYTES:,} bytes.", {"connection": "close"}
    )
