"""`hailuo-tasks-mcp sandbox`: serves the stand-in for the platform on this machine."""

import argparse
import sys

from hailuo_tasks_mcp.sandbox.server import serve_sandbox


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C, and return the exit code."""
    try:
        serve_sandbox(options.port)
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"hailuo-tasks-mcp: port {options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0
