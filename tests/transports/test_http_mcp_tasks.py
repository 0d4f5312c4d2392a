"""MCP tasks over HTTP: the header that names one, and the line in the log."""

import base64

import pytest
from mcp_types import HEADER_MISMATCH, MISSING_REQUIRED_CLIENT_CAPABILITY

from hailuo_tasks_mcp.tasks_extension import TASK_METHODS
from http_app import OLD_VERSIONS, answer_of, post, request_of, result_of, running_app
from stdio_process import MODERN_VERSION
from test_mcp_tasks import NEVER, call, declared_request, ending, handle


@pytest.mark.parametrize("method", TASK_METHODS)
@pytest.mark.parametrize("named", [None, handle(), "retrieve_task", ""])
async def test_a_request_whose_header_does_not_name_its_mcp_task_is_refused(
    named: str | None, method: str
) -> None:
    async with running_app(ending(t=NEVER)) as app:
        task = await call(app, "t")
        body, headers = declared_request(method, taskId=task["taskId"])
        del headers["mcp-name"]
        response = await post(app, (body, headers | ({} if named is None else {"mcp-name": named})))

    assert response.status_code == 400
    error = answer_of(response)["error"]
    assert error["code"] == HEADER_MISMATCH
    assert "Mcp-Name" in error["message"]


async def test_the_header_may_be_encoded_as_for_other_methods() -> None:
    async with running_app(ending(t=NEVER)) as app:
        task = await call(app, "t")
        encoded = base64.b64encode(task["taskId"].encode()).decode()
        request = declared_request("tasks/get", taskId=task["taskId"])
        response = await post(app, request, mcp_name=f"=?base64?{encoded}?=")

    assert result_of(response)["status"] == "working"


async def test_a_client_that_declares_nothing_is_told_that_and_not_of_the_header() -> None:
    async with running_app(ending(t=NEVER)) as app:
        body, headers = request_of(MODERN_VERSION, "tasks/get", taskId="x")
        del headers["mcp-name"]
        response = await post(app, (body, headers))

    assert answer_of(response)["error"]["code"] == MISSING_REQUIRED_CLIENT_CAPABILITY


@pytest.mark.parametrize("version", OLD_VERSIONS)
async def test_older_revisions_are_told_of_the_method_not_of_the_header(version: str) -> None:
    async with running_app(ending(t=NEVER)) as app:
        response = await post(app, request_of(version, "tasks/get", taskId="x"))

    assert "Method not found" in answer_of(response)["error"]["message"]


async def test_the_log_shows_the_method_and_no_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "hailuo_tasks_mcp")
    async with running_app(ending(t=NEVER)) as app:
        task = await call(app, "t")
        await post(app, declared_request("tasks/get", taskId=task["taskId"]))

    lines = [record.getMessage() for record in caplog.get_records("call")]
    assert any(line.startswith("/mcp post tasks/get: 200 in ") for line in lines)
    assert task["taskId"] not in "".join(lines)
