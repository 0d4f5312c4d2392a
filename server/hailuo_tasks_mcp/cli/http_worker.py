"""Serves MCP over Streamable HTTP in this process, until it is told to end."""

import argparse
import logging
import socket
import sys
from contextlib import suppress

from hailuo_tasks_mcp.cli.startup import Startup
from hailuo_tasks_mcp.cli.telemetry import drop_unusable_variables
from hailuo_tasks_mcp.installation import WINDOWS
from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions

# One for each connection of a client, and for those to the API.
_DESCRIPTORS = 8_192


def serve(
    options: argparse.Namespace,
    http_options: HttpOptions,
    startup: Startup,
    listener: socket.socket,
) -> None:
    """Serve at a listening socket until SIGTERM, SIGINT or, in a worker, the end of stdin."""
    drop_unusable_variables()
    # After that, because they import the SDK.
    from hailuo_tasks_mcp.server import create_server  # noqa: PLC0415
    from hailuo_tasks_mcp.tasks.waits import Waits  # noqa: PLC0415
    from hailuo_tasks_mcp.transports.streamable_http.app import (  # noqa: PLC0415
        HttpApp,
        caller_of_request,
    )
    from hailuo_tasks_mcp.transports.streamable_http.http_server import serve_http  # noqa: PLC0415

    settings, transport, redactor = startup
    if settings.log_level != "DEBUG":
        # The SDK logs each request too, beside the one line that the app logs of it, and warns of
        # each that is malformed, which would let anyone fill the log.
        logging.getLogger("mcp").setLevel(logging.ERROR)
    # At DEBUG it logs each answer, with the prompts and the videos of other people.
    logging.getLogger("sse_starlette").setLevel(logging.INFO)
    _allow_many_descriptors()
    observer, pages = None, {}
    if options.metrics:
        # Installed only by those who want it.
        from hailuo_tasks_mcp.transports.streamable_http.metrics import (  # noqa: PLC0415
            METRICS_PATH,
            Metrics,
        )

        observer = Metrics()
        pages[METRICS_PATH] = observer.page
    waits = Waits(
        max_of_caller=options.max_waits_per_caller,
        max_of_all=options.max_waits,
        observer=observer,
    )
    server = create_server(
        settings,
        transport=transport,
        redactor=redactor,
        caller_of=caller_of_request,
        reader="remote_shared" if http_options.shared_token else "remote",
        waits=waits,
        observer=observer,
    )
    app = HttpApp(server, settings, http_options, waits=waits, pages=pages)
    serve_http(app, listener, stop_at_end_of_stdin=options.listen_fd is not None)


def _allow_many_descriptors() -> None:
    """Raise the limit of open files, which is 1,024 on many systems, as far as it may be."""
    if sys.platform == WINDOWS:
        return
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
