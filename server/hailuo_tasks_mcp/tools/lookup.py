"""What the tools that look tasks up have in common: a wait with progress, and some words."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from mcp_types import Tool as ToolDefinition
from mcp_types import ToolAnnotations

from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.answers import Answer
from hailuo_tasks_mcp.tasks.polling import Poll, poll, poll_once
from hailuo_tasks_mcp.tasks.summarize import describe_progress
from hailuo_tasks_mcp.tools.arguments import Arguments
from hailuo_tasks_mcp.tools.tool import Tool, ToolContext

READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True
)
_REFUSAL = "Nothing was looked up"
_STATES = (
    "States: pending or processing (still running), succeeded (`video_urls`), failed (`error`), "
    "not_found (check the id), unknown (no readable record; see `next_step`). "
    "To wait for a running task, pass `wait_seconds` instead of asking again and again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupTool(Tool):
    """A tool that looks tasks up; its arguments have `wait_seconds`.

    Attributes:
        ids_of: returns what is looked up, without repeats, of the checked arguments.
        arguments_for: returns the arguments that look these ids up.
        summarize: returns the answer of what is known.

    """

    ids_of: Callable[[Any], Sequence[str]]
    arguments_for: Callable[[Sequence[str]], dict[str, Any]]
    summarize: Callable[[ToolContext, Any, LookupResult], Answer]


def lookup_tool(  # noqa: PLR0913 - what look-ups differ in
    settings: Settings,
    definition: ToolDefinition,
    arguments: type[Arguments],
    *,
    ids_of: Callable[[Any], Sequence[str]],
    arguments_for: Callable[[Sequence[str]], dict[str, Any]],
    summarize: Callable[[ToolContext, Any, LookupResult], Answer],
) -> LookupTool:
    """Return a look-up as these settings publish it, with the states and the longest wait added."""
    definition = definition.model_copy(deep=True)
    definition.description = f"{definition.description} {_STATES}"
    definition.input_schema["properties"]["wait_seconds"]["maximum"] = settings.max_wait_seconds

    async def run(context: ToolContext, given: Any) -> Answer:
        known = await poll_with_progress(context, ids_of(given), given.wait_seconds)
        return summarize(context, given, known)

    return LookupTool(
        definition=definition,
        arguments=arguments,
        run=run,
        refusal=_REFUSAL,
        ids_of=ids_of,
        arguments_for=arguments_for,
        summarize=summarize,
    )


async def poll_for_mcp_task(
    context: ToolContext,
    task_ids: Sequence[str],
    *,
    waited_seconds: float | None,
    wait_seconds: float,
) -> Poll:
    """Return what one poll of an MCP task brings, as it may be told.

    Args:
        context: that of the request.
        task_ids: the tasks, without repeats.
        waited_seconds: for how long the MCP task has waited; None at the call.
        wait_seconds: how long it may.

    Raises:
        HailuoTasksError: nothing could be learned, and another poll would not help.

    """
    known, pause_seconds = await poll_once(
        context.client.look_up,
        task_ids,
        waited_seconds=waited_seconds,
        wait_seconds=wait_seconds,
        waits=context.waits,
    )
    context.log_for_operator(known.failures.values())
    return Poll(_told(context, known), pause_seconds)


def progress_message(context: ToolContext, task_ids: Sequence[str], known: LookupResult) -> str:
    """Return in a few words how far tasks are that are waited for."""
    message = describe_progress(task_ids, known.records, known.failures, now=context.now())
    return context.redactor.redact(message)


async def poll_with_progress(
    context: ToolContext, task_ids: Sequence[str], wait_seconds: int
) -> LookupResult:
    """Return what is known of tasks, and may be told, once they are done or the wait is over.

    Progress is reported after each fetch of a call that waits.

    Raises:
        HailuoTasksError: nothing could be learned, or too many calls wait.

    """

    async def on_poll(waited_seconds: float, known: LookupResult) -> None:
        if wait_seconds:
            message = progress_message(context, task_ids, _told(context, known))
            progress = round(min(waited_seconds, wait_seconds), 1)
            # No total: hosts would show how much of the wait is over as how much of the video is
            # made.
            await context.report_progress(progress, None, message)

    if not task_ids:
        return LookupResult({}, {})

    with context.waits.begin(context.caller.key) if wait_seconds else nullcontext():
        known = await poll(
            context.client.look_up,
            task_ids,
            wait_seconds=wait_seconds,
            on_poll=on_poll,
            waits=context.waits,
        )
    context.log_for_operator(known.failures.values())
    return _told(context, known)


def _told(context: ToolContext, known: LookupResult) -> LookupResult:
    failures = {task_id: context.told(each) for task_id, each in known.failures.items()}
    return LookupResult(known.records, failures)
