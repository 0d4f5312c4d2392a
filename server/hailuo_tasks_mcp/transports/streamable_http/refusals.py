"""Responses to requests that the MCP server does not see."""

from collections.abc import Mapping

from mcp_types import INVALID_REQUEST, JSONRPCError
from starlette.responses import Response

from hailuo_tasks_mcp.transports.jsonrpc import error


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response that refuses a request.

    Args:
        status: of HTTP.
        message: what was wrong and what to do, for whoever set the client up.
        headers: of the response.

    """
    return error_response(status, error(None, INVALID_REQUEST, message), headers)


def error_response(
    status: int, answer: JSONRPCError, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with an error of JSON-RPC."""
    return Response(
        answer.model_dump_json(by_alias=True, exclude_unset=True),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )
