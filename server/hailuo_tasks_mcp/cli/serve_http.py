"""`hailuo-tasks-mcp serve --http`: serves MCP over Streamable HTTP, in one process or several."""

import argparse
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from tempfile import TemporaryDirectory

from hailuo_tasks_mcp.cli.startup import Startup, start
from hailuo_tasks_mcp.errors import SettingsError
from hailuo_tasks_mcp.installation import WINDOWS
from hailuo_tasks_mcp.messages import error_text
from hailuo_tasks_mcp.settings import TOKEN_VARIABLE, is_loopback
from hailuo_tasks_mcp.transports.streamable_http.options import (
    METRICS_FOLDER_VARIABLE,
    HttpOptions,
    read_access_tokens,
)
from hailuo_tasks_mcp.transports.streamable_http.workers import run_workers

_BACKLOG = 1_024
_HOST = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)
_ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://{_HOST.pattern}", re.IGNORECASE)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code."""
    is_worker = options.listen_fd is not None
    has_workers = options.workers > 1 and not is_worker
    try:
        http_options = _http_options(options)
        startup = _start(options, http_options, light=has_workers)
        listeners = (
            [socket.socket(fileno=options.listen_fd)]
            if is_worker
            else _listen(options.host, options.port, options.workers)
        )
    except SettingsError as error:
        print(f"hailuo-tasks-mcp: {error}", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        for listener in listeners:
            stack.enter_context(listener)
        if not is_worker:
            print(_how_to_use(listeners[0], http_options), flush=True)
        if has_workers:
            command = [sys.executable, "-m", "hailuo_tasks_mcp", *sys.argv[1:], "--listen-fd"]
            with _metrics_folder(options) as on_end:
                return run_workers(command, listeners, on_end)
        # Here, so that the process that looks after others stays small.
        from hailuo_tasks_mcp.cli.http_worker import serve  # noqa: PLC0415

        serve(options, http_options, startup, listeners[0])
        return 0


def _start(options: argparse.Namespace, http_options: HttpOptions, *, light: bool) -> Startup:
    """Read the environment and send the log to stderr.

    Raises:
        SettingsError: what is set cannot be used. A server for an MCP host would start all the
            same, because nobody sees why it did not; here somebody does.

    """
    if not http_options.shared_token:
        # What is not there cannot be used by mistake.
        os.environ.pop(TOKEN_VARIABLE, None)
    startup = start(sandbox=options.sandbox and not light)
    settings = startup.settings
    if not options.sandbox and settings.problem is not None:
        raise SettingsError(error_text(settings.problem, "person"))
    if not options.sandbox and http_options.shared_token and settings.api_token is None:
        raise SettingsError(f"--shared-token needs a token in {TOKEN_VARIABLE}")
    return startup


@contextmanager
def _metrics_folder(options: argparse.Namespace) -> Iterator[Callable[[int], None]]:
    """Have workers share their numbers; yield what to call with the id of one that has ended."""
    if not options.metrics:
        yield lambda _: None
        return
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

    with TemporaryDirectory(prefix="hailuo-tasks-mcp-") as folder:
        os.environ[METRICS_FOLDER_VARIABLE] = folder
        yield mark_process_dead


def _http_options(options: argparse.Namespace) -> HttpOptions:
    """Return what the options of the command say.

    Raises:
        SettingsError: they cannot be used together, or one of them cannot be used.

    """
    _check_exposure(options)
    _check_names(options)
    if options.metrics and find_spec("prometheus_client") is None:
        raise SettingsError("--metrics needs prometheus-client: install hailuo-tasks-mcp[metrics]")
    if options.workers > 1 and sys.platform == WINDOWS:
        raise SettingsError("--workers above 1 is not possible on Windows")
    path = options.access_token_file
    return HttpOptions(
        loopback=is_loopback(options.host),
        allowed_hosts=tuple(host.lower() for host in options.allowed_host),
        allowed_origins=tuple(origin.lower() for origin in options.allowed_origin),
        # Nor has the sandbox anything to protect.
        shared_token=options.shared_token or options.sandbox,
        access_tokens=() if path is None else read_access_tokens(path),
    )


def _check_exposure(options: argparse.Namespace) -> None:
    """Refuse to serve other machines without a name, or a shared token without a secret."""
    if options.access_token_file is not None and not options.shared_token:
        raise SettingsError(
            "--access-token-file is for --shared-token; without that, each caller sends a token of "
            "their own"
        )
    if not options.allowed_host and not is_loopback(options.host):
        raise SettingsError(
            f"--host {options.host} can be reached from other machines, so --allowed-host must "
            "say by which name, such as tasks.example.com"
        )
    # Where there is another name, a proxy takes it here from other machines.
    if options.allowed_host and options.shared_token and options.access_token_file is None:
        raise SettingsError(
            "--shared-token lets whoever reaches this server use your token, so it needs "
            "--access-token-file, unless --host and all names are this machine's own"
        )


def _check_names(options: argparse.Namespace) -> None:
    for host in options.allowed_host:
        if not _HOST.fullmatch(host):
            raise SettingsError(f"--allowed-host {host!r} is no name such as tasks.example.com")
    for origin in options.allowed_origin:
        if not _ORIGIN.fullmatch(origin):
            raise SettingsError(f"--allowed-origin {origin!r} is none such as https://example.com")


def _listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Open listening sockets for so many processes.

    On Linux each has one of its own, among which the kernel divides the connections: of one that is
    shared, an idle process takes all connections of a burst. Elsewhere the kernel would not.

    Raises:
        SettingsError: nothing can listen there.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    divided = count > 1 and sys.platform == "linux"
    listeners: list[socket.socket] = []
    try:
        if divided:
            # The kernel would divide connections with another server too, if that one allows it.
            socket.create_server((host, port), family=family).close()
        for _ in range(count if divided else 1):
            listeners.append(
                socket.create_server(
                    (host, port), family=family, backlog=_BACKLOG, reuse_port=divided
                )
            )
            port = listeners[0].getsockname()[1]
    except OSError as error:
        # Of which the address is said again.
        reason = str(error.strerror).partition(" (while")[0]
        raise SettingsError(f"{host}, port {port}: {reason}") from None
    return listeners if divided else listeners * count


def _how_to_use(listener: socket.socket, http_options: HttpOptions) -> str:
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp"
    lines = [f"Serving MCP at {url}"]
    if not http_options.loopback:
        lines.append(f"as {', '.join(http_options.allowed_hosts)}; TLS is for a proxy to add")
    if http_options.asks_for_token:
        token = "an access token" if http_options.shared_token else "a token of Ace Data Cloud"
        lines.append(f"Callers send {token} as the header Authorization: Bearer YOUR-TOKEN.")
    else:
        lines.append("No token is asked for: whoever reaches this address can use it.")
    return "\n".join([*lines, "Ctrl-C ends it."])
