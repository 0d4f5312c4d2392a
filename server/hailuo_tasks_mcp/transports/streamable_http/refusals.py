"""Requests that are refused before MCP sees them."""

from collections.abc import Mapping

from mcp_types import INVALID_REQUEST, ErrorData, JSONRPCError
from starlette.responses import Response


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response that refuses a request, as an error of JSON-RPC without an id.

    Args:
        status: of HTTP.
        message: what was wrong and what to do, for whoever set the client up.
        headers: of the response.

    """
    body = JSONRPCError(
        jsonrpc="2.0", id=None, error=ErrorData(code=INVALID_REQUEST, message=message)
    )
    return Response(
        body.model_dump_json(by_alias=True, exclude_unset=True),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )
