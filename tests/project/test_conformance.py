"""What `make conformance` judges with; it runs the suite itself, which takes Node.js and npm."""

import re
import runpy
import subprocess
import sys
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp_types import TextContent

from conformance.fixtures import add_fixtures
from hailuo_tasks_mcp.server import create_server
from helpers import TIMEOUT_SECONDS, settings
from repository import ROOT

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "conformance.py"))
judge = SCRIPT["judge"]


def check(status: str, message: str = "") -> dict[str, Any]:
    return {"id": "a-check", "status": status, "errorMessage": message}


def test_a_scenario_passes_if_its_checks_do() -> None:
    assert judge("product", "tools-list", [check("SUCCESS"), check("INFO")]) == ("pass", ())


@pytest.mark.parametrize(
    ("server", "scenario", "message"),
    [
        ("product", "tools-list", "Unknown tool: test_simple_text"),
        ("product", "tools-call-image", "HTTP 500"),
        ("fixtures", "tools-call-image", "Unknown tool: test_image_content"),
        ("fixtures", "tools-call-image", "no back-channel for server-initiated requests"),
        ("fixtures, sessions", "tools-call-sampling", "no back-channel for server-initiated"),
        ("fixtures", "tools-call-sampling", "Server did not request sampling from client"),
    ],
)
def test_a_failure_without_a_reason_is_a_problem(server: str, scenario: str, message: str) -> None:
    text, problems = judge(server, scenario, [check("SUCCESS"), check("FAILURE", message)])

    assert text == "fail"
    assert len(problems) == 1
    assert message in problems[0]


def test_what_is_for_want_of_a_session_fails_with_its_reason() -> None:
    message = "Cannot send: no back-channel for server-initiated requests."

    verdict = judge("fixtures", "tools-call-sampling", [check("FAILURE", message)])

    assert verdict == ("fail (a)", ())


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([check("FAILURE", "Method not found")], "not applicable (c)"),
        ([check("FAILURE", "Method not found"), check("SUCCESS")], "pass in part (c)"),
    ],
)
def test_what_the_product_does_not_have_does_not_apply(
    checks: list[dict[str, Any]], expected: str
) -> None:
    assert judge("product", "caching", checks) == (expected, ())


@pytest.mark.parametrize("checks", [[], [{"id": "wire-schema-valid", "status": "SUCCESS"}]])
def test_a_scenario_of_which_nothing_was_checked_does_not_pass(checks: list[Any]) -> None:
    assert judge("product", "tools-list", checks).text == "fail"


def test_the_table_is_that_of_the_installed_version() -> None:
    """To correct it: make conformance, then python scripts/conformance.py --write."""
    installed = re.search(
        r"^CONFORMANCE := (\S+@\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert installed is not None

    assert f"`{installed[1]}`, " in (ROOT / "docs/conformance.md").read_text()


async def test_the_fixtures_stand_beside_the_tools() -> None:
    server = create_server(settings())
    add_fixtures(server)

    async with Client(server) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        own = await client.call_tool("retrieve_task", {})
        fixture = await client.call_tool("test_simple_text", {})
        prompt = await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
        resource = await client.read_resource("test://template/123/data")

    own_names = ["retrieve_task", "retrieve_tasks_batch", "list_recent_tasks"]
    assert names[:4] == [*own_names, "test_simple_text"]
    assert own.is_error
    assert isinstance(fixture.content[0], TextContent)
    assert fixture.content[0].text == "This is a simple text response for testing."
    assert "a, b" in prompt.messages[0].content.model_dump_json()
    assert "123" in resource.contents[0].model_dump_json()


@pytest.mark.real_time
@pytest.mark.parametrize("options", [[], ["--sessions"]])
def test_the_fixture_server_serves_without_a_token_until_it_is_ended(options: list[str]) -> None:
    command = [sys.executable, str(ROOT / "tests/conformance/server.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None
            url = SCRIPT["_URL"].match(process.stdout.readline())[1]
            answer = httpx.post(
                url,
                json={
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "initialize",
                    "params": {
                        "protocolVersion": "2025-11-25",
                        "capabilities": {},
                        "clientInfo": {"name": "a-test", "version": "1"},
                    },
                },
                headers={"accept": "application/json, text/event-stream"},
                timeout=TIMEOUT_SECONDS,
            )
        finally:
            process.terminate()
            process.wait(TIMEOUT_SECONDS)

    assert answer.status_code == 200
    assert '"completions":' in answer.text
    assert ("mcp-session-id" in answer.headers) == bool(options)
