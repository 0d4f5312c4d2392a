"""Makes calls over HTTP that wait, all at once, and measures what they cost."""

import asyncio
import time
from dataclasses import dataclass, replace

from http_calls import token_of
from http_servers import HttpArm, HttpServer, requests_at, serving
from http_wire import Caller, call_request, connect
from stdio_driver import stand_in

WAITS = 1_000
WAIT_SECONDS = 50
# How many connections are opened at a time.
_AT_ONCE = 50
HOLD_SECONDS = 10
_WARM_UP_WAITS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitsCase:
    """What is measured: of which server, with how many tokens, at which revision."""

    arm: HttpArm
    revision: str
    tokens: int

    def row(self) -> str:
        """Return the first cells of its row in a table."""
        return f"{self.arm.name} | {self.revision} | {self.tokens}"


@dataclass(frozen=True, slots=True)
class WaitsResult:
    """What a run measured.

    Attributes:
        kb_each: memory of a wait with its connection, in kB.
        begun_seconds: from the first call until the last one had been sent.
        processor_seconds: of the server, from the first call to the last answer.
        requests: to the platform, from the first call until the tasks ended.
        last_requests: to the platform, from the end of the tasks until all were told.
        told_seconds: from the end of the tasks until the last call was answered.

    The last three are None for a server that asks no API, whose calls end by themselves.

    """

    kb_each: float
    begun_seconds: float
    processor_seconds: float
    requests: int | None = None
    last_requests: int | None = None
    told_seconds: float | None = None


async def measure_waits(case: WaitsCase, waits: int = WAITS) -> WaitsResult:
    """Start a server, have calls wait at once, end their tasks, and return what was measured.

    Raises:
        RuntimeError: a call was not answered as it should be.

    """
    limits = ("--max-waits-per-caller", str(waits), "--max-waits", str(waits))
    options = limits if case.arm.is_ours else ()
    async with stand_in(0) as base_url, serving(case.arm, base_url, *options) as server:
        await _until_all(*(await _begin(case, server, _WARM_UP_WAITS, wait_seconds=1)))
        await server.until_idle()
        memory_mb, processor = server.memory_mb(), server.processor_seconds()
        requests = await requests_at(base_url)
        started = time.perf_counter()
        wait_seconds = WAIT_SECONDS if case.arm.is_ours else 2 * HOLD_SECONDS
        calls = await _begin(case, server, waits, wait_seconds)
        begun_seconds = time.perf_counter() - started
        await asyncio.sleep(HOLD_SECONDS)
        if any(call.done() for call in calls):
            raise RuntimeError("a call did not wait")
        kb_each = (server.memory_mb() - memory_mb) * 1024 / waits
        at_end = await requests_at(base_url, "/end")
        ended = time.perf_counter()
        await _until_all(*calls)
        told_seconds = time.perf_counter() - ended
        result = WaitsResult(
            kb_each=kb_each,
            begun_seconds=begun_seconds,
            processor_seconds=server.processor_seconds() - processor,
        )
        if not case.arm.is_ours:
            return result
        return replace(
            result,
            requests=at_end - requests,
            last_requests=await requests_at(base_url) - at_end,
            told_seconds=told_seconds,
        )


async def _begin(
    case: WaitsCase, server: HttpServer, count: int, wait_seconds: float
) -> list["asyncio.Task[None]"]:
    """Send calls, each on a connection of its own; return their tasks."""
    places = asyncio.Semaphore(_AT_ONCE)
    sent: list[asyncio.Future[None]] = []
    loop = asyncio.get_running_loop()

    async def call(number: int, is_sent: "asyncio.Future[None]") -> None:
        task_id = f"running-{number:012d}"
        arguments = {case.arm.argument: task_id, "wait_seconds": wait_seconds}
        caller = Caller(server.port, case.revision, token_of(number % case.tokens))
        async with places:
            connection = await connect(server.port)
        response = connection.send(call_request(caller, case.arm.tool, arguments))
        is_sent.set_result(None)
        answer = await response
        connection.close()
        if task_id.encode() not in answer or b'"isError":true' in answer:
            raise RuntimeError(f"not an answer to {task_id}: {answer[:2000]!r}")

    calls = []
    for number in range(count):
        sent.append(loop.create_future())
        calls.append(asyncio.create_task(call(number, sent[-1])))
    async with asyncio.timeout(60):
        await asyncio.wait(sent)
    return calls


async def _until_all(*calls: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(WAIT_SECONDS + 30):
        await asyncio.gather(*calls)
