"""Starts the servers that are measured over HTTP, and reads what they take from /proc."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from http_wire import body_of, fetch, get_request

HERE = Path(__file__).parent
START_SECONDS = 30
END_SECONDS = 10
_IDLE_SECONDS = 0.2
_IDLE_TIMES = 4
_URL = re.compile(rb"http://127\.0\.0\.1:(\d+)/mcp")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class HttpArm:
    """One server of the comparison, and its tool that looks a task up or does nothing."""

    name: str
    command: list[str]
    tool: str
    argument: str
    environ: dict[str, str] = field(default_factory=dict)
    is_ours: bool = False


def ours(*command: str) -> HttpArm:
    """Return this server, as it is started over HTTP."""
    return HttpArm(
        name="ours",
        command=[*command, "serve", "--http", "--port", "0"],
        tool="retrieve_task",
        argument="task_id",
        is_ours=True,
    )


def floor(python: str) -> HttpArm:
    """Return the empty server."""
    return HttpArm(
        name="floor",
        command=[python, str(HERE / "floor_http_server.py")],
        tool="echo",
        argument="text",
    )


def vendor(python: str, token: str, *, oauth: bool) -> HttpArm:
    """Return the vendor's server.

    Without OAuth, as it starts by itself, it uses the token of its own environment for every
    caller, whatever the caller sends. With OAuth, it passes on a token that a caller brings.
    """
    # OAuth is on where it has a URL, which only its metadata name.
    url = {"MCP_SERVER_URL": "http://127.0.0.1:8000"} if oauth else {}
    return HttpArm(
        name=f"vendor, OAuth {'on' if oauth else 'off'}",
        command=[python, str(HERE / "vendor_on_loopback.py")],
        tool="hailuo_get_task",
        argument="task_id",
        environ={"ACEDATACLOUD_API_TOKEN": token, "LOG_LEVEL": "WARNING", **url},
    )


class HttpServer:
    """A running server: its port, and what it and its workers take."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    def pids(self) -> list[int]:
        """Return the process and those that it started."""
        parents = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(entry.parent.name)] = int(_fields(entry)[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
        pids = [self.process.pid]
        # The list grows while it is read.
        for pid in pids:
            pids += [child for child, parent in parents.items() if parent == pid]
        return pids

    def processor_seconds(self) -> float:
        """Return the processor time so far, in seconds."""
        fields = [_fields(Path(f"/proc/{pid}/stat")) for pid in self.pids()]
        return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Return the resident size, in MB."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(text.partition("VmRSS:")[2].split()[0]) for text in texts) / 1024

    def open_files(self) -> int:
        """Return how many files and sockets are open."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())  # noqa: PTH208

    async def until_idle(self) -> None:
        """Wait until nothing is done any more: all workers have started, or all calls ended."""
        idle, before = 0, self.processor_seconds()
        async with asyncio.timeout(START_SECONDS):
            # Several times, because a process that is given no time does nothing either.
            while idle < _IDLE_TIMES:
                await asyncio.sleep(_IDLE_SECONDS)
                now = self.processor_seconds()
                idle = idle + 1 if now - before < _IDLE_SECONDS / 10 else 0
                before = now

    async def end(self) -> None:
        """End it as an operator does."""
        self.process.terminate()
        async with asyncio.timeout(END_SECONDS):
            await self.process.wait()


def _fields(stat: Path) -> list[str]:
    """Return the fields of a process that follow its name, which may hold anything."""
    return stat.read_text().rpartition(")")[2].split()


@asynccontextmanager
async def serving(
    arm: HttpArm, base_url: str, *options: str, stderr: Any = DEVNULL, **settings: str
) -> AsyncIterator[HttpServer]:
    """Start a server, and wait until it and its workers are ready.

    Args:
        arm: the server.
        base_url: where the API is.
        options: what to add to its command.
        stderr: where its log goes.
        settings: environment variables.

    """
    # Nothing else: what is set for other servers, or for a proxy, is not to be measured.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environ = kept | {"ACEDATACLOUD_API_BASE_URL": base_url} | arm.environ | settings
    process = await asyncio.create_subprocess_exec(
        *arm.command, *options, stdin=DEVNULL, stdout=PIPE, stderr=stderr, env=environ
    )
    assert process.stdout  # noqa: S101 - a pipe
    server = HttpServer(process, 0)
    reading = None
    try:
        async with asyncio.timeout(START_SECONDS):
            while (found := _URL.search(line := await process.stdout.readline())) is None:
                if not line:
                    raise RuntimeError(f"{arm.name} ended before it told its URL")
            server.port = int(found[1])
            # So that a server that prints more is not held up.
            reading = asyncio.create_task(process.stdout.read())
            await _until_listening(server.port)
            await server.until_idle()
        yield server
        await server.end()
    finally:
        if process.returncode is None:
            for pid in reversed(server.pids()):
                os.kill(pid, 9)
            await process.wait()
        if reading is not None:
            await reading


async def _until_listening(port: int) -> None:
    """Wait until a port takes connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def port_of(base_url: str) -> int:
    """Return the port of a base URL."""
    return int(base_url.rpartition(":")[2])


async def requests_at(base_url: str, path: str = "/") -> int:
    """Return how many requests the stand-in of the API has received."""
    port = port_of(base_url)
    return int(body_of(await fetch(port, get_request(port, path))))


def connections_at(port: int) -> int:
    """Return how many connections at a port of this machine its server has not closed."""
    # By the kernel's numbers: 01 is established; 08, the other side has closed it.
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    sockets = [line.split() for line in lines]
    return sum(
        fields[1].endswith(f":{port:04X}") and fields[3] in {"01", "08"} for fields in sockets
    )


def allow_descriptors(count: int) -> None:
    """Raise how many descriptors this process and those that it starts may have open."""
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most < count:
            print(f"only {most} descriptors are allowed; {count} are wanted", file=sys.stderr)
