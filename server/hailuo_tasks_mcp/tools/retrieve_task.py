"""The tool `retrieve_task`: the state and the videos of one task."""

from typing import Annotated

from mcp_types import Tool as ToolDefinition
from pydantic import Field

from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.answers import TaskSummary
from hailuo_tasks_mcp.tasks.summarize import summarize_task
from hailuo_tasks_mcp.tools.arguments import Arguments, TaskId, WaitSeconds
from hailuo_tasks_mcp.tools.lookup import READ_ONLY, LookupTool, lookup_tool
from hailuo_tasks_mcp.tools.schema import flat_schema
from hailuo_tasks_mcp.tools.tool import ToolContext


class RetrieveTaskArguments(Arguments):
    """Arguments of `retrieve_task`."""

    task_id: Annotated[TaskId, Field(description="Task id, as the video generation returned it.")]
    wait_seconds: WaitSeconds = 0


DEFINITION = ToolDefinition(
    name="retrieve_task",
    title="Retrieve a Hailuo task",
    description="Get the state and the video URLs of one Hailuo or MiniMax H3 "
    "video-generation task. For two or more ids use retrieve_tasks_batch instead. "
    "Returns a short JSON object: `final` is true when asking again would change nothing; "
    "otherwise `next_step` is the call to make. A failed generation is a normal answer.",
    input_schema=flat_schema(RetrieveTaskArguments, "validation"),
    output_schema=flat_schema(TaskSummary, "serialization"),
    annotations=READ_ONLY,
)


def tool(settings: Settings) -> LookupTool:
    """Return the tool as these settings publish it."""
    return lookup_tool(
        settings,
        DEFINITION,
        RetrieveTaskArguments,
        ids_of=lambda arguments: [arguments.task_id],
        # Several ids, or none, are then refused like any argument that is not one.
        arguments_for=lambda task_ids: {"task_id": " ".join(task_ids)},
        summarize=summarize,
    )


def summarize(
    context: ToolContext, arguments: RetrieveTaskArguments, known: LookupResult
) -> TaskSummary:
    """Return the answer of what is known."""
    task_id = arguments.task_id
    return summarize_task(
        task_id,
        known.records.get(task_id),
        known.failures.get(task_id),
        now=context.now(),
        max_wait_seconds=context.settings.max_wait_seconds,
    )
