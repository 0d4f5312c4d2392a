"""Serves the sandbox over HTTP on 127.0.0.1."""

import socket
from functools import partial

import uvicorn
from starlette.applications import Starlette

from hailuo_tasks_mcp.installation import own_command, shell_command
from hailuo_tasks_mcp.sandbox.app import SANDBOX_TOKEN, create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import (
    CANCELLED_H3_TASK_ID,
    DOCUMENTED_H3_TASK_ID,
    DOCUMENTED_RUNNING_H3_TASK_ID,
    DOCUMENTED_TASK_ID,
    DOCUMENTED_TIMED_TASK_ID,
    FAILED_H3_TASK_ID,
    FAILED_TASK_ID,
    NO_URL_H3_TASK_ID,
    QUEUED_H3_TASK_ID,
    RUNNING_H3_TASK_ID,
    RUNNING_TASK_ID,
    SUCCEEDED_H3_TASK_ID,
)
from hailuo_tasks_mcp.settings import BASE_URL_VARIABLE, TOKEN_VARIABLE
from hailuo_tasks_mcp.uvicorn_protocol import MAX_HEAD_BYTES, BoundedProtocol

MAX_CONNECTIONS = 100


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
    """Return the HTTP server for a sandbox, which logs errors only."""
    config = uvicorn.Config(
        app,
        http=partial(BoundedProtocol, max_connections=MAX_CONNECTIONS),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        lifespan="off",
        # A warning for each malformed request would let anyone fill the terminal.
        log_level="error",
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )
    return uvicorn.Server(config)


def serve_sandbox(listener: socket.socket) -> None:
    """Print how to use a new sandbox, and serve it at a listening socket until Ctrl-C."""
    url = url_of(listener)
    print(how_to_use(url), flush=True)
    sandbox_server(create_sandbox(videos_url=url)).run(sockets=[listener])


def how_to_use(url: str) -> str:
    """Return what to type to use the sandbox at this base URL, for a terminal of 80 columns."""
    # Commands stay whole where breaking them would keep them from being copied.
    variables = {BASE_URL_VARIABLE: url, TOKEN_VARIABLE: SANDBOX_TOKEN}
    return f"""\
SANDBOX of the Hailuo API at {url}:
its tasks, of Hailuo and of MiniMax H3, and its videos are made up.

Point the server at it with two variables:

  {shell_command(own_command(), variables)}

Hailuo tasks that it starts with:

  {DOCUMENTED_TASK_ID}  succeeded, from the documentation
  {DOCUMENTED_TIMED_TASK_ID}  succeeded, from the documentation
  {FAILED_TASK_ID}  failed
  {RUNNING_TASK_ID}  running, succeeds within a minute

MiniMax H3 tasks that it starts with:

  {DOCUMENTED_H3_TASK_ID}  succeeded, from the documentation
  {DOCUMENTED_RUNNING_H3_TASK_ID}  running, from the documentation
  {RUNNING_H3_TASK_ID}  running, succeeds within 80 seconds
  {QUEUED_H3_TASK_ID}  queued, stuck there
  {SUCCEEDED_H3_TASK_ID}  succeeded an hour ago
  {FAILED_H3_TASK_ID}  failed
  {CANCELLED_H3_TASK_ID}  cancelled
  {NO_URL_H3_TASK_ID}  succeeded without a video

Make another one of either ("fail" in the text makes it fail):

  curl {url}/hailuo/videos \\
    -H 'authorization: Bearer {SANDBOX_TOKEN}' \\
    -d '{{"action": "generate", "prompt": "Internal heat", "async": true}}'

  curl {url}/minimax/videos \\
    -H 'authorization: Bearer {SANDBOX_TOKEN}' \\
    -d '{{"model": "MiniMax-H3", "resolution": "768P", "ratio": "16:9",
         "content": [{{"type": "text", "text": "Internal heat"}}],
         "duration": 4, "async": true}}'

Ctrl-C ends it."""
