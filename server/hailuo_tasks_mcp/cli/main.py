"""The command `hailuo-tasks-mcp`: its options, and which file runs each command.

A command's file is imported when it is run, so that `--help` and `--version` load nothing heavy.
"""

import argparse
import os
import re
import signal
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.cli.streams import open_closed_streams, output_errors_told, take_any_text
from hailuo_tasks_mcp.settings import VARIABLES

SERVE = "serve"
DEFAULT_SANDBOX_PORT = 8787
DEFAULT_HTTP_PORT = 8788
# What `serve --http` takes for an option that is not given.
HTTP_DEFAULTS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": DEFAULT_HTTP_PORT,
    "workers": 1,
    "allowed_host": (),
    "allowed_origin": (),
    "shared_token": False,
    "access_token_file": None,
    "max_waits_per_caller": 50,
    "max_waits": 1000,
    "metrics": False,
    "listen_fd": None,
}
_HIGHEST_PORT = 65535
_HIGHEST_COUNT = 10_000
# Those that `config` knows; here, so that `--help` loads no command.
HOSTS = (
    "claude-code",
    "claude-desktop",
    "cursor",
    "vscode",
    "codex",
    "gemini",
    "cherry-studio",
)
# A person at a terminal is more patient than a host.
HIGHEST_WAIT_SECONDS = 3600
# Those of `list`; here, so that `--help` loads no command.
LISTED_STATES = ("pending", "processing", "succeeded", "failed", "unknown")
DEFAULT_HOURS, HIGHEST_HOURS = 24, 168
# All that are ever fetched.
DEFAULT_LIMIT, HIGHEST_LIST_LIMIT = 20, 1000
_SANDBOX_HELP = "use made-up tasks from an embedded sandbox; needs no token and no network"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's arguments) and return its exit code."""
    is_process = argv is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_process:
        # This process is the command. There is nothing to save, so Ctrl-C ends it as SIGTERM does:
        # at once, by the signal itself, without waiting for a thread that blocks on stdin and
        # without a traceback, even during the imports of the command.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    closed_streams = open_closed_streams()
    with output_errors_told():
        options = _parsed(argv)
        from hailuo_tasks_mcp.cli.terminal import INTERRUPTED

        options.closed_streams = closed_streams
        command = "serve_http" if options.http else options.command
        if command != SERVE:
            take_any_text()
        exit_code: int = import_module(f"hailuo_tasks_mcp.cli.{command}").run(options)
        if exit_code == INTERRUPTED and is_process and os.name == "posix":
            # By the signal after all, or a shell would go on with its loop or its script.
            signal.raise_signal(signal.SIGINT)
        return exit_code
    # Not all of the output could be written.
    return 1


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of a command line; wrong usage ends the process."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command == SERVE:
        for name, default in HTTP_DEFAULTS.items():
            if getattr(options, name, None) is None:
                setattr(options, name, default)
            elif not options.http:
                # It would serve over stdio, to nobody.
                parser.error(f"--{name.replace('_', '-')} is for serve --http")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hailuo-tasks-mcp",
        description="MCP server that tells how Hailuo video-generation tasks are doing. Without a "
        "command it serves over stdin and stdout, for an MCP host to start.",
        epilog=f"Environment: {', '.join(_variables())}.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--sandbox", action="store_true", help=_SANDBOX_HELP)
    parser.set_defaults(command=SERVE, http=False)
    commands = parser.add_subparsers(metavar="COMMAND")
    serve = _add_command(
        commands,
        SERVE,
        "serve MCP over stdin and stdout, or to many users over HTTP",
        epilog="Exit code: 0 it was ended; 1 it ended by itself; 2 wrong usage.",
    )
    _add_http_options(serve)
    check = _add_command(
        commands,
        "check",
        "find out whether look-ups work here and, if not, why",
        epilog="Exit code: 0 all is well; 1 not all is.",
    )
    check.add_argument("--json", action="store_true", help="print one JSON object, for scripts")
    retrieve = _add_command(
        commands,
        "retrieve",
        "look tasks up and print what is known of them",
        epilog="Exit code: 0 all succeeded and, with --save, all videos are there; 1 none runs any "
        "more, but one failed, was not found or could not be looked up or saved; 2 wrong usage; 3 "
        "one still runs; 130 Ctrl-C ended it.",
    )
    retrieve.add_argument(
        "task_ids", nargs="*", metavar="ID", help="task id, any number of them; - reads from stdin"
    )
    retrieve.add_argument(
        "--file",
        metavar="PATH",
        help="read ids from a file, one or many in a line; # begins a comment",
    )
    retrieve.add_argument(
        "--wait",
        type=_wait_seconds,
        default=0,
        metavar="SECONDS",
        help=f"wait for tasks that run, up to {HIGHEST_WAIT_SECONDS} seconds (default: look once)",
    )
    retrieve.add_argument(
        "--save",
        metavar="DIR",
        help="save the videos in this folder; one that is there is not fetched again",
    )
    retrieve.add_argument(
        "--json", action="store_true", help="print what a model gets, or an error, as one object"
    )
    listing = _add_list_command(commands)
    config = _add_command(
        commands,
        "config",
        "print what to paste so that an MCP host starts this installation",
        epilog="The block goes to stdout, without a token; where it goes, to stderr.",
    )
    config.add_argument("host", choices=HOSTS, metavar="HOST", help=f"one of {', '.join(HOSTS)}")
    for command in (serve, check, retrieve, listing, config):
        # After the command's name as well as before it.
        command.add_argument(
            "--sandbox", action="store_true", default=argparse.SUPPRESS, help=_SANDBOX_HELP
        )
    _add_command(commands, "demo", "show a conversation with the server, against the sandbox")
    sandbox = _add_command(
        commands, "sandbox", "serve a stand-in for the Hailuo API on this machine"
    )
    sandbox.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_SANDBOX_PORT,
        help="port on 127.0.0.1, 0 for any free one (default: %(default)s)",
    )
    return parser


