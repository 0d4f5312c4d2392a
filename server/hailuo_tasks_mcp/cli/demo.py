"""`hailuo-tasks-mcp demo`: a conversation with the installed server, as a host would have it."""

import argparse
import asyncio
import json
import tempfile
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.cli.config import block_for
from hailuo_tasks_mcp.cli.telemetry import drop_unusable_variables
from hailuo_tasks_mcp.installation import own_command
from hailuo_tasks_mcp.logs import log_to_stderr
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.sandbox.app import SANDBOX_TOKEN, create_sandbox
from hailuo_tasks_mcp.sandbox.server import bind_sandbox, sandbox_server, url_of
from hailuo_tasks_mcp.sandbox.tasks import (
    DOCUMENTED_TASK_ID,
    DOCUMENTED_TIMED_TASK_ID,
    RUN_SECONDS,
    RUNNING_TASK_ID,
    SUCCEEDED_H3_TASK_ID,
)
from hailuo_tasks_mcp.settings import BASE_URL_VARIABLE, SAVE_DIR_VARIABLE, TOKEN_VARIABLE
from hailuo_tasks_mcp.tasks.next_steps import RETRIEVE_TASK, RETRIEVE_TASKS_BATCH, SAVE_VIDEOS

if TYPE_CHECKING:
    from mcp import Client, StdioServerParameters

WRONG_TOKEN = "not-a-token"  # noqa: S105 - no token at all
# What answers hold for each task or video.
_LISTS = ("tasks", "saved", "not_saved")
_LINE_LENGTH = 76
_SCREEN_WIDTH = 80
# Long enough for some polls, short enough to watch.
LEFT_TO_RUN_SECONDS = 8.0
UNKNOWN_TASK_ID = "00000000-0000-4000-8000-000000000000"


def run(_: argparse.Namespace) -> int:
    """Print the conversation; return 0 if every call was answered as it should be, else 1."""
    log_to_stderr("WARNING", Redactor())
    drop_unusable_variables()
    return 0 if asyncio.run(_converse()) else 1


async def _converse() -> bool:
    # Not before now: a variable for OpenTelemetry could stop this import.
    from mcp import Client  # noqa: PLC0415

    async with _sandbox() as base_url:
        print(f"hailuo-tasks-mcp {__version__}, started over stdio")
        print(f"It asks a SANDBOX at {base_url}: all tasks and videos are made up.")
        async with Client(_server(base_url, SANDBOX_TOKEN)) as client:
            names = ", ".join(tool.name for tool in (await client.list_tools()).tools)
            print(f"Connected, MCP {client.protocol_version}. Its tools:\n  {names}")
            print("\nOne documented task:")
            one = await _call(client, RETRIEVE_TASK, {"task_id": DOCUMENTED_TASK_ID})
            print("\nThe other documented task, one of MiniMax H3, a running one, an unknown id:")
            ids = [DOCUMENTED_TIMED_TASK_ID, SUCCEEDED_H3_TASK_ID, RUNNING_TASK_ID, UNKNOWN_TASK_ID]
            several = await _call(client, RETRIEVE_TASKS_BATCH, {"task_ids": ids})
            print("\nThe running one, followed to its end in one call:")
            ended = await _call(
                client, RETRIEVE_TASK, {"task_id": RUNNING_TASK_ID, "wait_seconds": 50}
            )
        print("\nThe same server with a folder for videos, which can be played:")
        async with Client(_server(base_url, SANDBOX_TOKEN, _new_folder())) as client:
            saved = await _call(client, SAVE_VIDEOS, {"task_ids": [SUCCEEDED_H3_TASK_ID]})
        print("\nThe same server with a token that the API does not take:")
        async with Client(_server(base_url, WRONG_TOKEN)) as client:
            refused = await _call(client, RETRIEVE_TASK, {"task_id": DOCUMENTED_TASK_ID})
    print("\nTo add this server to Claude Code, with your token in place of YOUR-TOKEN:\n")
    print(block_for("claude-code"))
    return one and several and ended and saved and not refused


@asynccontextmanager
async def _sandbox() -> AsyncIterator[str]:
    """Serve a sandbox on a free loopback port; yield its base URL."""
    with bind_sandbox(0) as listener:
        app = create_sandbox(
            running_since_seconds=RUN_SECONDS - LEFT_TO_RUN_SECONDS, videos_url=url_of(listener)
        )
        server = sandbox_server(app)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield url_of(listener)
        finally:
            server.should_exit = True
            await serving


def _new_folder() -> str:
    """Return a folder of its own, which stays, so that what is in it can be looked at."""
    return tempfile.mkdtemp(prefix="hailuo-tasks-mcp-")


def _server(base_url: str, token: str, save_dir: str | None = None) -> "StdioServerParameters":
    """Return how to start the server, as `config` would have a host start it."""
    from mcp import StdioServerParameters  # noqa: PLC0415

    command, *arguments = own_command()
    return StdioServerParameters(
        command=command,
        args=arguments,
        env={BASE_URL_VARIABLE: base_url, TOKEN_VARIABLE: token}
        | ({SAVE_DIR_VARIABLE: save_dir} if save_dir else {}),
    )


async def _call(client: "Client", tool: str, arguments: dict[str, Any]) -> bool:
    """Make a call, print what a model would read, and return whether it went well."""
    _print_wrapped(f"> {tool} {json.dumps(arguments)}", "    ")
    result = await client.call_tool(tool, arguments, progress_callback=_print_progress)
    if result.is_error:
        for content in result.content:
            _print_wrapped(f"  error: {getattr(content, 'text', '')}", "    ")
        return False
    _print_fields(result.structured_content, "  ")
    return True


async def _print_progress(
    progress: float,
    total: float | None,  # noqa: ARG001 - there is none
    message: str | None,
) -> None:
    print(f"  … {progress:.0f} s: {message}", flush=True)


def _print_fields(answer: dict[str, Any], indent: str) -> None:
    """Print an answer's fields, short ones together in a line."""
    line = ""
    for name, value in answer.items():
        if name in _LISTS or value == []:
            continue
        field = f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
        if line and len(f"{line}, {field}") > _LINE_LENGTH:
            _print_wrapped(indent + line, " " * (len(indent) + 2))
            indent, line = indent.replace("-", " "), ""
        line = f"{line}, {field}" if line else field
    _print_wrapped(indent + line, " " * (len(indent) + 2))
    for name in _LISTS:
        for entry in answer.get(name, []):
            _print_fields(entry, indent + "- ")


def _print_wrapped(text: str, indent: str) -> None:
    print(
        textwrap.fill(
            text,
            width=_SCREEN_WIDTH,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
