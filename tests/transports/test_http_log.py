"""The one line that the log has of each request over HTTP."""

import re

import pytest

from hailuo_tasks_mcp.transports.streamable_http.app import logger
from http_app import (
    CALLER_TOKEN,
    VERSIONS,
    call_of,
    client_of,
    post,
    running_app,
)
from stdio_process import MODERN_VERSION
from two_services import TwoServices


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the app logged, without the time that each request took."""
    lines = [each.getMessage() for each in caplog.records if each.name == logger.name]
    return [re.sub(r"[0-9]+\.[0-9] ms\Z", "_ ms", line) for line in lines]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_request_is_one_line_with_what_was_called_where_the_headers_say_it(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger.name)
    api = TwoServices()
    api.know("hailuo", "t")
    async with running_app(api) as app:
        await post(app, call_of(version, "t"))

    called = " tools/call retrieve_task" if version == MODERN_VERSION else ""
    assert lines_of(caplog) == [f"/mcp post{called}: 200 in _ ms"]


async def test_the_time_of_a_wait_is_in_its_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger.name)
    api = TwoServices()
    api.know("hailuo", "t", created_at=1, started_at=1)
    async with running_app(api) as app:
        await post(app, call_of(MODERN_VERSION, "t", 20))

    assert caplog.messages[-1].endswith(": 200 in 20000.0 ms")


async def test_every_kind_of_refusal_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger.name)
    request = call_of(MODERN_VERSION, "t")
    async with running_app(TwoServices()) as app:
        await post(app, request, authorization="")
        await post(app, request, host="evil.test")
        await post(app, request, origin="https://evil.test")
        async with client_of(app) as client:
            for path in ("/livez", "/readyz", "/elsewhere"):
                await client.get(path)

    called = "/mcp post tools/call retrieve_task: "
    assert lines_of(caplog) == [
        *(f"{called}{status} in _ ms" for status in (401, 421, 403)),
        *("/livez get: 200 in _ ms", "/readyz get: 200 in _ ms", "(elsewhere) get: 404 in _ ms"),
    ]


async def test_no_line_holds_what_may_be_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger.name)
    secret = "s3cret"
    async with running_app(TwoServices()) as app:
        for name in ("mcp-name", "mcp-method", "host", "origin", "user-agent", "x-api-key"):
            await post(app, call_of(MODERN_VERSION, "t"), **{name: f"{secret} {CALLER_TOKEN}"})
            await post(app, call_of(MODERN_VERSION, "t"), **{name: secret})
        async with client_of(app) as client:
            await client.get(f"/mcp?token={secret}")
            await client.get(f"/{secret}")
            await client.get(f"/mcp/{secret}?{CALLER_TOKEN}", headers={"cookie": secret})
            await client.request(secret.upper(), "/mcp")
            await client.request(f"\x1b[31m{secret}", "/mcp")

    assert len(lines_of(caplog)) == 17
    for part in (secret, secret.upper(), CALLER_TOKEN, "\x1b", "?"):
        assert part not in str(lines_of(caplog))


async def test_above_info_there_is_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", logger.name)
    async with running_app(TwoServices()) as app:
        await post(app, call_of(MODERN_VERSION, "t"))
        await post(app, call_of(MODERN_VERSION, "t"), authorization="")

    assert lines_of(caplog) == []


async def test_only_names_of_methods_and_tools_are_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger.name)
    async with running_app(TwoServices()) as app:
        body, headers = call_of(MODERN_VERSION, "t")
        headers |= {"mcp-method": "abcdefghijklmnopqrst", "mcp-name": "abcdefghijklmnopqrst"}
        await post(app, (body, headers), authorization="Bearer abcdefghijklmnopqrst")

    assert lines_of(caplog) == ["/mcp post: 400 in _ ms"]
