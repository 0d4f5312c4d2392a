"""Drives the server over real stdin and stdout, one line of JSON at a time."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from coverage import Coverage

from helpers import TIMEOUT_SECONDS, Json

MODERN_VERSION = "2026-07-28"
CLIENT = {"name": "test", "version": "1"}


def envelope(**params: Any) -> Json:
    """Return params as revision 2026-07-28 requires them on every request."""
    return {
        **params,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
            "io.modelcontextprotocol/clientInfo": CLIENT,
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }


def declaring(params: Json, extension: str) -> Json:
    """Return the params of a client that declares an extension."""
    capabilities: Json = {"extensions": {extension: {}}}
    meta = params.get("_meta", {}) | {"io.modelcontextprotocol/clientCapabilities": capabilities}
    return params | {"_meta": meta}


def message(request_id: int | str | None, method: str, params: Json | None = None) -> bytes:
    request: Json = {"jsonrpc": "2.0", "method": method}
    if request_id is not None:
        request["id"] = request_id
    if params is not None:
        request["params"] = params
    return json.dumps(request).encode() + b"\n"


def initialize(version: str) -> bytes:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}
    return message(0, "initialize", params)


INITIALIZED = message(None, "notifications/initialized")


class ServerProcess:
    """A running server."""

    def __init__(
        self, process: Process, stdout: asyncio.StreamReader, stop_reading: Callable[[], None]
    ) -> None:
        assert process.stdin
        assert process.stderr
        self.process = process
        self.stdin = process.stdin
        self.stdout = stdout
        self.stop_reading = stop_reading
        """Closes our end of stdout, as a host does that dies."""
        # From the beginning: a log that nobody reads stops the server at some hundred kilobytes.
        self.stderr = asyncio.create_task(process.stderr.read())

    async def request(self, line: bytes) -> Json:
        """Send a request and return its response."""
        self.stdin.write(line)
        await self.stdin.drain()
        response: Json = json.loads(await self.stdout.readline())
        assert response["jsonrpc"] == "2.0"
        assert response["id"] == json.loads(line)["id"]
        return response

    async def finish(self, stdin: bytes = b"") -> tuple[list[Json], str]:
        """Send the rest, close stdin, and return what was received on stdout and on stderr."""
        self.stdin.write(stdin)
        self.stdin.close()
        out = await self.stdout.read()
        await self.process.wait()
        return [json.loads(line) for line in out.splitlines()], (await self.stderr).decode()

    async def end(self, number: signal.Signals) -> str:
        """Send a signal and return what was received on stderr."""
        self.process.send_signal(number)
        await self.process.wait()
        return (await self.stderr).decode()


def measured_command(*command: str) -> tuple[str, ...]:
    """Return the command of a Python process whose coverage is measured, where this one's is.

    Tracing makes the start of a process half as slow again, so it is for the few that run what no
    test runs in this process.
    """
    return ("-m", "coverage", "run", *command) if Coverage.current() else command


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command, with nothing of this package's but what is given."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ACEDATACLOUD_", "HAILUO_"))
    }
    return inherited | dict(environ)


@asynccontextmanager
async def server_process(
    *arguments: str,
    command: tuple[str, ...] = ("-m", "hailuo_tasks_mcp"),
    measured: bool = False,
    **environ: str,
) -> AsyncIterator[ServerProcess]:
    """Start the command with nothing of this package's in its environment but what is given."""
    if measured:
        command = measured_command(*command)
    # A pipe of our own, so that this end of it can be closed before the process ends.
    reading, writing = os.pipe()
    stdout = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(reading, "rb")
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *arguments,
        stdin=PIPE,
        stdout=writing,
        stderr=PIPE,
        env=environment(environ),
    )
    os.close(writing)
    server = ServerProcess(process, stdout, pipe.close)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            yield server
    finally:
        pipe.close()
        if process.returncode is None:
            process.kill()
        await server.stderr
        await process.wait()
