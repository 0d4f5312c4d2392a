"""Lists of MCP, of which each of this server's fits on one page."""

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams


def refuse_cursor(params: PaginatedRequestParams | None) -> None:
    """Refuse a request for another page than the first.

    Raises:
        MCPError: it has a cursor, and none was ever given out.

    """
    if params is not None and params.cursor is not None:
        raise MCPError(code=INVALID_PARAMS, message="Unknown cursor: ask without one.")
