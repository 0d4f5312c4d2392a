"""`hailuo-tasks-mcp` without a command: serves MCP over stdin and stdout."""

import argparse
import gc
import logging
import sys

from hailuo_tasks_mcp.cli.telemetry import drop_unusable_variables


def run(options: argparse.Namespace) -> int:
    """Serve until stdin closes, and return the exit code."""
    missing = [name for name in ("stdin", "stdout") if name in options.closed_streams]
    if missing:
        print(
            f"hailuo-tasks-mcp: {' and '.join(missing)} closed. It speaks MCP over stdin and "
            "stdout, so a host must open both.",
            file=sys.stderr,
        )
        return 1
    # The imports create hundreds of thousands of objects, nearly all of them to stay; collecting
    # garbage among them, now and at every later collection, costs time and finds next to none.
    gc.disable()
    try:
        from hailuo_tasks_mcp.cli.startup import start  # noqa: PLC0415

        settings, transport, redactor = start(sandbox=options.sandbox)
        drop_unusable_variables()
        from hailuo_tasks_mcp.messages import error_text  # noqa: PLC0415
        from hailuo_tasks_mcp.server import create_server  # noqa: PLC0415
        from hailuo_tasks_mcp.transports.stdio import serve_stdio  # noqa: PLC0415

        server = create_server(settings, transport=transport, redactor=redactor)
        gc.freeze()
    finally:
        gc.enable()
    if settings.problem is not None:
        logging.getLogger(__name__).error("%s", error_text(settings.problem, "model"))
    if sys.stdin.isatty():
        print(
            "hailuo-tasks-mcp speaks MCP over stdin and stdout; an MCP host starts it. "
            "To see it at work: hailuo-tasks-mcp demo",
            file=sys.stderr,
        )
    serve_stdio(server)
    return 0
