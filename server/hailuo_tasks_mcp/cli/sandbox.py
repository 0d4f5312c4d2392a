"""`hailuo-tasks-mcp sandbox`: serves the stand-in for the platform on this machine."""

import argparse
import sys

from hailuo_tasks_mcp.logs import log_to_stderr
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.sandbox.server import bind_sandbox, serve_sandbox


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C, and return the exit code."""
    log_to_stderr("WARNING", Redactor())
    try:
        listener = bind_sandbox(options.port)
    except OSError as error:
        print(f"hailuo-tasks-mcp: port {options.port}: {error.strerror}", file=sys.stderr)
        return 1
    with listener:
        serve_sandbox(listener)
    return 0
