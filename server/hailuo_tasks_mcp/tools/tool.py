"""The two tools: what they publish, and what they do.

A tool looks, which is all of the asking and waiting, and then tells what it saw. The rest (refusing
bad arguments, wording errors, writing the answer down) is the same for every tool and is done once,
in `call_tool`.
"""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from mcp_types import CallToolResult, TextContent, Tool, ToolAnnotations
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from hailuo_tasks_mcp.api.client import BatchRecords, HailuoTasksClient
from hailuo_tasks_mcp.errors import BadArgumentsError, HailuoTasksError
from hailuo_tasks_mcp.tasks.polling import Ask, follow
from hailuo_tasks_mcp.tasks.summarize import (
    Answer,
    BatchSummary,
    TaskSummary,
    summarize_batch,
    summarize_task,
    tell_progress,
)
from hailuo_tasks_mcp.text import clean_text
from hailuo_tasks_mcp.tools.schema import flat_schema

logger = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Tells the time, in Unix seconds."""

ReportProgress = Callable[[float, float, str], Awaitable[None]]
"""Sends a notification of progress: how far, of how much, and a message."""

MAX_TASK_IDS = 100
MAX_TASK_ID_LENGTH = 128

TaskId = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=MAX_TASK_ID_LENGTH,
        pattern=r"^[A-Za-z0-9_.:-]+$",
    ),
]


# No id holds any of these; hosts and models write lists with all of them.
_BETWEEN_IDS = re.compile(r"""[\s,;，、；"'\[\]]+""")


def _split_ids(value: object) -> object:
    """Take a list apart that arrived as one string: JSON, "a, b", or a bare id."""
    if not isinstance(value, str):
        return value
    return [part for part in _BETWEEN_IDS.split(value) if part]


def _fold_repeats(task_ids: list[str]) -> list[str]:
    folded = list(dict.fromkeys(task_ids))
    if not 1 <= len(folded) <= MAX_TASK_IDS:
        raise PydanticCustomError(
            "ids_count",
            "takes 1 to {most} different ids in one call, not {count}",
            {"most": MAX_TASK_IDS, "count": len(folded)},
        )
    return folded


def _whole_seconds(value: object) -> object:
    """Take null for the default, which some hosts fill in, and no truth value for a number."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "")
    return 0 if value is None else value


def _within_maximum(wait_seconds: int, info: ValidationInfo) -> int:
    most: Any = info.context
    if not 0 <= wait_seconds <= most:
        raise PydanticCustomError("wait_seconds", "must be 0 to {most}", {"most": most})
    return wait_seconds


_STATES = (
    "States: pending or processing (still running), succeeded (`video_urls`), failed (`error`), "
    "not_found (check the id), unknown (no readable record; see `next_step`). "
    "To wait for a running task, pass `wait_seconds` instead of asking again and again."
)


# Validated with the highest one in force as the context.
WaitSeconds = Annotated[
    int,
    BeforeValidator(_whole_seconds),
    AfterValidator(_within_maximum),
    Field(
        description="Seconds to wait for running tasks to end; answers as soon as they have. "
        "0: at once.",
        # Published with the highest one in force as the maximum.
        json_schema_extra={"minimum": 0},
    ),
]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RetrieveTaskArguments(_Arguments):
    """Arguments of `retrieve_task`."""

    task_id: Annotated[TaskId, Field(description="Task id, as the video generation returned it.")]
    wait_seconds: WaitSeconds = 0


class RetrieveTasksBatchArguments(_Arguments):
    """Arguments of `retrieve_tasks_batch`."""

    task_ids: Annotated[
        list[TaskId],
        BeforeValidator(_split_ids),
        AfterValidator(_fold_repeats),
        Field(
            description=f"1 to {MAX_TASK_IDS} task ids; the answer keeps their order.",
            # Published, but counted after folding.
            json_schema_extra={"minItems": 1, "maxItems": MAX_TASK_IDS},
        ),
    ]
    wait_seconds: WaitSeconds = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a call has to work with.

    Attributes:
        client: asks the API.
        now: tells the time, in Unix seconds.
        max_wait_seconds: the highest `wait_seconds` in force.
        report_progress: sends a notification of progress, if the caller wants any.

    """

    client: HailuoTasksClient
    now: Clock
    max_wait_seconds: int
    report_progress: ReportProgress

    async def watch(self, ask: Ask, task_ids: Sequence[str], wait_seconds: int) -> BatchRecords:
        """Return what is known of tasks once they are done or the wait is over."""

        async def report(waited_seconds: float, known: BatchRecords) -> None:
            if wait_seconds:
                message = tell_progress(task_ids, known.records, known.errors, now=self.now())
                progress = round(min(waited_seconds, wait_seconds), 1)
                await self.report_progress(progress, wait_seconds, message)

        return await follow(ask, task_ids, wait_seconds=wait_seconds, report=report)