def _add_list_command(commands: Any) -> argparse.ArgumentParser:
    listing = _add_command(
        commands,
        "list",
        "list the MiniMax H3 tasks of the last days, newest first, for ids that are lost",
        epilog="Exit code: 0 they were listed; 1 they could not be, or not all; 2 wrong usage.",
    )
    listing.add_argument(
        "--hours",
        type=_hours,
        default=DEFAULT_HOURS,
        metavar="H",
        help=f"how far back, up to {HIGHEST_HOURS} hours (default: %(default)s)",
    )
    listing.add_argument(
        "--state",
        action="append",
        choices=LISTED_STATES,
        default=[],
        metavar="STATE",
        help=f"only these tasks, one of {', '.join(LISTED_STATES)}; may be repeated",
    )
    listing.add_argument(
        "--limit",
        type=_list_limit,
        default=DEFAULT_LIMIT,
        metavar="N",
        help=f"how many tasks, up to {HIGHEST_LIST_LIMIT} (default: %(default)s)",
    )
    forms = listing.add_mutually_exclusive_group()
    forms.add_argument(
        "--json", action="store_true", help="print what a model gets, or an error, as one object"
    )
    forms.add_argument(
        "--ids", action="store_true", help="print the ids alone, one in a line, for retrieve -"
    )
    return listing


def _add_http_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--http",
        action="store_true",
        help="serve MCP's Streamable HTTP at /mcp, for callers who each bring a token of their own",
    )
    http = serve.add_argument_group("with --http")
    http.add_argument(
        "--host",
        help="address to listen at; any but this machine's own needs --allowed-host "
        f"(default: {HTTP_DEFAULTS['host']})",
    )
    http.add_argument(
        "--port",
        type=_port,
        help=f"port to listen at, 0 for any free one (default: {HTTP_DEFAULTS['port']})",
    )
    http.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help=f"how many processes serve (default: {HTTP_DEFAULTS['workers']})",
    )
    http.add_argument(
        "--allowed-host",
        action="append",
        metavar="NAME",
        help="name, with or without a port, by which clients reach it; may be repeated",
    )
    http.add_argument(
        "--allowed-origin",
        action="append",
        metavar="ORIGIN",
        help="origin of web pages that may use it, as https://example.com; may be repeated",
    )
    http.add_argument(
        "--shared-token",
        action="store_const",
        const=True,
        help="use the token of the environment for all callers",
    )
    http.add_argument(
        "--access-token-file",
        metavar="PATH",
        help="file with what callers must send instead then, one secret in a line",
    )
    http.add_argument(
        "--max-waits-per-caller",
        type=_count,
        metavar="N",
        help="how many calls of one caller may wait at a time, in each process "
        f"(default: {HTTP_DEFAULTS['max_waits_per_caller']})",
    )
    http.add_argument(
        "--max-waits",
        type=_count,
        metavar="N",
        help=f"how many calls of all callers may (default: {HTTP_DEFAULTS['max_waits']})",
    )
    http.add_argument(
        "--metrics",
        action="store_const",
        const=True,
        help="serve GET /metrics for Prometheus, without ids, tokens and prompts",
    )
    http.add_argument("--listen-fd", type=int, help=argparse.SUPPRESS)


def _add_command(
    commands: Any, name: str, summary: str, *, epilog: str | None = None
) -> argparse.ArgumentParser:
    description = f"{summary[0].upper()}{summary[1:]}."
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=epilog
    )
    command.set_defaults(command=name)
    return command


def _variables() -> list[str]:
    return [
        f"{variable.name} (required to look anything up)" if variable.required else variable.name
        for variable in VARIABLES.values()
    ]


def _port(text: str) -> int:
    return _whole_number(text, _HIGHEST_PORT)


def _count(text: str) -> int:
    number = _whole_number(text, _HIGHEST_COUNT)
    if number == 0:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _list_limit(text: str) -> int:
    return _whole_number(text, HIGHEST_LIST_LIMIT, lowest=1)


def _hours(text: str) -> float:
    is_number = re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?|\.[0-9]{1,9}", text)
    if not is_number or not 0 < float(text) <= HIGHEST_HOURS:
        raise argparse.ArgumentTypeError(
            f"must be more than 0 and at most {HIGHEST_HOURS}, not {text[:20]!r}"
        )
    return float(text)


def _wait_seconds(text: str) -> int:
    return _whole_number(text, HIGHEST_WAIT_SECONDS)


def _whole_number(text: str, highest: int, *, lowest: int = 0) -> int:
    # No more digits than the highest has: int() refuses thousands of them.
    if not re.fullmatch(r"[0-9]{1,5}", text) or not lowest <= int(text) <= highest:
        raise argparse.ArgumentTypeError(f"must be {lowest} to {highest}, not {text[:20]!r}")
    return int(text)
