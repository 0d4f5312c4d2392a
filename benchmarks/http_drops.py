"""Opens and drops connections at each point of a call, and looks at what is left in the server."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from http_calls import token_of
from http_servers import HttpArm, HttpServer, connections_at, port_of, requests_at, serving
from http_wire import Caller, body_of, call_request, connect, fetch, get_request
from stdio_driver import stand_in

DROPS = 10_000
# In turn, so there are as many of each.
POINTS = ("at once", "in a head", "in a body", "in a wait")
_AT_ONCE = 100
_TOKENS = 20
_WARM_UP_DROPS = 2_000
_MAX_PATIENCE_SECONDS = 0.2
_DROPS_SECONDS = 120
_SETTLE_SECONDS = 20
# Longer than the longest pause of a wait that polls, so one that is left is seen.
WATCH_SECONDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class DropsCase:
    """What is measured: of which server, at which revision."""

    arm: HttpArm
    revision: str

    def row(self) -> str:
        """Return the first cells of its row in a table."""
        return f"{self.arm.name} | {self.revision}"


@dataclass(frozen=True, slots=True)
class DropsResult:
    """What a run measured.

    Attributes:
        connections_left: that the server has not closed.
        files_left: more than before that are open, those to the API aside.
        waits_left: calls that the server counts as waiting; None if it does not say.
        requests_left: to the platform, in six seconds after the last drop.
        more_mb: memory, in MB.

    """

    connections_left: int
    files_left: int
    waits_left: float | None
    requests_left: int
    more_mb: float


async def measure_drops(case: DropsCase, drops: int = DROPS) -> DropsResult:
    """Start a server, drop connections, and return what is left of them."""
    options = ["--metrics"] if case.arm.is_ours else []
    async with stand_in(0) as base_url, serving(case.arm, base_url, *options) as server:
        api_port = port_of(base_url)
        await _drop(case, server, min(_WARM_UP_DROPS, drops))
        memory_mb = server.memory_mb()
        files = server.open_files() - connections_at(api_port)
        await _drop(case, server, drops)
        # First, before this process opens connections of its own to look further.
        connections_left = connections_at(server.port)
        files_left = server.open_files() - connections_at(api_port) - files
        waits_left = await _waits(server.port) if case.arm.is_ours else None
        requests = await requests_at(base_url)
        await asyncio.sleep(WATCH_SECONDS)
        return DropsResult(
            connections_left=connections_left,
            files_left=files_left,
            waits_left=waits_left,
            requests_left=await requests_at(base_url) - requests,
            more_mb=server.memory_mb() - memory_mb,
        )


async def _waits(port: int) -> float:
    """Return how many calls wait, as the server's metrics have it."""
    metrics = body_of(await fetch(port, get_request(port, "/metrics")))
    return float(metrics.partition(b"\nhailuo_tasks_waits ")[2].split()[0])


async def _drop(case: DropsCase, server: HttpServer, drops: int) -> None:
    """Open connections and drop them, some at once, until the server has noticed each."""
    numbers = iter(range(drops))
    rng = Random(0)  # noqa: S311 - no secret

    async def work() -> None:
        for number in numbers:
            if number % _AT_ONCE == 0:
                # Or memory would be that of however many the server is behind.
                await _until_closed(server.port, but=2 * _AT_ONCE)
            arguments = {case.arm.argument: f"running-{number:012d}", "wait_seconds": 50}
            caller = Caller(server.port, case.revision, token_of(number % _TOKENS))
            request = call_request(caller, case.arm.tool, arguments)
            point = POINTS[number % len(POINTS)]
            head = request.index(b"\r\n\r\n")
            ends = (0, rng.randrange(1, head), rng.randrange(head + 4, len(request)), len(request))
            connection = await connect(server.port)
            response = connection.send(request[: ends[POINTS.index(point)]])
            with suppress(TimeoutError):
                async with asyncio.timeout(rng.uniform(0, _MAX_PATIENCE_SECONDS)):
                    answer = await response
                    raise RuntimeError(f"answered {point}: {answer[:2000]!r}")
            connection.close(reset=rng.random() < 0.5)  # noqa: PLR2004 - half of them

    async with asyncio.timeout(_DROPS_SECONDS):
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(work())
        # What is left then is for the result to tell.
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                await _until_closed(server.port)
                await server.until_idle()


async def _until_closed(port: int, *, but: int = 0) -> None:
    """Wait until a server has closed all its connections, or all but so many."""
    while connections_at(port) > but:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.05)
