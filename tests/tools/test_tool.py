"""The runner runs any tool, whether it reads or changes something."""

import logging
from typing import Any

import httpx
import pytest
from mcp_types import CallToolResult, ToolAnnotations
from mcp_types import Tool as ToolDefinition

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.callers import Caller
from hailuo_tasks_mcp.downloads.download import Downloader
from hailuo_tasks_mcp.errors import BalanceUsedUpError, UnreachableError
from hailuo_tasks_mcp.observer import Observer
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.answers import Answer
from hailuo_tasks_mcp.tasks.waits import Waits
from hailuo_tasks_mcp.tools.arguments import Arguments
from hailuo_tasks_mcp.tools.catalog import tools_for
from hailuo_tasks_mcp.tools.lookup import LookupTool
from hailuo_tasks_mcp.tools.schema import flat_schema
from hailuo_tasks_mcp.tools.tool import Tool, ToolContext, run_tool
from helpers import NOW, TOKEN, ScriptedApi, data_of, error_of, settings


class CreateArguments(Arguments):
    prompt: str


class Created(Answer):
    task_id: str
    note: str | None = None


def creating_tool(run: Any) -> Tool:
    """Return a tool that changes something, does not wait and is no look-up."""
    return Tool(
        definition=ToolDefinition(
            name="create",
            input_schema=flat_schema(CreateArguments, "validation"),
            annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False),
        ),
        arguments=CreateArguments,
        run=run,
        refusal="Nothing was created",
    )


async def run_once(tool: Tool, arguments: dict[str, Any] | None) -> CallToolResult:
    async def report_progress(*_: object) -> None:
        raise AssertionError("A tool that does not wait reports no progress")

    api = ScriptedApi(httpx.Response(200, json={}))
    async with open_client(settings(), transport=api) as client:
        context = ToolContext(
            client=client,
            caller=Caller(TOKEN),
            reader="model",
            waits=Waits(),
            settings=settings(),
            redactor=Redactor(TOKEN),
            observer=Observer(),
            downloader=Downloader(settings(), Redactor().redact),
            now=lambda: NOW,
            report_progress=report_progress,
        )
        return await run_tool(tool, context, arguments)


async def test_a_tool_gets_its_context_and_checked_arguments_and_answers_in_both_forms() -> None:
    async def run(context: ToolContext, arguments: CreateArguments) -> Created:
        return Created(task_id=f"{arguments.prompt}-{context.now():.0f}")

    result = await run_once(creating_tool(run), {"prompt": "cat"})

    assert data_of(result) == {"task_id": f"cat-{NOW:.0f}"}


async def test_refused_arguments_are_worded_as_the_tool_wants() -> None:
    async def run(_: ToolContext, __: CreateArguments) -> Created:
        raise AssertionError("Not to be run")

    for arguments in (None, {"prompt": 7}, {"promt": "cat"}):
        error = error_of(await run_once(creating_tool(run), arguments))

        assert error.startswith("Nothing was created: `prom")
        assert error.endswith("create takes `prompt`.")


async def test_an_error_of_a_tool_is_reported_with_what_to_do() -> None:
    async def run(_: ToolContext, __: CreateArguments) -> Created:
        raise BalanceUsedUpError("The account's balance is used up")

    error = error_of(await run_once(creating_tool(run), {"prompt": "cat"}))

    assert error.startswith("The account's balance is used up. Ask the user to top it up")


async def test_a_model_is_not_asked_to_repeat_what_may_have_been_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run(_: ToolContext, __: CreateArguments) -> Created:
        raise KeyError("a detail")

    error = error_of(await run_once(creating_tool(run), {"prompt": "cat"}))

    assert "(KeyError)" in error
    assert "it is not known what was done" in error
    assert "Ask once more" not in error
    assert "a detail" not in error
    assert caplog.record_tuples == [
        ("hailuo_tasks_mcp.tools.tool", logging.ERROR, "create failed"),
    ]


async def test_a_model_is_not_asked_to_repeat_what_a_transient_fault_may_have_left_done() -> None:
    async def run(_: ToolContext, __: CreateArguments) -> Created:
        raise UnreachableError("The API broke off before it had answered", trace_id="abc-1")

    error = error_of(await run_once(creating_tool(run), {"prompt": "cat"}))

    assert error == (
        "The API broke off before it had answered. It is not known whether it was done, so tell "
        "the user before you call it again. Trace id for the vendor's support: abc-1."
    )


def test_the_settings_decide_what_the_tools_publish() -> None:
    shortest, longest = (tools_for(Settings(max_wait_seconds=most)) for most in (1, 3600))

    for tool, maximum in [*((tool, 1) for tool in shortest), *((tool, 3600) for tool in longest)]:
        properties = tool.definition.input_schema["properties"]
        # A list does not wait.
        assert ("wait_seconds" in properties) == isinstance(tool, LookupTool)
        if isinstance(tool, LookupTool):
            assert properties["wait_seconds"]["maximum"] == maximum
