"""Serves this project's server with the fixtures of the conformance suite, on 127.0.0.1.

    python tests/conformance/server.py [--sessions]

All but the fixtures is what `hailuo-tasks-mcp serve --http --sandbox` serves. With `--sessions` it
keeps a session for each client, which the product never does: requests of a server to its client
need one up to 2025-11-25.
"""

import socket
import sys
from pathlib import Path

from hailuo_tasks_mcp.cli.startup import start
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.tasks.waits import Waits
from hailuo_tasks_mcp.transports.streamable_http.app import HttpApp, caller_of_request
from hailuo_tasks_mcp.transports.streamable_http.http_server import serve_http
from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions

sys.path.append(str(Path(__file__).parents[1]))
from conformance.fixtures import add_fixtures


def main() -> None:
    """Serve until the process is told to end."""
    settings, transport, redactor = start(sandbox=True)
    waits = Waits()
    server = create_server(
        settings,
        transport=transport,
        redactor=redactor,
        caller_of=caller_of_request,
        reader="remote_shared",
        waits=waits,
    )
    add_fixtures(server)
    # The suite cannot send a token.
    app = HttpApp(server, settings, HttpOptions(shared_token=True), waits=waits)
    if "--sessions" in sys.argv:
        app._manager.stateless = False  # noqa: SLF001 - not an option of the product
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        print(f"Serving MCP at {url}", flush=True)  # noqa: T201 - for who started it
        serve_http(app, listener)


if __name__ == "__main__":
    main()
