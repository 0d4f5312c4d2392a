"""Serves the sandbox over HTTP on 127.0.0.1."""

import socket

import uvicorn
from starlette.applications import Starlette

from hailuo_tasks_mcp.installation import own_command, shell_command
from hailuo_tasks_mcp.sandbox.app import SANDBOX_TOKEN, create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import (
    DOCUMENTED_TASK_ID,
    DOCUMENTED_TIMED_TASK_ID,
    FAILED_TASK_ID,
    RUNNING_TASK_ID,
)
from hailuo_tasks_mcp.settings import BASE_URL_VARIABLE, TOKEN_VARIABLE


def bind_sandbox(port: int) -> socket.socket:
    """Open a listening socket on 127.0.0.1; port 0 picks a free one.

    Raises:
        OSError: the port is taken.

    """
    return socket.create_server(("127.0.0.1", port))


def url_of(listener: socket.socket) -> str:
    """Return the base URL at which a listening socket is reached."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def sandbox_server(app: Starlette) -> uvicorn.Server:
    """Return the HTTP server for a sandbox, which logs warnings only."""
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))


def serve_sandbox(port: int) -> None:
    """Print how to use a new sandbox, and serve it until Ctrl-C.

    Raises:
        OSError: the port is taken.

    """
    with bind_sandbox(port) as listener:
        print(_how_to_use(url_of(listener)), flush=True)
        sandbox_server(create_sandbox()).run(sockets=[listener])


def _how_to_use(url: str) -> str:
    variables = {BASE_URL_VARIABLE: url, TOKEN_VARIABLE: SANDBOX_TOKEN}
    return f"""\
SANDBOX of the Hailuo API at {url}: its tasks and videos are made up.

Point the server at it with two variables:

  {shell_command(own_command(), variables)}

Tasks that it starts with:

  {DOCUMENTED_TASK_ID}  succeeded, from the API's documentation
  {DOCUMENTED_TIMED_TASK_ID}  succeeded, from the API's documentation
  {FAILED_TASK_ID}  failed
  {RUNNING_TASK_ID}  running, succeeds within a minute

Make another one ("fail" in the prompt makes it fail):

  curl {url}/hailuo/videos -H 'authorization: Bearer {SANDBOX_TOKEN}' \\
    -d '{{"action": "generate", "prompt": "Internal heat", "async": true}}'

Ctrl-C ends it."""
