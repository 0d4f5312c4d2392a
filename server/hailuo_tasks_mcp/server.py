"""Assembles the MCP server from settings."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
)

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.api.client import HailuoTasksClient
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.summarize import RETRIEVE_TASK, RETRIEVE_TASKS_BATCH, USUAL_DURATION
from hailuo_tasks_mcp.text import clean_text
from hailuo_tasks_mcp.tools.tool import TOOLS, Call, Clock, call_tool

INSTRUCTIONS = (
    "Reports on Hailuo (MiniMax) video generations at Ace Data Cloud, known by their task ids; "
    f"one takes {USUAL_DURATION}. "
    f"Use {RETRIEVE_TASK} for one id and {RETRIEVE_TASKS_BATCH} for several. "
    "A task that still runs can be waited for in the same call, with `wait_seconds`. "
    "Every answer says in `done` whether to ask again and in `next_step` what to do next."
)
SANDBOX_NOTE = (
    " This is a sandbox: its tasks and videos are made up, and nothing is sent to Ace Data Cloud."
)

# The tools of a running server never change.
_LIST_FRESH_MS = 3_600_000


def create_server(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    now: Clock = time.time,
) -> Server[HailuoTasksClient]:
    """Make a server that is ready to be run.

    Args:
        settings: everything that the environment decides.
        transport: carries the HTTP requests in place of the network.
        now: tells the time, in Unix seconds, against which the age of a task is told.

    """
    specs = {spec.name: spec for spec in TOOLS}
    definitions = [spec.definition(settings.max_wait_seconds) for spec in TOOLS]

    @asynccontextmanager
    async def lifespan(_: Server[HailuoTasksClient]) -> AsyncIterator[HailuoTasksClient]:
        async with HailuoTasksClient(settings, transport=transport) as client:
            yield client

    async def on_list_tools(
        _: ServerRequestContext[HailuoTasksClient], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        if params is not None and params.cursor is not None:
            # All tools fit on one page, so no cursor was ever given out.
            raise MCPError(code=INVALID_PARAMS, message="Unknown cursor: ask without one.")
        return ListToolsResult(tools=definitions)

    async def on_call_tool(
        context: ServerRequestContext[HailuoTasksClient], params: CallToolRequestParams
    ) -> CallToolResult:
        spec = specs.get(params.name)
        if spec is None:
            name = clean_text(params.name, 64)
            raise MCPError(
                code=INVALID_PARAMS, message=f"Unknown tool: {name}. Tools: {', '.join(specs)}."
            )
        call = Call(
            client=context.lifespan_context,
            now=now,
            max_wait_seconds=settings.max_wait_seconds,
            report_progress=context.session.report_progress,
        )
        return await call_tool(spec, call, params.arguments)

    return Server(
        "hailuo-tasks-mcp",
        version=__version__,
        title="Hailuo tasks (sandbox)" if settings.sandbox else "Hailuo tasks",
        instructions=INSTRUCTIONS + (SANDBOX_NOTE if settings.sandbox else ""),
        cache_hints={"tools/list": CacheHint(ttl_ms=_LIST_FRESH_MS, scope="public")},
        lifespan=lifespan,
        on_list_tools=on_list_tools,
        on_call_tool=on_call_tool,
    )
