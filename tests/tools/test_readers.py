"""A caller over HTTP can neither set this server's environment nor read its log."""

import json
import logging
from collections.abc import Mapping
from typing import Any, get_args

import httpx
import pytest
from mcp import Client
from mcp_types import CallToolResult

from hailuo_tasks_mcp.messages import Reader
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.settings import effective_settings
from helpers import NOW, TOKEN, HailuoAlone, ScriptedApi, clock, error_of, example, settings
from two_services import TwoServices, hailuo_tasks

GATEWAY = "https://gateway.internal"
READERS = get_args(Reader)
REMOTE_READERS: list[Reader] = ["remote", "remote_shared"]
ERRORS = example("errors")
TO_OPERATOR = "Ask the user to tell whoever runs this server"


async def call_as(
    reader: Reader,
    api: httpx.AsyncBaseTransport,
    *task_ids: str,
    wait_seconds: int = 0,
    reports: list[str | None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> CallToolResult:
    """Call a server behind a private gateway, as one of its readers."""
    of_server = settings(api_base_url=GATEWAY)
    if environ is not None:
        of_server = effective_settings({"ACEDATACLOUD_API_BASE_URL": GATEWAY, **environ})
    server = create_server(of_server, transport=api, reader=reader, now=lambda: NOW + clock())

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - called by name
        if reports is not None:
            reports.append(message)

    tool, arguments = "retrieve_tasks_batch", {"task_ids": list(task_ids)}
    if len(task_ids) == 1:
        tool, arguments = "retrieve_task", {"task_id": task_ids[0]}  # type: ignore[dict-item]
    async with Client(server) as client:
        return await client.call_tool(
            tool, {**arguments, "wait_seconds": wait_seconds}, progress_callback=on_progress
        )


def assert_tells_nothing_of_this_machine(result: CallToolResult) -> None:
    words = result.model_dump_json()
    for name in ("ACEDATACLOUD", "HAILUO_", "PROXY", "SSL_", "gateway.internal", "environment"):
        assert name not in words


@pytest.mark.parametrize("reader", REMOTE_READERS)
@pytest.mark.parametrize(
    "environ",
    [
        {"ACEDATACLOUD_API_TOKEN": TOKEN, "HAILUO_MAX_WAIT_SECONDS": "soon"},
        {"HAILUO_MAX_WAIT_SECONDS": "soon", "HAILUO_LOG_LEVEL": "LOUD"},
    ],
)
async def test_a_setting_that_cannot_be_used_is_told_to_the_operator_alone(
    reader: Reader, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    result = await call_as(reader, TwoServices(), "t", environ=environ)

    assert TO_OPERATOR in error_of(result)
    assert_tells_nothing_of_this_machine(result)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "HAILUO_MAX_WAIT_SECONDS must be a whole number of seconds" in record.getMessage()


@pytest.mark.parametrize("reader", REMOTE_READERS)
async def test_a_proxy_that_refuses_is_told_to_the_operator_alone(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy.internal")
    server = create_server(settings(api_base_url=GATEWAY), reader=reader)

    async with Client(server) as client:
        result = await client.call_tool("retrieve_task", {"task_id": "t"})

    assert TO_OPERATOR in error_of(result)
    assert_tells_nothing_of_this_machine(result)
    (record,) = caplog.records
    assert record.getMessage() == (
        "HTTPS_PROXY names no proxy that can be used (http, https, socks5, socks5h; user and "
        "password percent-encoded). Correct or unset HTTPS_PROXY."
    )


@pytest.mark.parametrize("reader", REMOTE_READERS)
@pytest.mark.parametrize(
    "fault",
    [
        *(httpx.Response(status, json={}) for status in (302, 400, 404, 418, 429, 503)),
        *(httpx.Response(int(name[:3]), json=body) for name, body in ERRORS.items()),
        httpx.Response(200, content=b"<p>"),
        httpx.ConnectError("connection refused"),
        httpx.ProxyError("503"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout(""),
    ],
)
@pytest.mark.parametrize("ids", [["t"], ["t", "u"]])
async def test_no_fault_of_the_api_shows_a_remote_caller_where_it_is(
    reader: Reader, fault: httpx.Response | Exception, ids: list[str]
) -> None:
    result = await call_as(reader, HailuoAlone(ScriptedApi(fault)), *ids)

    assert result.is_error
    assert_tells_nothing_of_this_machine(result)


async def test_an_api_that_does_not_answer_is_not_located_for_a_remote_caller() -> None:
    api = TwoServices()
    for service in api.services.values():
        service.hangs = True
    reports: list[str | None] = []

    model = await call_as("model", api, "t", wait_seconds=2)
    remote = await call_as("remote", api, "t", wait_seconds=2, reports=reports)

    assert "Not answered within 3.5 s by the API at https://gateway.internal" in error_of(model)
    assert error_of(remote) == (
        "Not answered within 3.5 s by the API. It was tried for 2 s, so asking again now will not "
        "help: tell the user."
    )
    assert reports == ["Not answered within 3.5 s by the API"]


@pytest.mark.parametrize("reader", REMOTE_READERS)
async def test_what_a_batch_says_of_ids_that_failed_is_worded_for_its_reader_too(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"))
    api.services["minimax"].fault = lambda _: httpx.Response(
        404, json={"error": {"code": "no_api"}}
    )
    reports: list[str | None] = []

    result = await call_as(reader, api, "a", "x", "y", wait_seconds=5, reports=reports)

    data: Any = result.structured_content
    assert data["counts"] == {"succeeded": 1, "unknown": 2}
    assert "This server cannot ask the API as it is set up" in data["tasks"][1]["next_step"]
    assert TO_OPERATOR in data["next_step"]
    assert_tells_nothing_of_this_machine(result)
    assert "gateway.internal" not in json.dumps(reports)
    # Once, and not once for each id and each poll.
    (record,) = caplog.records
    assert record.getMessage().startswith("There is no such API at https://gateway.internal (HTTP")


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (
            "model",
            "Ask the user to set ACEDATACLOUD_API_TOKEN to a token that is valid at https://g",
        ),
        ("remote", "Ask the user to set the Authorization header in the configuration of this se"),
        ("remote_shared", TO_OPERATOR),
    ],
)
async def test_a_rejected_token_is_replaced_where_it_stands(
    reader: Reader, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    rejected = httpx.Response(401, json=ERRORS["401"])

    error = error_of(await call_as(reader, ScriptedApi(rejected), "t"))

    assert error.startswith("The API rejected the token (HTTP 401")
    assert words in error
    # It is the operator's own token only if it is shared.
    assert len(caplog.records) == (1 if reader == "remote_shared" else 0)


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        ("model", "tell the user, who finds the details in this server's log."),
        ("remote", "tell the user, who can tell whoever runs this server."),
        ("remote_shared", "tell the user, who can tell whoever runs this server."),
    ],
)
async def test_a_defect_is_told_to_who_can_read_the_log(
    reader: Reader, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = error_of(await call_as(reader, ScriptedApi(KeyError("x")), "t"))

    assert error.endswith(words)
    assert len(caplog.records) == 1