async def _look_at_task(call: Call, arguments: RetrieveTaskArguments) -> BatchRecords:
    task_id = arguments.task_id

    async def ask(_: Sequence[str], *, within_seconds: float) -> BatchRecords:
        record = await call.client.retrieve(task_id, within_seconds=within_seconds)
        return BatchRecords({} if record is None else {task_id: record}, {})

    return await call.watch(ask, [task_id], arguments.wait_seconds)


def _tell_of_task(call: Call, arguments: RetrieveTaskArguments, known: BatchRecords) -> TaskSummary:
    task_id = arguments.task_id
    return summarize_task(
        task_id,
        known.records.get(task_id),
        known.errors.get(task_id),
        now=call.now(),
        max_wait_seconds=call.max_wait_seconds,
    )


async def _look_at_tasks(call: Call, arguments: RetrieveTasksBatchArguments) -> BatchRecords:
    return await call.watch(call.client.retrieve_batch, arguments.task_ids, arguments.wait_seconds)


def _tell_of_tasks(
    call: Call, arguments: RetrieveTasksBatchArguments, known: BatchRecords
) -> BatchSummary:
    return summarize_batch(
        arguments.task_ids,
        known.records,
        known.errors,
        now=call.now(),
        max_wait_seconds=call.max_wait_seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """One tool.

    Attributes:
        tool: what is published, but for what depends on the settings or is told of every tool.
        arguments: what its arguments are checked against.
        look: asks the API for what the checked arguments name; raises a HailuoTasksError if nothing
            can be learned.
        tell: makes the answer of what was learned.

    """

    tool: Tool
    arguments: type[BaseModel]
    look: Callable[[Call, Any], Awaitable[BatchRecords]]
    tell: Callable[[Call, Any, BatchRecords], Answer]

    @property
    def name(self) -> str:
        """What the tool is called by."""
        return self.tool.name

    def definition(self, max_wait_seconds: int) -> Tool:
        """Return what is published, with the highest `wait_seconds` in force."""
        definition = self.tool.model_copy(deep=True)
        definition.description = f"{self.tool.description} {_STATES}"
        definition.input_schema["properties"]["wait_seconds"]["maximum"] = max_wait_seconds
        return definition


_READS_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=True
)

