"""The header `Mcp-Name` of a request about an MCP task; the SDK checks it for its own methods."""

from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.lowlevel.server import RequestHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import HEADER_MISMATCH
from starlette.requests import Request

from hailuo_tasks_mcp.api.client import Api
from hailuo_tasks_mcp.tasks_extension import TASK_METHODS, TaskRequestParams, declares_tasks


def check_task_headers(server: Server[Api]) -> None:
    """Have a server, whose requests come over HTTP, refuse one that names two MCP tasks.

    Proxies route by the header, so it must be there, and name the same as the body.
    """
    for method in TASK_METHODS:
        entry = server.get_request_handler(method)
        if entry is not None:
            server.add_request_handler(method, TaskRequestParams, _checked(entry.handler))


def _checked(
    handler: RequestHandler[Api, TaskRequestParams],
) -> RequestHandler[Api, TaskRequestParams]:
    async def handle(
        request: ServerRequestContext[Api, Request], params: TaskRequestParams
    ) -> HandlerResult:
        header = request.request.headers.get(MCP_NAME_HEADER) if request.request else None
        # Whatever else is wrong is refused for that.
        is_due = declares_tasks(request) and isinstance(params.task_id, str)
        if is_due and decode_header_value(header) != params.task_id:
            raise MCPError(
                HEADER_MISMATCH, "The header Mcp-Name must be there, and the same as params.taskId."
            )
        return await handler(request, params)

    return handle
