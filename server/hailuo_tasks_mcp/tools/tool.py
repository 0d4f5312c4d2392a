"""What a tool is, and the one runner of all tools.

Refusing bad arguments, wording errors and writing the answer is the same for every tool and happens
here; what a tool does, publishes and says belongs to the tool.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mcp_types import CallToolResult, TextContent
from mcp_types import Tool as ToolDefinition
from pydantic import BaseModel, ValidationError

from hailuo_tasks_mcp.api.client import ApiClient
from hailuo_tasks_mcp.callers import Caller
from hailuo_tasks_mcp.errors import Failure, HailuoTasksError, InvalidArgumentsError
from hailuo_tasks_mcp.messages import (
    SANDBOX_LINE,
    Reader,
    details_for_user,
    error_text,
    for_reader,
    is_for_operator,
)
from hailuo_tasks_mcp.observer import Observer
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.answers import Answer
from hailuo_tasks_mcp.tasks.waits import Waits
from hailuo_tasks_mcp.tools.arguments import describe_problems

if TYPE_CHECKING:
    # Loaded where a folder for videos is set.
    from hailuo_tasks_mcp.downloads.download import Downloader

# More arguments are refused by their number alone: each one that is unknown is an error of its own.
_MAX_GIVEN_ARGUMENTS = 100

_Other = TypeVar("_Other")

logger = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Returns the time, in Unix seconds."""