# Written out, but for what is told of both, so that whoever audits the source finds them there.
TOOLS = (
    ToolSpec(
        tool=Tool(
            name="retrieve_task",
            title="Retrieve a Hailuo task",
            description="Get the state and the video URLs of one Hailuo (MiniMax) "
            "video-generation task. For two or more ids use retrieve_tasks_batch instead. "
            "Returns a short JSON object: `done` is true when asking again would change nothing; "
            "otherwise `next_step` is the call to make. A failed generation is a normal answer.",
            input_schema=flat_schema(RetrieveTaskArguments, "validation"),
            output_schema=flat_schema(TaskSummary, "serialization"),
            annotations=_READS_ONLY,
        ),
        arguments=RetrieveTaskArguments,
        look=_look_at_task,
        tell=_tell_of_task,
    ),
    ToolSpec(
        tool=Tool(
            name="retrieve_tasks_batch",
            title="Retrieve several Hailuo tasks",
            description="Get the states and the video URLs of several Hailuo (MiniMax) "
            "video-generation tasks in one call. For a single id use retrieve_task instead. "
            "Returns `counts` by state, `tasks` in the order asked, and `done`, which is true "
            "when all are done; otherwise `next_step` is the call for just those that are not.",
            input_schema=flat_schema(RetrieveTasksBatchArguments, "validation"),
            output_schema=flat_schema(BatchSummary, "serialization"),
            annotations=_READS_ONLY,
        ),
        arguments=RetrieveTasksBatchArguments,
        look=_look_at_tasks,
        tell=_tell_of_tasks,
    ),
)


async def call_tool(
    spec: ToolSpec, call: Call, arguments: Mapping[str, Any] | None
) -> CallToolResult:
    """Call a tool with unchecked arguments.

    Whatever goes wrong comes back as a result with `is_error`, in words for the model: bad
    arguments, an API that does not answer, and, as the last resort, a defect of this server.
    """
    try:
        checked = check_arguments(spec, arguments, call.max_wait_seconds)
        answer = spec.tell(call, checked, await spec.look(call, checked))
    except HailuoTasksError as error:
        # Without its traceback, which may hold megabytes of a bad answer, it is gone at once.
        return _failure(str(error.with_traceback(None)))
    except Exception as error:
        # The protocol's own answer would hand the exception's text to the model.
        logger.exception("%s failed", spec.name)
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        return _failure(_DEFECT.format(type(error).__name__))
    data = answer.as_data()
    # Some hosts show a model only the one, some only the other.
    return CallToolResult(
        content=[TextContent(type="text", text=compact_json(data))], structured_content=data
    )


def check_arguments(
    spec: ToolSpec, arguments: Mapping[str, Any] | None, max_wait_seconds: int
) -> BaseModel:
    """Return a tool's arguments as it takes them.

    Raises:
        BadArgumentsError: it does not take these.

    """
    try:
        return spec.arguments.model_validate(arguments or {}, context=max_wait_seconds)
    except ValidationError as error:
        raise _refusal(spec, error) from None


def compact_json(data: Any) -> str:
    """Return `data` as JSON in as few characters as it takes."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _failure(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _refusal(spec: ToolSpec, error: ValidationError) -> BadArgumentsError:
    """Say what is wrong with the arguments, without repeating their values."""
    problems = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        name, *path = (clean_text(str(step), _SHOWN_NAME_LENGTH) for step in detail["loc"])
        where = f"`{name}`" + "".join(f" item {int(step) + 1}" for step in path)
        problems.append(f"{where} {_PROBLEMS.get(detail['type'], detail['msg'])}")
    hidden = len(problems) - _SHOWN_PROBLEMS
    shown = "; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {hidden} more" if hidden > 0 else "")
    takes = ", ".join(f"`{name}`" for name in spec.arguments.model_fields)
    return BadArgumentsError(f"Nothing was looked up: {shown}", f"{spec.name} takes {takes}.")


_DEFECT = (
    "hailuo-tasks-mcp itself failed ({}), so nothing was learned. Ask once more and, if it fails "
    "again, tell the user, who finds the details in this server's log."
)

_SHOWN_PROBLEMS = 3
_SHOWN_NAME_LENGTH = 64

_PROBLEMS = {
    "extra_forbidden": "is not an argument of this tool",
    "missing": "is required",
    "string_type": "must be a string",
    "string_unicode": "must be well-formed text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a whole number",
    "list_type": "must be a list of strings",
    "string_too_short": "must not be blank",
    "string_too_long": f"must be at most {MAX_TASK_ID_LENGTH} characters long",
    "string_pattern_mismatch": "may only hold letters, digits, '-', '_', '.' and ':'",
}
