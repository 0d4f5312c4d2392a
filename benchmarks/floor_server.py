"""The least that a server on this SDK can be: one tool that gives back what it is given.

With `--post`, the least that one can be that calls an API: its tool makes one POST, with httpx, on
a connection that is kept alive, and gives back what was received.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

ECHO = Tool(name="echo", description="Echo.", input_schema={"type": "object", "properties": {}})


async def list_tools(_: ServerRequestContext, __: PaginatedRequestParams | None) -> ListToolsResult:
    """Return the one tool."""
    return ListToolsResult(tools=[ECHO])


async def _echo(arguments: dict[str, Any]) -> str:
    return str(arguments.get("text"))


def _post() -> Callable[[dict[str, Any]], Awaitable[str]]:
    # Not at the top: the floor of start and memory has no httpx.
    import httpx  # noqa: PLC0415

    client = httpx.AsyncClient(base_url=os.environ["ACEDATACLOUD_API_BASE_URL"], trust_env=False)

    async def post(arguments: dict[str, Any]) -> str:
        payload = {"action": "retrieve", "id": arguments.get("text")}
        return (await client.post("/hailuo/tasks", json=payload)).text

    return post


async def _serve() -> None:
    run_tool = _post() if "--post" in sys.argv else _echo

    async def call_tool(_: ServerRequestContext, params: CallToolRequestParams) -> CallToolResult:
        text = await run_tool(params.arguments or {})
        return CallToolResult(content=[TextContent(type="text", text=text)])

    server = Server("floor", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(_serve)
