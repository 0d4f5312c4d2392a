"""The command `hailuo-tasks-mcp`.

Only what a command needs is imported, when it is needed: `--help` and `--version` answer at once.
"""

import argparse
import gc
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hailuo_tasks_mcp import __version__

Command = Callable[[argparse.Namespace], int]
"""Runs with what was parsed and returns the exit code."""

if TYPE_CHECKING:
    import httpx

    from hailuo_tasks_mcp.settings import Settings

DEFAULT_SANDBOX_PORT = 8787
_HIGHEST_PORT = 65535
# A person at a terminal is more patient than a host.
HIGHEST_WAIT_SECONDS = 3600
_SANDBOX_HELP = "use made-up tasks from an embedded sandbox; needs no token and no network"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's arguments) and return its exit code."""
    if argv is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # This process is the command. There is nothing to save, so Ctrl-C ends it as SIGTERM does:
        # at once, by the signal itself, without waiting for a thread that blocks on stdin and
        # without a traceback, even while the imports below are still going on.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    options = _parser().parse_args(argv)
    return _serve(options) if options.run is _serve else _run_for_people(options)


def _run_for_people(options: argparse.Namespace) -> int:
    """Run a command that writes to a person or a script, and not to an MCP host."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Prompts are in any script, which neither a terminal nor, on Windows, a pipe need have.
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace", line_buffering=True)
    exit_code = 1
    try:
        exit_code = options.run(options)
    except* BrokenPipeError:
        # Whoever read, `head` perhaps, has had enough. Python would flush once more at the end.
        for stream in filter(None, (sys.stdout, sys.stderr)):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hailuo-tasks-mcp",
        description="MCP server that tells how Hailuo video-generation tasks are doing. Without a "
        "command it serves over stdin and stdout, for an MCP host to start.",
        epilog="Environment: ACEDATACLOUD_API_TOKEN (required to look anything up), "
        "ACEDATACLOUD_API_BASE_URL, HAILUO_REQUEST_TIMEOUT_SECONDS, HAILUO_MAX_WAIT_SECONDS, "
        "HAILUO_LOG_LEVEL.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--sandbox", action="store_true", help=_SANDBOX_HELP)
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(metavar="COMMAND")
    check = _add_command(
        commands,
        "check",
        _check,
        "find out whether look-ups work here and, if not, why",
        epilog="Exit code: 0 all is well; 1 not all is.",
    )
    check.add_argument("--json", action="store_true", help="print one JSON object, for scripts")
    retrieve = _add_command(
        commands,
        "retrieve",
        _retrieve,
        "look tasks up and print what is known of them",
        epilog="Exit code: 0 all succeeded; 1 none runs any more, but one failed, was not found or "
        "could not be looked up; 2 wrong usage; 3 one still runs.",
    )
    retrieve.add_argument("task_ids", nargs="+", metavar="ID", help="task id, up to 100 of them")
    retrieve.add_argument(
        "--wait",
        type=_wait_seconds,
        default=0,
        metavar="SECONDS",
        help=f"wait for tasks that run, up to {HIGHEST_WAIT_SECONDS} seconds (default: look once)",
    )
    retrieve.add_argument("--json", action="store_true", help="print what a model gets")
    for command in (check, retrieve):
        # After the command's name as well as before it.
        command.add_argument(
            "--sandbox", action="store_true", default=argparse.SUPPRESS, help=_SANDBOX_HELP
        )
    _add_command(
        commands, "demo", _demo, "show a conversation with the server, against the sandbox"
    )
    sandbox = _add_command(
        commands, "sandbox", _sandbox, "serve a stand-in for the Hailuo API on this machine"
    )
    sandbox.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_SANDBOX_PORT,
        help="port on 127.0.0.1, 0 for any free one (default: %(default)s)",
    )
    return parser


def _add_command(
    commands: Any, name: str, run: Command, summary: str, *, epilog: str | None = None
) -> argparse.ArgumentParser:
    description = f"{summary[0].upper()}{summary[1:]}."
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=epilog
    )
    command.set_defaults(run=run)
    return command


def _port(text: str) -> int:
    return _whole_number(text, _HIGHEST_PORT)


def _wait_seconds(text: str) -> int:
    return _whole_number(text, HIGHEST_WAIT_SECONDS)


def _whole_number(text: str, highest: int) -> int:
    # No more digits than the highest has: int() chokes on thousands of them.
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > highest:
        raise argparse.ArgumentTypeError(f"must be 0 to {highest}, not {text[:20]!r}")
    return int(text)


def _serve(options: argparse.Namespace) -> int:
    # The imports make objects by the hundred thousand, nearly all of them to stay. Looking for
    # garbage among them, now and at every later pass, costs time and finds next to none.
    gc.disable()
    try:
        import logging

        from hailuo_tasks_mcp.server import create_server
        from hailuo_tasks_mcp.transports.stdio import serve_stdio

        settings, transport = _set_up(sandbox=options.sandbox)
        server = create_server(settings, transport=transport)
        gc.freeze()
    finally:
        gc.enable()
    if settings.problem is not None:
        logging.getLogger(__name__).error("%s", settings.problem)
    if sys.stdin.isatty():
        print(
            "hailuo-tasks-mcp speaks MCP over stdin and stdout; an MCP host starts it. "
            "To see it at work: hailuo-tasks-mcp demo",
            file=sys.stderr,
        )
    serve_stdio(server)
    return 0


def _set_up(*, sandbox: bool) -> "tuple[Settings, httpx.AsyncBaseTransport | None]":
    """Return the settings in force and what carries requests in place of the network, if anything.

    From here on the log goes to stderr.
    """
    from dataclasses import replace

    from hailuo_tasks_mcp.logs import log_to_stderr
    from hailuo_tasks_mcp.settings import LOG_LEVEL_VARIABLE, settings_in_force

    environ: Mapping[str, str] = os.environ
    transport = None
    if sandbox:
        import httpx

        from hailuo_tasks_mcp.sandbox.app import SANDBOX_ENVIRONMENT, create_sandbox

        # The user's token is not even read, so it cannot be sent anywhere; and nothing can reach
        # a network, whatever happens.
        log_level = os.environ.get(LOG_LEVEL_VARIABLE, "")
        environ = {**SANDBOX_ENVIRONMENT, LOG_LEVEL_VARIABLE: log_level}
        transport = httpx.ASGITransport(create_sandbox())
    settings = replace(settings_in_force(environ), sandbox=sandbox)
    log_to_stderr(settings)
    return settings, transport


def _check(options: argparse.Namespace) -> int:
    import asyncio

    from hailuo_tasks_mcp.cli.check import run_check

    settings, transport = _set_up(sandbox=options.sandbox)
    return asyncio.run(run_check(settings, as_json=options.json, transport=transport))


def _retrieve(options: argparse.Namespace) -> int:
    import asyncio

    from hailuo_tasks_mcp.cli.retrieve import run_retrieve

    settings, transport = _set_up(sandbox=options.sandbox)
    looking = run_retrieve(
        settings,
        options.task_ids,
        wait_seconds=options.wait,
        as_json=options.json,
        transport=transport,
    )
    return asyncio.run(looking)


def _demo(_: argparse.Namespace) -> int:
    from hailuo_tasks_mcp.cli.demo import run_demo

    return run_demo()


def _sandbox(options: argparse.Namespace) -> int:
    from hailuo_tasks_mcp.sandbox.server import serve_sandbox

    try:
        serve_sandbox(options.port)
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"hailuo-tasks-mcp: port {options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0
