"""The tool `list_recent_tasks`: which tasks there were, for ids that are lost."""

from typing import Annotated, Any

from mcp_types import Tool as ToolDefinition
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.answers import RecentTasks
from hailuo_tasks_mcp.tasks.next_steps import LIST_RECENT_TASKS
from hailuo_tasks_mcp.tasks.recent import (
    DEFAULT_HOURS,
    DEFAULT_LIMIT,
    HIGHEST_HOURS,
    HIGHEST_LIMIT,
    LISTED_STATES,
    Query,
    summarize_recent,
)
from hailuo_tasks_mcp.tools.arguments import Arguments, null_is, split_words
from hailuo_tasks_mcp.tools.lookup import READ_ONLY
from hailuo_tasks_mcp.tools.schema import flat_schema
from hailuo_tasks_mcp.tools.tool import Tool, ToolContext


def _up_to_highest_hours(hours: float) -> float:
    # Not a number is not above 0 either.
    if not 0 < hours <= HIGHEST_HOURS:
        raise PydanticCustomError(
            "hours", "must be more than 0 and at most {maximum}", {"maximum": HIGHEST_HOURS}
        )
    return hours


def _up_to_highest_limit(limit: int) -> int:
    if not 1 <= limit <= HIGHEST_LIMIT:
        raise PydanticCustomError("limit", "must be 1 to {maximum}", {"maximum": HIGHEST_LIMIT})
    return limit


def _known_states(states: list[str]) -> list[str]:
    if not set(states) <= set(LISTED_STATES):
        allowed = ", ".join(LISTED_STATES)
        raise PydanticCustomError("states", "may only hold {allowed}", {"allowed": allowed})
    return states


class ListRecentTasksArguments(Arguments):
    """Arguments of `list_recent_tasks`."""

    hours: Annotated[
        float,
        null_is(float(DEFAULT_HOURS)),
        AfterValidator(_up_to_highest_hours),
        Field(description="How far back.", json_schema_extra={"maximum": HIGHEST_HOURS}),
    ] = DEFAULT_HOURS
    states: Annotated[
        list[str],
        BeforeValidator(split_words),
        AfterValidator(_known_states),
        # Not as an enumeration: the other tools name the states, and a refusal those of a list.
        Field(description="In these states."),
    ] = Field(default_factory=list)
    limit: Annotated[
        int,
        null_is(DEFAULT_LIMIT),
        AfterValidator(_up_to_highest_limit),
        Field(description="How many.", json_schema_extra={"minimum": 1, "maximum": HIGHEST_LIMIT}),
    ] = DEFAULT_LIMIT


DEFINITION = ToolDefinition(
    name=LIST_RECENT_TASKS,
    title="List recent MiniMax H3 tasks",
    description="Find lost ids: this account's MiniMax H3 tasks, newest first. None of Hailuo's.",
    input_schema=flat_schema(ListRecentTasksArguments, "validation"),
    output_schema=flat_schema(RecentTasks, "serialization"),
    annotations=READ_ONLY,
)


def tool(_: Settings) -> Tool:
    """Return the tool, which is the same for all settings."""
    return Tool(
        definition=DEFINITION,
        arguments=ListRecentTasksArguments,
        run=run,
        refusal="Nothing was listed",
        abilities=frozenset({"list"}),
    )


async def run(context: ToolContext, arguments: Any) -> RecentTasks:
    """Return the answer to which tasks there were."""
    listing = await context.client.list_recent(arguments.hours * 3600, now=context.now())
    if listing.failure is not None:
        context.log_for_operator([listing.failure])
        listing = listing._replace(failure=context.told(listing.failure))
    return summarize_recent(
        listing,
        Query(arguments.hours, arguments.states, arguments.limit),
        max_wait_seconds=context.settings.max_wait_seconds,
        reader=context.reader,
    )
