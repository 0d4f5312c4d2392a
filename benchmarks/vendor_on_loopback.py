"""Serves the vendor's `mcp-hailuo --transport http` on 127.0.0.1, at a port that it prints.

By itself it serves on all addresses of the machine. To be run in the environment that it is
installed in.
"""

import socket
import sys
from typing import Any

import uvicorn


def run(app: Any, **_: Any) -> None:
    """Serve an application on loopback, in place of `uvicorn.run`, and otherwise as that does."""
    # The protocol is named, as it is for the socket that uvicorn itself would serve at: asyncio
    # sets TCP_NODELAY only then.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
        uvicorn.Server(uvicorn.Config(app)).run(sockets=[listener])


if __name__ == "__main__":
    uvicorn.run = run
    sys.argv = ["mcp-hailuo", "--transport", "http"]
    import main

    main.main()
