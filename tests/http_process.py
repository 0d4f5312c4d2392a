"""Runs `serve --http` as a process, and sends it requests over sockets."""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from helpers import TIMEOUT_SECONDS, Json
from http_app import call_of, result_of
from stdio_process import environment, measured_command


class HttpProcess:
    """A server of the sandbox that has started."""

    def __init__(self, process: Process, url: str, told: str) -> None:
        assert process.stderr
        self.process = process
        self.url = url
        self.told = told
        self.stderr = asyncio.create_task(process.stderr.read())
        self.client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS)

    @property
    def port(self) -> int:
        port = httpx.URL(self.url).port
        assert port
        return port

    async def call(self, version: str, task_id: str, wait_seconds: int = 0) -> Json:
        """Call a tool and return its answer."""
        body, headers = call_of(version, task_id, wait_seconds)
        response = await self.client.post("/mcp", json=body, headers=headers)
        answer: Json = result_of(response)["structuredContent"]
        return answer

    async def metrics(self) -> dict[str, float]:
        text = (await self.client.get("/metrics")).text
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    async def until_waiting(self, count: int) -> None:
        """Return once so many calls wait, which takes --metrics."""
        while (await self.metrics()).get("hailuo_tasks_waits") != count:
            pass

    async def ended(self) -> tuple[int | None, str]:
        """Return the exit code, and what was received on stderr."""
        await self.process.wait()
        return self.process.returncode, (await self.stderr).decode()

    async def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int | None, str]:
        self.process.send_signal(number)
        return await self.ended()


@asynccontextmanager
async def http_process(
    *arguments: str, measured: bool = False, sandbox: bool = True, **environ: str
) -> AsyncIterator[HttpProcess]:
    """Start a server at any free port, with nothing in its environment but what is given."""
    command: tuple[str, ...] = ("-m", "hailuo_tasks_mcp")
    if measured:
        command = measured_command(*command)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command, "serve", "--http", "--port", "0", *arguments),
        *(["--sandbox"] if sandbox else []),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=environment(environ),
    )
    assert process.stdout
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            told = (await process.stdout.readuntil(b"Ctrl-C ends it.\n")).decode()
            found = re.match(r"Serving MCP at (\S+)/mcp\n", told)
            assert found
            server = HttpProcess(process, found[1], told)
            async with server.client:
                yield server
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
