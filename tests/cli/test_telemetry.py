"""Variables for OpenTelemetry, which the SDK imports."""

import re
from typing import Any

import pytest

from stdio_process import envelope, message, server_process

pytestmark = pytest.mark.real_time


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

    assert len(response["result"]["tools"]) == 2
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

    assert len(response["result"]["tools"]) == 2
    (line,) = err.splitlines()
    assert " ERROR opentelemetry.context: " in line
    assert line.isprintable()
    assert server.process.returncode == 0