ReportProgress = Callable[[float, float | None, str], Awaitable[None]]
"""Sends a notification of progress: how far, of how much if that is known, and a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What a call has to work with.

    Attributes:
        client: sends requests to the API, with the caller's token.
        caller: who called.
        reader: for whom errors are worded.
        waits: counts the calls that wait, and ends them early.
        settings: the effective settings.
        redactor: knows this caller's tokens, which no answer may hold.
        observer: is told how the call ended.
        downloader: saves videos; shared by all calls, of which few may at a time. None where no
            folder is set.
        now: returns the time, in Unix seconds.
        report_progress: sends a notification of progress, if the caller wants any.

    """

    client: ApiClient
    caller: Caller
    reader: Reader
    waits: Waits
    settings: Settings
    redactor: Redactor
    observer: Observer
    downloader: "Downloader | None"
    now: Clock
    report_progress: ReportProgress

    def told(self, failure: Failure) -> Failure:
        """Return what the reader may be told of a failure."""
        return for_reader(failure, self.reader, self.settings.at_base_url)

    def log_for_operator(self, failures: Iterable[Failure]) -> None:
        """Log, once each, the failures that the caller cannot mend and is told less of."""
        texts = {error_text(f, "person") for f in failures if is_for_operator(f, self.reader)}
        for text in sorted(texts):
            logger.error("%s", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool.

    Attributes:
        definition: what is published.
        arguments: what its arguments are checked against, with the settings as the context.
        run: does what the checked arguments ask for; may raise a HailuoTasksError.
        refusal: what did not happen where the arguments are refused, for example "Nothing was
            looked up".
        abilities: what it can do with videos, of `server.ABILITIES`.

    """

    definition: ToolDefinition
    arguments: type[BaseModel]
    run: Callable[[ToolContext, Any], Awaitable[Answer]]
    refusal: str
    abilities: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name that it is called by."""
        return self.definition.name

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be called again without doing something twice."""
        annotations = self.definition.annotations
        return annotations is not None and bool(
            annotations.read_only_hint or annotations.idempotent_hint
        )


def run_tool(
    tool: Tool, context: ToolContext, arguments: Mapping[str, Any] | None
) -> Awaitable[CallToolResult]:
    """Run a tool with unchecked arguments.

    Whatever goes wrong comes back as a result with `is_error`, in words for the model: bad
    arguments, an API that does not answer, and, as the last resort, a defect of this server.
    """
    # Not awaited here: each call that waits would hold one more frame.
    return run_as(tool, context, arguments, tool.run)


async def run_as(
    tool: Tool,
    context: ToolContext,
    arguments: Mapping[str, Any] | None,
    run: Callable[[ToolContext, Any], Awaitable[Answer | _Other]],
) -> CallToolResult | _Other:
    """Run a tool, as `run_tool` does, with `run` in place of its own.

    What it returns that is no answer is returned as it is; an observer is told the name of its
    class.
    """
    clock = asyncio.get_running_loop().time
    start, outcome = clock(), "Cancelled"
    try:
        result, outcome = await _run(tool, context, arguments, run)
    finally:
        context.observer.call_ended(tool.name, outcome, clock() - start)
    if context.settings.sandbox and isinstance(result, CallToolResult):
        result.content.append(TextContent(type="text", text=SANDBOX_LINE))
    return result


async def _run(
    tool: Tool,
    context: ToolContext,
    arguments: Mapping[str, Any] | None,
    run: Callable[[ToolContext, Any], Awaitable[Answer | _Other]],
) -> tuple[CallToolResult | _Other, str]:
    """Return a tool's result, and how an observer is told of it."""
    try:
        checked = check_arguments(tool, arguments, context.settings, context.redactor)
        answer = await run(context, checked)
    except HailuoTasksError as error:
        context.log_for_operator([error.failure])
        told = context.told(error.failure)
        can_wait = "wait_seconds" in tool.arguments.model_fields
        text = error_text(told, context.reader, repeatable=tool.is_repeatable, can_wait=can_wait)
        return _error_result(context.redactor.redact(text)), type(error).__name__
    except Exception as error:
        # The protocol's own answer would give the exception's text to the model.
        logger.exception("%s failed", tool.name)
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        text = _internal_error(tool, context.reader, type(error).__name__)
        return _error_result(text), "InternalError"
    if not isinstance(answer, Answer):
        return answer, type(answer).__name__
    data = answer.as_data()
    given = compact_json(checked.model_dump())
    if context.redactor.redact(given) != given:
        # What the API said holds no token by now, but arguments are repeated as they were given.
        data = context.redactor.redact_json(data)
    # Some hosts show a model only the one, some only the other.
    result = CallToolResult(
        content=[TextContent(type="text", text=compact_json(data))], structured_content=data
    )
    return result, "ok"


def check_arguments(
    tool: Tool, arguments: Mapping[str, Any] | None, settings: Settings, redactor: Redactor
) -> Any:
    """Return a tool's arguments as its `run` takes them.

    Raises:
        InvalidArgumentsError: it does not take these.

    """
    given = arguments or {}
    if len(given) > _MAX_GIVEN_ARGUMENTS:
        raise _refused(tool, f"{len(given)} arguments were given")
    try:
        return tool.arguments.model_validate(given, context=settings)
    except ValidationError as error:
        raise _refused(tool, describe_problems(error, redactor)) from None


def _refused(tool: Tool, problems: str) -> InvalidArgumentsError:
    names = ", ".join(f"`{name}`" for name in tool.arguments.model_fields)
    return InvalidArgumentsError(
        f"{tool.refusal}: {problems}", usage=f"{tool.name} takes {names or 'no arguments'}"
    )


def compact_json(data: Any) -> str:
    """Return `data` as JSON in as few characters as possible."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _error_result(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _internal_error(tool: Tool, reader: Reader, exception_name: str) -> str:
    """Return what a model reads of a defect; only what changes nothing may be called again."""
    user = f"the user, {details_for_user(reader)}"
    if tool.is_repeatable:
        return (
            f"hailuo-tasks-mcp itself failed ({exception_name}), so nothing was learned. Ask once "
            f"more and, if it fails again, tell {user}."
        )
    return (
        f"hailuo-tasks-mcp itself failed ({exception_name}), so it is not known what was done. "
        f"Tell {user}, before you call it again."
    )
