"""The extension `io.modelcontextprotocol/tasks`: its methods, and which clients they are for."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    RequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from hailuo_tasks_mcp.api.client import Api
from hailuo_tasks_mcp.tools.handles import NotAHandleError
from hailuo_tasks_mcp.tools.mcp_tasks import McpTasks
from hailuo_tasks_mcp.tools.tool import ToolContext

TASKS_EXTENSION = "io.modelcontextprotocol/tasks"
TASK_METHODS = ("tasks/get", "tasks/cancel", "tasks/update")

_UNKNOWN = (
    "Unknown task: this server gave out no such id, or too long ago. Call the tool again, with the "
    "task ids of the videos."
)

Request = ServerRequestContext[Api, Any]
OpenContext = Callable[[Request], AbstractContextManager[ToolContext]]


class TaskRequestParams(RequestParams):
    """The params of a request about an MCP task.

    Whether there is an id is checked after whether the client may ask.
    """

    task_id: Any = None


def declares_tasks(request: Request) -> bool:
    """Return whether the client declared the extension with this very request."""
    declared = request.session.client_capabilities
    return (
        request.protocol_version in MODERN_PROTOCOL_VERSIONS
        and declared is not None
        and TASKS_EXTENSION in (declared.extensions or {})
    )


def add_tasks_extension(
    server: Server[Api], mcp_tasks: McpTasks, open_context: OpenContext
) -> None:
    """Add the extension to a server.

    Args:
        server: the server, whose handler of `tools/call` answers clients that declare the
            extension with MCP tasks.
        mcp_tasks: its MCP tasks.
        open_context: returns what a request has to work with, until the `with` ends.

    """

    async def on_get(context: ToolContext, mcp_task_id: str) -> HandlerResult:
        return await mcp_tasks.get(context, mcp_task_id)

    async def on_cancel(context: ToolContext, mcp_task_id: str) -> HandlerResult:
        mcp_tasks.cancel(context, mcp_task_id)
        return {}

    async def on_update(context: ToolContext, mcp_task_id: str) -> HandlerResult:
        # Brings answers to questions, of which none is ever asked.
        mcp_tasks.check(context, mcp_task_id)
        return {}

    def add(method: str, answer: Callable[[ToolContext, str], Awaitable[HandlerResult]]) -> None:
        async def handle(request: Request, params: TaskRequestParams) -> HandlerResult:
            _require_declared(request)
            mcp_task_id = params.task_id if isinstance(params.task_id, str) else ""
            with open_context(request) as context:
                try:
                    return await answer(context, mcp_task_id)
                except NotAHandleError:
                    raise MCPError(INVALID_PARAMS, _UNKNOWN) from None

        server.add_request_handler(method, TaskRequestParams, handle)

    add("tasks/get", on_get)
    add("tasks/cancel", on_cancel)
    add("tasks/update", on_update)
    server.extensions[TASKS_EXTENSION] = {}


def _require_declared(request: Request) -> None:
    """Refuse a request about MCP tasks by a client that does not declare them."""
    if request.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        # The tasks of older revisions are others, of which this server has none.
        raise MCPError(METHOD_NOT_FOUND, "Method not found", request.method)
    if not declares_tasks(request):
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            f"{request.method} needs the client capability {TASKS_EXTENSION}.",
            {"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}},
        )
