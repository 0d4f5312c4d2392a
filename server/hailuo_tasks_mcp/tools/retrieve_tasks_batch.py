"""The tool `retrieve_tasks_batch`: the states and the videos of several tasks."""

from collections.abc import Sequence
from typing import Annotated

from mcp_types import Tool as ToolDefinition
from pydantic import Field

from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.answers import BatchSummary
from hailuo_tasks_mcp.tasks.summarize import summarize_batch
from hailuo_tasks_mcp.tools.arguments import (
    MAX_TASK_IDS,
    Arguments,
    TaskIds,
    WaitSeconds,
    find_task_id,
    redacted_no_ids,
)
from hailuo_tasks_mcp.tools.lookup import READ_ONLY, LookupTool, lookup_tool
from hailuo_tasks_mcp.tools.schema import flat_schema
from hailuo_tasks_mcp.tools.tool import ToolContext


class RetrieveTasksBatchArguments(Arguments):
    """Arguments of `retrieve_tasks_batch`."""

    task_ids: Annotated[
        TaskIds, Field(description=f"1 to {MAX_TASK_IDS} task ids; the answer keeps their order.")
    ]
    wait_seconds: WaitSeconds = 0


DEFINITION = ToolDefinition(
    name="retrieve_tasks_batch",
    title="Retrieve several Hailuo tasks",
    description="Get the states and the video URLs of several Hailuo or MiniMax H3 "
    "video-generation tasks in one call. For a single id use retrieve_task instead. "
    "Returns `counts` by state, `tasks` in the order asked, and `final`, which is "
    "true when asking again would change nothing; `next_step` is the call for those that are not.",
    input_schema=flat_schema(RetrieveTasksBatchArguments, "validation"),
    output_schema=flat_schema(BatchSummary, "serialization"),
    annotations=READ_ONLY,
)


def tool(settings: Settings) -> LookupTool:
    """Return the tool as these settings publish it."""
    return lookup_tool(
        settings,
        DEFINITION,
        RetrieveTasksBatchArguments,
        ids_of=ids_of,
        arguments_for=lambda task_ids: {"task_ids": list(task_ids)},
        summarize=summarize,
    )


def ids_of(arguments: RetrieveTasksBatchArguments) -> Sequence[str]:
    """Return which ids are looked up; what is none is answered as such."""
    return [task_id for task_id in arguments.task_ids if find_task_id(task_id)]


def summarize(
    context: ToolContext, arguments: RetrieveTasksBatchArguments, known: LookupResult
) -> BatchSummary:
    """Return the answer of what is known."""
    no_ids = redacted_no_ids(arguments.task_ids, context.redactor)
    return summarize_batch(
        [no_ids.get(task_id, task_id) for task_id in arguments.task_ids],
        known,
        no_ids=no_ids.values(),
        now=context.now(),
        max_wait_seconds=context.settings.max_wait_seconds,
        reader=context.reader,
    )
