"""Drives any MCP server over real stdin and stdout, in JSON-RPC and nothing else."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

TOKEN = "bench-token-0123456789"  # noqa: S105 - valid nowhere
PATIENCE_SECONDS = 120
# A line can be the answer of a large batch.
LINE_LIMIT = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One server of the comparison."""

    name: str
    command: list[str]
    one: Callable[[str], tuple[str, Json]]
    several: Callable[[list[str]], tuple[str, Json]] | None = None


OURS = Arm(name="ours", command=[sys.executable, "-m", "hailuo_tasks_mcp"], one=lambda _: ("", {}))


class Server:
    """A running server, driven in JSON-RPC, one line a message."""

    def __init__(self, process: Process, start_seconds: float, instructions: str) -> None:
        self.process = process
        self.start_seconds = start_seconds
        self.instructions = instructions
        self.others: list[Json] = []
        """Messages that no request waits for."""
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout  # noqa: S101 - a pipe
        try:
            while line := await self.process.stdout.readline():
                message = json.loads(line)
                number = message.get("id")
                waiting = self._waiting.get(number) if isinstance(number, int) else None
                if waiting is None or waiting.done():
                    self.others.append(message)
                else:
                    waiting.set_result(message)
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError("the server has ended"))

    async def request(self, method: str, params: Json) -> Json:
        """Return the result of a request."""
        message = await self.ask(method, params)
        if "result" not in message:
            raise RuntimeError(f"{method}: {message.get('error')}")
        result: Json = message["result"]
        return result

    def new_id(self) -> int:
        """Return an id for a request."""
        return len(self._waiting) + int(time.perf_counter() * 1e9)

    async def ask(self, method: str, params: Json, number: int | None = None) -> Json:
        """Return the response to a request, be it a result or an error."""
        number = self.new_id() if number is None else number
        response: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = response
        self.send(method, params, id=number)
        try:
            return await response
        finally:
            del self._waiting[number]

    def send(self, method: str, params: Json, **fields: Any) -> None:
        """Send a message."""
        assert self.process.stdin  # noqa: S101 - a pipe
        message = {"jsonrpc": "2.0", "method": method, "params": params, **fields}
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def call(self, tool: str, arguments: Json) -> str:
        """Call a tool and return the text that a model would read."""
        result = await self.request("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise RuntimeError(f"{tool}: {result}")
        text: str = result["content"][0]["text"]
        return text

    def memory_mb(self) -> float:
        """Return the resident size, in MB."""
        return self._status_mb("VmRSS:")

    def peak_mb(self) -> float:
        """Return the largest resident size so far, in MB."""
        return self._status_mb("VmHWM:")

    def _status_mb(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(name)[2].split()[0]) / 1024

    def open_files(self) -> int:
        """Return how many files and sockets are open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    async def end(self) -> None:
        """Close stdin and wait for the end."""
        assert self.process.stdin  # noqa: S101 - a pipe
        self.process.stdin.close()
        await self.process.wait()
        await self._reading


@asynccontextmanager
async def running(
    arm: Arm,
    base_url: str,
    stderr: int = DEVNULL,
    patience_seconds: float = PATIENCE_SECONDS,
    /,
    *,
    token: str = TOKEN,
    **settings: str,
) -> AsyncIterator[Server]:
    """Start a server as a host does, timing it until its response to `initialize`."""
    # Nothing else: what is set for other servers, or for a proxy, is not to be measured.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environ = {
        **kept,
        "ACEDATACLOUD_API_TOKEN": token,
        "ACEDATACLOUD_API_BASE_URL": base_url,
        **settings,
    }
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    }
    message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *arm.command, stdin=PIPE, stdout=PIPE, stderr=stderr, env=environ, limit=LINE_LIMIT
    )
    try:
        async with asyncio.timeout(patience_seconds):
            assert process.stdin  # noqa: S101 - a pipe
            assert process.stdout  # noqa: S101 - a pipe
            process.stdin.write(json.dumps(message).encode() + b"\n")
            line = await process.stdout.readline()
            start_seconds = time.perf_counter() - started
            instructions = json.loads(line)["result"].get("instructions") or ""
            server = Server(process, start_seconds, instructions)
            server.send("notifications/initialized", {})
            yield server
            await server.end()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def stand_in(delay_seconds: float) -> AsyncIterator[str]:
    """Run the stand-in of the API in a process of its own; yield its base URL."""
    script = Path(__file__).parent / "stand_in.py"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script), "--delay-seconds", str(delay_seconds)),
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin  # noqa: S101 - a pipe
    assert process.stdout  # noqa: S101 - a pipe
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()
