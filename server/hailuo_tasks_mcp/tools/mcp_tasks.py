"""MCP tasks: waits that a client follows by itself, so that no call blocks its conversation.

The shapes are those of the extension `io.modelcontextprotocol/tasks` at revision 2026-07-28. Each
request about an MCP task is one poll, with the token of whoever sent it. Nothing is kept in
between, so a wait outlives this process, and another one goes on with it.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mcp_types import CallToolResult

from hailuo_tasks_mcp.errors import InvalidArgumentsError
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.answers import Answer
from hailuo_tasks_mcp.tools.handles import (
    MAX_HANDLE_LENGTH,
    NONCE_BYTES,
    Handle,
    NotAHandleError,
    decode,
    encode,
)
from hailuo_tasks_mcp.tools.lookup import LookupTool, poll_for_mcp_task, progress_message
from hailuo_tasks_mcp.tools.tool import (
    Tool,
    ToolContext,
    check_arguments,
    run_as,
    run_tool,
)

# For how long a handle is answered: as long as MiniMax H3 knows its tasks. More than 24 days are
# too many milliseconds for a timer of JavaScript.
_LIFE_SECONDS = 7 * 86_400
_MIN_PAUSE_SECONDS = 0.5
# By so much the clock of another server with the same callers may be ahead.
_CLOCK_SECONDS = 60
# Of all callers; whoever has cancelled most is the first of whom one is forgotten, which then goes
# on as if it had not been cancelled.
_MAX_CANCELLED = 10_000

JsonObject = dict[str, Any]


class Working(NamedTuple):
    """What there is in place of an answer while something still runs.

    Attributes:
        handle: the MCP task.
        message: how far its tasks are, in a few words.
        pause_seconds: after how long to poll again.

    """

    handle: Handle
    message: str
    pause_seconds: float


class McpTasks:
    """The MCP tasks of one server.

    Args:
        tools: the tools of the server; those that look tasks up can wait.
        settings: the effective settings.

    """

    def __init__(self, tools: Iterable[Tool], settings: Settings) -> None:
        self._tools = {tool.name: tool for tool in tools if isinstance(tool, LookupTool)}
        self._settings = settings
        # By the key of the caller, so that nobody can cancel what another waits for.
        self._cancelled: dict[str, dict[str, None]] = {}

    async def call(
        self, tool: Tool, context: ToolContext, arguments: Mapping[str, Any] | None
    ) -> CallToolResult | JsonObject:
        """Run a tool, with unchecked arguments, for a client that declares MCP tasks.

        Returns: an MCP task if the call is to wait and something still runs, else the result.

        """
        if not isinstance(tool, LookupTool):
            return await run_tool(tool, context, arguments)

        async def run(context: ToolContext, checked: Any) -> Answer | Working:
            handle = self._new_handle(tool, context, checked)
            if handle is None:
                return await tool.run(context, checked)
            return await self._poll(tool, context, checked, handle, waited_seconds=None)

        result = await run_as(tool, context, arguments, run)
        if isinstance(result, CallToolResult):
            return result
        return {"resultType": "task", **_working(context, result)}

    async def get(self, context: ToolContext, mcp_task_id: str) -> JsonObject:
        """Return an MCP task as it is now, with the result once there is one.

        Raises:
            NotAHandleError: this server has no such MCP task.

        """
        handle, tool, arguments = self._read(context, mcp_task_id)
        if mcp_task_id in self._cancelled.get(context.caller.key, ()):
            return _mcp_task(context, handle, "cancelled")
        waited_seconds = context.now() - handle.started_at

        async def run(context: ToolContext, checked: Any) -> Answer | Working:
            return await self._poll(tool, context, checked, handle, waited_seconds=waited_seconds)

        result = await run_as(tool, context, arguments, run)
        if not isinstance(result, CallToolResult):
            return _working(context, result)
        fields = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        return _mcp_task(context, handle, "completed", result=fields)

    def cancel(self, context: ToolContext, mcp_task_id: str) -> None:
        """Have an MCP task be cancelled for its caller, as long as this process lives.

        Raises:
            NotAHandleError: this server has no such MCP task.

        """
        self.check(context, mcp_task_id)
        self._cancelled.setdefault(context.caller.key, {})[mcp_task_id] = None
        if sum(map(len, self._cancelled.values())) > _MAX_CANCELLED:
            most = max(self._cancelled, key=lambda key: len(self._cancelled[key]))
            del self._cancelled[most][next(iter(self._cancelled[most]))]
            if not self._cancelled[most]:
                del self._cancelled[most]

    def check(self, context: ToolContext, mcp_task_id: str) -> None:
        """Look whether this server has an MCP task.

        Raises:
            NotAHandleError: it has not.

        """
        self._read(context, mcp_task_id)

    def _new_handle(self, tool: LookupTool, context: ToolContext, checked: Any) -> Handle | None:
        """Return what a wait goes on with; None if the call is to be answered without."""
        ids = tool.ids_of(checked)
        arguments = tool.arguments_for(ids)
        # What is no id has no place in a handle, and a token that was taken for one must not.
        held = {name: getattr(checked, name) for name in arguments} == arguments
        if not (checked.wait_seconds and held and _is_public(context, arguments)):
            return None
        nonce = secrets.token_bytes(NONCE_BYTES)
        handle = Handle(tool.name, ids, int(context.now()), nonce)
        return handle if len(encode(handle)) <= MAX_HANDLE_LENGTH else None

    def _read(
        self, context: ToolContext, mcp_task_id: str
    ) -> tuple[Handle, LookupTool, JsonObject]:
        """Return a handle that makes sense, its tool, and the arguments that look its ids up."""
        handle = decode(mcp_task_id)
        tool = self._tools.get(handle.tool)
        age_seconds = context.now() - handle.started_at
        if tool is None or not -_CLOCK_SECONDS <= age_seconds <= _LIFE_SECONDS:
            raise NotAHandleError
        arguments = tool.arguments_for(handle.task_ids)
        if not _is_public(context, arguments):
            raise NotAHandleError
        try:
            checked = check_arguments(tool, arguments, self._settings, context.redactor)
        except InvalidArgumentsError:
            raise NotAHandleError from None
        if list(tool.ids_of(checked)) != list(handle.task_ids):
            raise NotAHandleError
        return handle, tool, arguments

    async def _poll(
        self,
        tool: LookupTool,
        context: ToolContext,
        checked: Any,
        handle: Handle,
        *,
        waited_seconds: float | None,
    ) -> Answer | Working:
        begun = context.now()
        known, pause_seconds = await poll_for_mcp_task(
            context,
            handle.task_ids,
            waited_seconds=waited_seconds,
            wait_seconds=self._settings.max_mcp_task_seconds,
        )
        if pause_seconds is None:
            return tool.summarize(context, checked, known)
        message = progress_message(context, handle.task_ids, known)
        if not known.failures:
            # At a whole second, so that polls of several MCP tasks come at the same moment.
            pause_seconds = max(_MIN_PAUSE_SECONDS, round(begun + pause_seconds) - context.now())
        return Working(handle, message, pause_seconds)


def _is_public(context: ToolContext, arguments: JsonObject) -> bool:
    return bool(context.redactor.redact_json(arguments) == arguments)


def _working(context: ToolContext, working: Working) -> JsonObject:
    return _mcp_task(
        context,
        working.handle,
        "working",
        statusMessage=working.message,
        pollIntervalMs=round(working.pause_seconds * 1000),
    )


def _mcp_task(context: ToolContext, handle: Handle, status: str, **more: Any) -> JsonObject:
    return {
        "taskId": encode(handle),
        "status": status,
        "createdAt": _iso(handle.started_at),
        "lastUpdatedAt": _iso(max(context.now(), handle.started_at)),
        "ttlMs": _LIFE_SECONDS * 1000,
        **more,
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
