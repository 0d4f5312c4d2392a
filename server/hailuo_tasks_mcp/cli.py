"""The command `hailuo-tasks-mcp`.

Only what a command needs is imported, when it is needed: `--help` and `--version` answer at once.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from hailuo_tasks_mcp import __version__

DEFAULT_SANDBOX_PORT = 8787
_HIGHEST_PORT = 65535


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's arguments) and return its exit code."""
    if argv is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # This process is the command. There is nothing to save, so Ctrl-C ends it as SIGTERM does:
        # at once, by the signal itself, without waiting for a thread that blocks on stdin and
        # without a traceback, even while the imports below are still going on.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    options = _parser().parse_args(argv)
    match options.command:
        case "demo":
            from hailuo_tasks_mcp.demo import run_demo

            return run_demo()
        case "sandbox":
            return _sandbox(options.port)
    _serve(sandbox=options.sandbox)
    return 0


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
    parser.add_argument(
        "--sandbox",
        action="store_true",
        help="serve made-up tasks from an embedded sandbox; needs no token and no network",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("demo", help="show a conversation with the server, against the sandbox")
    sandbox = commands.add_parser(
        "sandbox", help="serve a stand-in for the Hailuo API on this machine"
    )
    sandbox.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_SANDBOX_PORT,
        help="port on 127.0.0.1, 0 for any free one (default: %(default)s)",
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"must be 0 to {_HIGHEST_PORT}, not {text!r}")
    return int(text)


def _serve(*, sandbox: bool) -> None:
    import logging
    from dataclasses import replace

    from hailuo_tasks_mcp.logs import log_to_stderr
    from hailuo_tasks_mcp.server import create_server
    from hailuo_tasks_mcp.settings import LOG_LEVEL_VARIABLE, settings_in_force
    from hailuo_tasks_mcp.stdio import serve_stdio

    environ: Mapping[str, str] = os.environ
    transport = None
    if sandbox:
        import httpx

        from hailuo_tasks_mcp.sandbox import SANDBOX_ENVIRONMENT, create_sandbox

        # The user's token is not even read, so it cannot be sent anywhere; and nothing can reach
        # a network, whatever happens.
        log_level = os.environ.get(LOG_LEVEL_VARIABLE, "")
        environ = {**SANDBOX_ENVIRONMENT, LOG_LEVEL_VARIABLE: log_level}
        transport = httpx.ASGITransport(create_sandbox())
    settings = replace(settings_in_force(environ), sandbox=sandbox)
    log_to_stderr(settings)
    if settings.problem is not None:
        logging.getLogger(__name__).error("%s", settings.problem)
    if sys.stdin.isatty():
        print(
            "hailuo-tasks-mcp speaks MCP over stdin and stdout; an MCP host starts it. "
            "To see it at work: hailuo-tasks-mcp demo",
            file=sys.stderr,
        )
    serve_stdio(create_server(settings, transport=transport))


def _sandbox(port: int) -> int:
    from hailuo_tasks_mcp.sandbox_http import serve_sandbox

    try:
        serve_sandbox(port)
    except OSError as error:
        print(f"hailuo-tasks-mcp: port {port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0
