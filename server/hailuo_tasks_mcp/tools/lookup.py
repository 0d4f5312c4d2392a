"""What the tools that look tasks up have in common: a wait with progress, and some words."""

from collections.abc import Sequence
from contextlib import nullcontext

from mcp_types import Tool as ToolDefinition
from mcp_types import ToolAnnotations

from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.polling import poll
from hailuo_tasks_mcp.tasks.summarize import describe_progress
from hailuo_tasks_mcp.tools.tool import ToolContext

READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True
)
REFUSAL = "Nothing was looked up"

_STATES = (
    "States: pending or processing (still running), succeeded (`video_urls`), failed (`error`), "
    "not_found (check the id), unknown (no readable record; see `next_step`). "
    "To wait for a running task, pass `wait_seconds` instead of asking again and again."
)


def lookup_definition(definition: ToolDefinition, settings: Settings) -> ToolDefinition:
    """Return what a look-up publishes, with the states and the settings' longest wait added."""
    definition = definition.model_copy(deep=True)
    definition.description = f"{definition.description} {_STATES}"
    definition.input_schema["properties"]["wait_seconds"]["maximum"] = settings.max_wait_seconds
    return definition


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
            records, failures = _told(context, known)
            message = describe_progress(task_ids, records, failures, now=context.now())
            progress = round(min(waited_seconds, wait_seconds), 1)
            # No total: hosts would show how much of the wait is over as how much of the video is
            # made.
            await context.report_progress(progress, None, context.redactor.redact(message))

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
