"""What many calls at once cost, of the server and of the platform, at its limit of 5 in flight.

    python benchmarks/together.py [--command PATH] [--service minimax] [--waits 200] [--wait 70]

Starts the server as a host does, against the sandbox, which answers in 200 ms and refuses a sixth
request in flight, and makes 100 calls at once; then 200 calls at once, each of which waits for a
task of its own that does not end. Prints how many were answered, how long they took, how many
requests the sandbox was sent and had to refuse, the server's processor time, and how much later
than its wait a call was answered, from the moment it was written.

Wants /proc, so Linux.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from hailuo_tasks_mcp.sandbox.app import SANDBOX_TOKEN, create_sandbox
from hailuo_tasks_mcp.sandbox.server import bind_sandbox, sandbox_server, url_of
from stdio_driver import Arm, Json, Server, running

LATENCY_SECONDS = 0.2
CALLS = 100
PROMPT = "Waves at dusk"
# What starts a task at each service; in the sandbox, Hailuo's runs for a minute, H3's for seven.
GENERATIONS: dict[str, Json] = {
    "hailuo": {"action": "generate", "prompt": PROMPT, "async": True},
    "minimax": {
        "model": "MiniMax-H3",
        "content": [{"type": "text", "text": PROMPT}],
        "resolution": "2K",
        "duration": 5,
        "ratio": "16:9",
        "async": True,
    },
}


class Counting:
    """Counts the look-ups that an application is sent, and those that it refuses."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.requests = 0
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def counting_send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.requests += 1
                self.refused += message["status"] == httpx.codes.TOO_MANY_REQUESTS
            await send(message)

        await self.app(scope, receive, counting_send)


@asynccontextmanager
async def sandbox() -> AsyncIterator[tuple[str, Counting]]:
    """Serve a sandbox; yield its base URL and the counts."""
    with bind_sandbox(0) as listener:
        app = Counting(create_sandbox(latency_seconds=LATENCY_SECONDS))
        server = sandbox_server(app)  # type: ignore[arg-type]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield url_of(listener), app
        server.should_exit = True
        await serving


async def make_tasks(base_url: str, service: str, count: int) -> list[str]:
    """Start tasks; return their ids."""
    headers = {"authorization": f"Bearer {SANDBOX_TOKEN}"}
    limits = httpx.Limits(max_connections=4)
    async with httpx.AsyncClient(base_url=base_url, headers=headers, limits=limits) as client:
        post = client.post
        made = [post(f"/{service}/videos", json=GENERATIONS[service]) for _ in range(count)]
        return [response.json()["task_id"] for response in await asyncio.gather(*made)]


def processor_seconds(server: Server) -> float:
    """Return the processor time that a server has taken, in seconds."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(name: str, server: Server, counts: Counting, calls: list[Json]) -> None:
    """Make calls at once and print what they cost."""
    before, cpu_before = (counts.requests, counts.refused), processor_seconds(server)
    started = time.perf_counter()
    late_seconds: list[float] = []

    async def call(arguments: Json) -> bool:
        """Make a call, note how much later than its wait it is answered, and return whether."""
        written = time.perf_counter()
        params = {"name": "retrieve_task", "arguments": arguments}
        result = await server.request("tools/call", params)
        took = time.perf_counter() - written
        late_seconds.append(took - arguments.get("wait_seconds", 0))
        return not result.get("isError")

    answered = sum(await asyncio.gather(*map(call, calls)))
    seconds = time.perf_counter() - started
    print(
        f"{name}: {answered} of {len(calls)} answered in {seconds:.2f} s, "
        f"{counts.requests - before[0]} requests, {counts.refused - before[1]} refused, "
        f"{processor_seconds(server) - cpu_before:.2f} s of processor time; "
        f"late by {statistics.median(late_seconds):.2f} s at the median, "
        f"{max(late_seconds):.2f} s at worst"
    )


async def run(command: str, service: str, waits: int, wait_seconds: int) -> None:
    """Measure a server."""
    arm = Arm(name="server", command=[command], one=lambda task_id: ("", {"id": task_id}))
    async with sandbox() as (base_url, counts):
        task_ids = await make_tasks(base_url, service, max(waits, CALLS + 1))
        most = {"HAILUO_MAX_WAIT_SECONDS": "600"}
        async with running(arm, base_url, token=SANDBOX_TOKEN, **most) as server:
            await server.call("retrieve_task", {"task_id": task_ids[0]})
            calls: list[Json] = [{"task_id": task_id} for task_id in task_ids[1 : CALLS + 1]]
            await measure(f"{CALLS} calls", server, counts, calls)
            calls = [{"task_id": each, "wait_seconds": wait_seconds} for each in task_ids[:waits]]
            await measure(f"{waits} waits of {wait_seconds} s", server, counts, calls)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--command", default=str(Path(sys.executable).parent / "hailuo-tasks-mcp"))
    parser.add_argument("--service", choices=list(GENERATIONS), default="minimax")
    parser.add_argument("--waits", type=int, default=200, help="calls that wait at once")
    parser.add_argument("--wait", type=int, default=70, help="seconds that each call waits")
    options = parser.parse_args()
    asyncio.run(run(options.command, options.service, options.waits, options.wait))
