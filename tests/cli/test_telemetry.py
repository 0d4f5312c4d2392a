"""OpenTelemetry, which the SDK imports: its variables, and no spans."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from typing import Any

import pytest

from helpers import TIMEOUT_SECONDS
from stdio_process import envelope, message, server_process

pytestmark = pytest.mark.real_time

# In a process of its own, because a provider can be set but once.
LISTS_TOOLS_WITH_A_TRACER = """
import asyncio
from opentelemetry import trace

class Tracer(trace.NoOpTracer):
    def start_as_current_span(self, name, *args, **more):
        print(name)
        return super().start_as_current_span(name, *args, **more)

class Provider(trace.NoOpTracerProvider):
    def get_tracer(self, *_, **__):
        return Tracer()

trace.set_tracer_provider(Provider())

from mcp import Client
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.settings import Settings

async def main():
    async with Client(create_server(Settings())) as client:
        print(len((await client.list_tools()).tools))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_PROPAGATORS", "tracecontext,b3multi"),
        ("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider"),
        ("OTEL_PYTHON_TRACER_PROVIDER", ""),
    ],
)
async def test_what_is_not_installed_is_left_out_with_a_warning(variable: str, value: str) -> None:
    environ: dict[str, Any] = {variable: value}
    async with server_process("--sandbox", measured=True, **environ) as server:
        response = await server.request(message(1, "tools/list", envelope()))
        _, err = await server.finish()

    assert len(response["result"]["tools"]) == 3
    (line,) = err.splitlines()
    assert re.search(rf" WARNING [\w.]+: {variable}=.* is ignored, because what it names", line)
    assert line.isprintable()
    assert server.process.returncode == 0


@pytest.mark.parametrize("value", ["tracecontext", "none", ""])
async def test_what_is_installed_is_used_without_a_word(value: str) -> None:
    environ: dict[str, Any] = {
        "OTEL_PROPAGATORS": value,
        "OTEL_PYTHON_CONTEXT": "contextvars_context",
        "OTEL_PYTHON_TRACER_PROVIDER": "default_tracer_provider",
    }
    async with server_process("--sandbox", **environ) as server:
        await server.request(message(1, "tools/list", envelope()))

        assert await server.finish() == ([], "")


async def test_a_context_that_is_not_installed_is_told_by_its_library_in_a_clean_line() -> None:
    context = "gevent\x1b[2J\n_context"
    async with server_process("--sandbox", OTEL_PYTHON_CONTEXT=context) as server:
        response = await server.request(message(1, "tools/list", envelope()))
        _, err = await server.finish()

    assert len(response["result"]["tools"]) == 3
    (line,) = err.splitlines()
    assert " ERROR opentelemetry.context: " in line
    assert line.isprintable()
    assert server.process.returncode == 0


async def test_no_span_is_made_where_a_tracer_is_installed() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LISTS_TOOLS_WITH_A_TRACER), stdout=PIPE
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert out == b"3\n"
