"""JSON-RPC: what a text is read as, and what its sender is told if that is no message.

The SDK does not answer a text that is no message, for whose answer the sender would wait for ever,
or answers it in the words of its parser; and it takes a request with an id of a wrong type for a
notification.
"""

import json
from typing import Any

from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import from_json

_BAD_ID = "Invalid request: its id must be a text or a whole number."
_NO_MESSAGE = "Invalid request: this is not one JSON-RPC 2.0 message."


class NotAMessageError(Exception):
    """A text is no message.

    Args:
        answer: what its sender is told; None where it must not have an answer.

    """

    def __init__(self, answer: JSONRPCError | None) -> None:
        super().__init__("Not a message")
        self.answer = answer


def read_message(text: str) -> JSONRPCMessage:
    """Return the message that a text is.

    Raises:
        NotAMessageError: it is none.

    """
    try:
        message = jsonrpc_message_adapter.validate_json(text, by_name=False)
    except ValidationError:
        pass
    else:
        # One of these with an id is a request whose id is of a wrong type.
        if not isinstance(message, JSONRPCNotification) or "id" not in from_json(text):
            return message
    raise NotAMessageError(_answer(text))


def _answer(text: str) -> JSONRPCError | None:
    try:
        # Python reads some JSON that the SDK does not: half a surrogate pair, deep nesting.
        value = json.loads(text)
    except (ValueError, RecursionError):
        return error(None, PARSE_ERROR, "Parse error: this cannot be read as JSON.")
    if not isinstance(value, dict):
        return error(None, INVALID_REQUEST, _NO_MESSAGE)
    if value.keys() & {"result", "error"} or ("method" in value and "id" not in value):
        # Two sides that answer answers could go on for ever; a notification has none.
        return None
    request_id = value.get("id")
    if can_be_answered(request_id):
        return error(request_id, INVALID_REQUEST, _NO_MESSAGE)
    return error(None, INVALID_REQUEST, _BAD_ID if "id" in value else _NO_MESSAGE)


def can_be_answered(request_id: Any) -> bool:
    """Return whether this is an id that an answer can repeat."""
    if isinstance(request_id, str):
        # Half a surrogate pair cannot be encoded.
        return not any("\ud800" <= char <= "\udfff" for char in request_id)
    # Not isinstance: a boolean is an int too.
    return type(request_id) is int


def error(request_id: RequestId | None, code: int, message: str) -> JSONRPCError:
    """Return the answer to a request that cannot be served."""
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message))
