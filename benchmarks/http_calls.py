"""Makes calls over HTTP as fast as a server answers them, and measures how fast that is."""

import asyncio
import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import quantiles

from http_servers import HttpArm, serving
from http_wire import Caller, Connection, call_request, connect
from stdio_driver import stand_in

CALLERS = 32
# Of which each caller asks for one after another, over and over.
_IDS_OF_CALLER = 50
WARM_UP_SECONDS = 1.0
# Of a burst of new connections, one worker may take all.
_CONNECT_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsCase:
    """What is measured: of which server, with how many workers and tokens, at which revision."""

    arm: HttpArm
    workers: int
    revision: str
    tokens: int

    def row(self) -> str:
        """Return the first cells of its row in a table."""
        return f"{self.arm.name} | {self.workers} | {self.revision} | {self.tokens}"


@dataclass(frozen=True, slots=True)
class CallsResult:
    """What a run measured.

    Attributes:
        calls_per_second: by all callers.
        p50_ms: half of the calls took no longer.
        p99_ms: nor did 99 of 100.
        calls_per_processor_second: of the server and its workers, which shares the machine.
        driver_share: of one core, that this process took.

    """

    calls_per_second: float
    p50_ms: float
    p99_ms: float
    calls_per_processor_second: float
    driver_share: float


def token_of(number: int) -> str:
    """Return one of many tokens, of the usual length and valid nowhere."""
    return f"bench-token-{number:020d}"


async def measure_calls(case: CallsCase, seconds: float) -> CallsResult:
    """Start a server, make calls for some seconds and return what was measured.

    Raises:
        RuntimeError: an answer is not the one to the call.

    """
    options = ["--workers", str(case.workers)] if case.workers > 1 else []
    async with stand_in(0) as base_url, serving(case.arm, base_url, *options) as server:
        callers = []
        for number in range(CALLERS):
            callers.append((await connect(server.port), _requests(case, server.port, number)))
            await asyncio.sleep(_CONNECT_PAUSE_SECONDS)
        await _call(callers, WARM_UP_SECONDS)
        started, driver = time.perf_counter(), time.process_time()
        before = server.processor_seconds()
        took = await _call(callers, seconds)
        elapsed = time.perf_counter() - started
        for connection, _ in callers:
            connection.close()
        hundredths = quantiles(took, n=100)
        return CallsResult(
            calls_per_second=len(took) / elapsed,
            p50_ms=hundredths[49] * 1000,
            p99_ms=hundredths[98] * 1000,
            calls_per_processor_second=len(took) / (server.processor_seconds() - before),
            driver_share=(time.process_time() - driver) / elapsed,
        )


def _requests(case: CallsCase, port: int, number: int) -> list[tuple[bytes, bytes]]:
    """Return a caller's requests, and what the answer to each must hold."""
    arm, caller = case.arm, Caller(port, case.revision, token_of(number % case.tokens))
    ids = [f"58cc618b-9639-4ee7-add2-{number:06d}{each:06d}" for each in range(_IDS_OF_CALLER)]
    return [(call_request(caller, arm.tool, {arm.argument: each}), each.encode()) for each in ids]


async def _call(
    callers: Iterable[tuple[Connection, list[tuple[bytes, bytes]]]], seconds: float
) -> list[float]:
    """Have each caller make one call after another; return how long each took, in seconds."""
    clock = time.perf_counter
    end = clock() + seconds
    took: list[float] = []

    async def work(connection: Connection, requests: list[tuple[bytes, bytes]]) -> None:
        for request, expected in itertools.cycle(requests):
            started = clock()
            if started >= end:
                break
            response = await connection.send(request)
            took.append(clock() - started)
            if expected not in response or b'"isError":true' in response:
                raise RuntimeError(f"not an answer to {expected!r}: {response[:2000]!r}")

    # A call in flight at the end may take as long as the API.
    async with asyncio.timeout(seconds + 60), asyncio.TaskGroup() as group:
        for connection, requests in callers:
            group.create_task(work(connection, requests))
    return took
