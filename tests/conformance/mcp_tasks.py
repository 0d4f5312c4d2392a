"""The MCP tasks that the conformance suite follows; each of its scenarios describes what it wants.

They are kept in memory, beside the product's own, whose methods answer for every other id.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp.server.context import HandlerResult
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    InputRequiredResult,
)

from conformance.contents import text
from conformance.tools import CallTool, Context, form
from hailuo_tasks_mcp.tasks_extension import (
    TASK_METHODS,
    TASKS_EXTENSION,
    TaskRequestParams,
    declares_tasks,
)

_BOOLEAN = {"type": "boolean"}
_ASKED = "user_name"
_SOON_SECONDS = 1.0


@dataclass
class Task:
    """A task that ends after some seconds, and not before it has all input."""

    outcome: dict[str, Any]
    seconds: float = 0.0
    inputs: dict[str, ElicitRequest] = field(default_factory=dict)
    id: str = field(default_factory=lambda: f"suite-{secrets.token_urlsafe()}")
    started_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    is_cancelled: bool = False

    def as_data(self) -> dict[str, Any]:
        """Return the task as it is now."""
        state: dict[str, Any] = {"status": "working"}
        elapsed_seconds = asyncio.get_running_loop().time() - self.started_at
        if self.is_cancelled:
            state = {"status": "cancelled"}
        elif self.inputs:
            requests = {key: each.model_dump(mode="json") for key, each in self.inputs.items()}
            state = {"status": "input_required", "inputRequests": requests}
        elif elapsed_seconds >= self.seconds:
            state = self.outcome
        moment = "2026-11-29T09:00:00Z"
        times = {"createdAt": moment, "lastUpdatedAt": moment}
        return {"taskId": self.id, **times, "ttlMs": 600_000, "pollIntervalMs": 200, **state}


class SuiteTasks:
    """The suite's tasks, and the tools that make them."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self.calls: dict[str, CallTool] = {
            "greet": self._greet,
            "slow_compute": self._compute,
            "failing_job": self._fail,
            "protocol_error_job": self._fail_by_protocol,
            "confirm_delete": self._confirm,
            "multi_input": self._need_two,
            "test_tool_with_task": self._ask_first,
        }

    def add_to(self, server: Server[Any]) -> None:
        """Have a server's methods of tasks know these too."""
        answers = {
            "tasks/get": lambda task, _: task.as_data(),
            "tasks/cancel": self._cancel,
            "tasks/update": self._update,
        }
        for method in TASK_METHODS:
            self._add_method(server, method, answers[method])

    def _add_method(self, server: Server[Any], method: str, answer: Any) -> None:
        own = server.get_request_handler(method)
        assert own is not None

        async def handle(context: Context, params: TaskRequestParams) -> HandlerResult:
            task = self._tasks.get(str(params.task_id))
            if task is None or not declares_tasks(context):
                return await own.handler(context, params)
            result: HandlerResult = answer(task, context.params or {})
            return result

        server.add_request_handler(method, TaskRequestParams, handle)

    def _start(self, outcome: dict[str, Any], seconds: float = 0.0, **inputs: ElicitRequest) -> Any:
        task = Task(outcome, seconds, inputs)
        self._tasks[task.id] = task
        fields = task.as_data()
        # These are for those who ask for the task.
        for name in ("result", "error", "inputRequests"):
            fields.pop(name, None)
        return {**fields, "resultType": "task"}

    @staticmethod
    def _cancel(task: Task, _: Mapping[str, Any]) -> dict[str, Any]:
        task.is_cancelled = task.as_data()["status"] in {"working", "input_required"}
        return {}

    @staticmethod
    def _update(task: Task, params: Mapping[str, Any]) -> dict[str, Any]:
        for key in params.get("inputResponses", {}):
            task.inputs.pop(key, None)
        return {}

    async def _greet(self, _: Context, params: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=[text(f"Hello, {(params.arguments or {}).get('name')}!")])

    async def _compute(self, context: Context, params: CallToolRequestParams) -> Any:
        seconds = (params.arguments or {}).get("seconds", 0)
        if declares_tasks(context):
            return self._start(_completed("Computed."), seconds)
        await asyncio.sleep(seconds)
        return CallToolResult(content=[text("Computed.")])

    async def _fail(self, context: Context, _: CallToolRequestParams) -> Any:
        _require_tasks(context)
        return self._start(_completed("Failed.", is_error=True), _SOON_SECONDS)

    async def _fail_by_protocol(self, context: Context, _: CallToolRequestParams) -> Any:
        _require_tasks(context)
        error = {"code": INTERNAL_ERROR, "message": "The job failed."}
        return self._start({"status": "failed", "error": error})

    async def _confirm(self, context: Context, _: CallToolRequestParams) -> Any:
        _require_tasks(context)
        return self._start(_completed("Deleted."), confirm=form("Delete it?", confirm=_BOOLEAN))

    async def _need_two(self, context: Context, _: CallToolRequestParams) -> Any:
        _require_tasks(context)
        first, second = (form(f"{place}?", confirm=_BOOLEAN) for place in ("First", "Second"))
        return self._start(_completed("Received both."), first=first, second=second)

    async def _ask_first(self, context: Context, params: CallToolRequestParams) -> Any:
        _require_tasks(context)
        given = (params.input_responses or {}).get(_ASKED)
        if given is None:
            question = form("What is your name?", name={"type": "string"})
            return InputRequiredResult(input_requests={_ASKED: question})
        return self._start(_completed(f"Received: {given}"))


def _completed(words: str, *, is_error: bool = False) -> dict[str, Any]:
    result = CallToolResult(content=[text(words)], is_error=is_error)
    fields = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"status": "completed", "result": fields}


def _require_tasks(context: Context) -> None:
    if not declares_tasks(context):
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool needs a client that knows tasks.",
            {"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}},
        )
