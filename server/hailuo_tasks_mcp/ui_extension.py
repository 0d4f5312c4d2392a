"""The extension `io.modelcontextprotocol/ui`: the view as a resource, declared to every client."""

from collections.abc import Awaitable
from typing import Any, cast

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ListResourcesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)
from mcp_types import Tool as ToolDefinition

from hailuo_tasks_mcp.api.client import Api
from hailuo_tasks_mcp.pagination import refuse_cursor
from hailuo_tasks_mcp.tools.lookup import LookupTool
from hailuo_tasks_mcp.tools.tool import Tool
from hailuo_tasks_mcp.view.resource import RESOURCE, TOOL_META, URI, contents

UI_EXTENSION = "io.modelcontextprotocol/ui"
# What a server declares of it; only clients have settings.
_SETTINGS: dict[str, Any] = {}


def shown_in_view(tool: Tool) -> ToolDefinition:
    """Return what a tool publishes, with the view if that shows its answers.

    Clients of older revisions cannot always say whether they know the extension; those that do not
    ignore it.
    """
    if not isinstance(tool, LookupTool):
        return tool.definition
    return tool.definition.model_copy(update={"meta": TOOL_META})


def add_ui_extension(server: Server[Api]) -> None:
    """Add the extension to a server."""
    server.add_request_handler("resources/list", PaginatedRequestParams, _list)
    server.add_request_handler("resources/read", ReadResourceRequestParams, _read)
    server.extensions[UI_EXTENSION] = _SETTINGS
    server.middleware.append(cast("ServerMiddleware[Api]", _middleware))


async def _list(_: ServerRequestContext[Api], params: PaginatedRequestParams) -> HandlerResult:
    refuse_cursor(params)
    return ListResourcesResult(resources=[RESOURCE])


async def _read(_: ServerRequestContext[Api], params: ReadResourceRequestParams) -> HandlerResult:
    if params.uri != URI:
        message = f"Unknown resource. Resources: {URI}."
        raise MCPError(INVALID_PARAMS, message, {"uri": params.uri})
    return ReadResourceResult(contents=[contents()])


def _middleware(ctx: ServerRequestContext[Api], call_next: CallNext) -> Awaitable[HandlerResult]:
    # No coroutine for all else, because each call that waits would hold it.
    return _initialize(ctx, call_next) if ctx.method == "initialize" else call_next(ctx)


async def _initialize(ctx: ServerRequestContext[Api], call_next: CallNext) -> HandlerResult:
    """Declare the extension in the handshake too, from which the SDK leaves it out."""
    result = await call_next(ctx)
    if not isinstance(result, dict):
        return result
    capabilities = result.get("capabilities", {})
    extensions = {**capabilities.get("extensions", {}), UI_EXTENSION: _SETTINGS}
    return {**result, "capabilities": {**capabilities, "extensions": extensions}}
