"""The process that looks after others, with workers that only tell their ids."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from helpers import TIMEOUT_SECONDS
from stdio_process import measured_command

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(os.name != "posix", reason="there are no such signals"),
]

SUPERVISOR = """
import logging, os, socket, sys, types
from hailuo_tasks_mcp.transports.streamable_http import workers
logging.basicConfig()
workers._MIN_LIFE_SECONDS, workers._END_SECONDS = float(sys.argv[1]), 0.5
if len(sys.argv) > 3:
    times = iter(map(float, sys.argv[3:]))
    last = float(sys.argv[-1])
    workers.time = types.SimpleNamespace(monotonic=lambda: next(times, last))
listener = socket.create_server(("127.0.0.1", 0))
command = [sys.executable, "-c", sys.argv[2]]
on_end = lambda process_id: os.write(1, b"ended %d\\n" % process_id)
sys.exit(workers.run_workers(command, [listener] * 2, on_end))
"""
WORKER = """
import os, socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
assert listener.getsockname()[0] == "127.0.0.1"
os.write(1, b"worker %d\\n" % os.getpid())
sys.stdin.read()
"""
DEAF_WORKER = WORKER + "import signal\nwhile True: signal.pause()\n"


class Supervisor:
    """A process with two workers."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def line(self) -> tuple[str, int]:
        """Return the next thing that the supervisor or a worker tells, and of which process."""
        assert self.process.stdout
        what, process_id = (await self.process.stdout.readline()).decode().split()
        return what, int(process_id)

    async def ended(self) -> tuple[int | None, str]:
        """Return the exit code and stderr, once all of the processes have ended."""
        out, err = await self.process.communicate()
        assert out == b""
        return self.process.returncode, err.decode()


@asynccontextmanager
async def supervisor(
    folder: Path, worker: str = WORKER, *, min_life_seconds: float = 0, times: Sequence[int] = ()
) -> AsyncIterator[Supervisor]:
    script = folder / "supervisor.py"
    script.write_text(SUPERVISOR)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *measured_command(str(script)), str(min_life_seconds), worker),
        *map(str, times),
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            yield Supervisor(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def started(parent: Supervisor) -> list[int]:
    lines = [await parent.line() for _ in range(2)]
    assert [what for what, _ in lines] == ["worker"] * 2
    return [process_id for _, process_id in lines]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_all(tmp_path: Path, number: signal.Signals) -> None:
    async with supervisor(tmp_path) as parent:
        await started(parent)
        parent.process.send_signal(number)

        assert await parent.ended() == (0, "")


async def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async with supervisor(tmp_path) as parent:
        first, second = await started(parent)
        os.kill(first, signal.SIGKILL)
        ended, (what, third) = await parent.line(), await parent.line()
        os.kill(third, signal.SIGKILL)
        again = await parent.line()
        fourth = (await parent.line())[1]
        parent.process.send_signal(signal.SIGTERM)
        code, err = await parent.ended()

    assert (ended, what, again) == (("ended", first), "worker", ("ended", third))
    assert len({first, second, third, fourth}) == 4
    assert code == 0
    assert err.count("A worker ended by itself (-9)") == err.count("\n") == 2


async def test_a_worker_that_ends_soon_after_its_start_is_replaced_while_another_lives_on(
    tmp_path: Path,
) -> None:
    # By the clock, the first worker is started at 0 and the second at 100, and then it stays 100.
    async with supervisor(tmp_path, min_life_seconds=50, times=(0, 100)) as parent:
        older, newer = sorted(await started(parent))
        os.kill(newer, signal.SIGKILL)
        assert await parent.line() == ("ended", newer)
        what, third = await parent.line()
        parent.process.send_signal(signal.SIGTERM)
        code, _ = await parent.ended()

    assert (what, code) == ("worker", 0)
    assert third not in {older, newer}


async def test_a_worker_that_ends_soon_after_its_start_ends_all(tmp_path: Path) -> None:
    async with supervisor(tmp_path, min_life_seconds=9_999) as parent:
        first, _ = await started(parent)
        os.kill(first, signal.SIGKILL)
        assert await parent.line() == ("ended", first)
        code, err = await parent.ended()

    assert code == 1
    assert err.count("\n") == 1


async def test_workers_that_cannot_start_end_all(tmp_path: Path) -> None:
    async with supervisor(tmp_path, "raise SystemExit(7)", min_life_seconds=9_999) as parent:
        assert (await parent.line())[0] == "ended"
        code, err = await parent.ended()

    assert code == 1
    assert "A worker ended by itself (7)" in err


async def test_a_worker_that_hangs_is_killed(tmp_path: Path) -> None:
    async with supervisor(tmp_path, DEAF_WORKER) as parent:
        await started(parent)
        parent.process.send_signal(signal.SIGTERM)

        assert await parent.ended() == (0, "")


async def test_workers_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    async with supervisor(tmp_path) as parent:
        await started(parent)
        parent.process.send_signal(signal.SIGKILL)

        # Also the pipes end, which the workers hold open.
        assert await parent.ended() == (-signal.SIGKILL, "")
