"""The least that a server on this SDK can be over Streamable HTTP, stateless, with uvicorn and h11.

    python benchmarks/floor_http_server.py [--workers 2]

Serves on 127.0.0.1, at a port that it prints. Its one tool gives back the text that it is given,
after `wait_seconds` if they are given.
"""

import argparse
import socket

import anyio
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import CallToolRequestParams, CallToolResult, TextContent
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from floor_server import ECHO, list_tools


async def _call_tool(_: ServerRequestContext, params: CallToolRequestParams) -> CallToolResult:
    arguments = params.arguments or {}
    await anyio.sleep(arguments.get("wait_seconds", 0))
    return CallToolResult(content=[TextContent(type="text", text=str(arguments.get("text")))])


def create_app() -> Starlette:
    """Return the application."""
    server = Server(
        "floor",
        on_list_tools=list_tools,
        on_call_tool=_call_tool,
        # Or each call lists the tools again.
        get_tool_input_schema={ECHO.name: ECHO.input_schema}.get,
    )
    return server.streamable_http_app(stateless_http=True)


def tcp_listener() -> socket.socket:
    """Return a socket that listens at a free port of 127.0.0.1.

    It names its protocol, as that of uvicorn's `bind_socket` does not, because asyncio lets small
    segments out at once (TCP_NODELAY) only of sockets that do: else each call takes 40 ms more.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    return listener


def serve(workers: int) -> None:
    """Serve until a signal ends it."""
    config = uvicorn.Config(
        "floor_http_server:create_app",
        factory=True,
        workers=workers,
        loop="asyncio",
        http="h11",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    with tcp_listener() as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
        if workers > 1:
            Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1)
    serve(parser.parse_args().workers)
