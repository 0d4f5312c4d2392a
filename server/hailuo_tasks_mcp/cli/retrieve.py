"""`hailuo-tasks-mcp retrieve`: the tools' look-ups for a person at a terminal."""

import asyncio
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import Self

import httpx

from hailuo_tasks_mcp.api.client import BatchRecords, HailuoTasksClient
from hailuo_tasks_mcp.errors import BadArgumentsError, HailuoTasksError
from hailuo_tasks_mcp.messages import advice
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.states import RUNNING_STATES, State, classify
from hailuo_tasks_mcp.tasks.summarize import (
    RETRIEVE_TASK,
    RETRIEVE_TASKS_BATCH,
    USUAL_DURATION,
    TaskSummary,
    summarize_task,
)
from hailuo_tasks_mcp.tools.tool import TOOLS, Call, check_arguments, compact_json

ALL_SUCCEEDED, NOT_ALL_SUCCEEDED, USAGE, STILL_RUNNING = 0, 1, 2, 3
_WIDTH = 100
_TICK_SECONDS = 1.0


async def run_retrieve(
    settings: Settings,
    task_ids: Sequence[str],
    *,
    wait_seconds: int,
    as_json: bool,
    transport: httpx.AsyncBaseTransport | None = None,
) -> int:
    """Look tasks up, print what was learned, and return the exit code.

    Args:
        settings: the token, and where the API is.
        task_ids: the tasks; one is looked up alone, several in a batch.
        wait_seconds: how long to wait for those that run; not bound by the maximum for models,
            because a person is more patient than a host.
        as_json: print what a model gets in place of a block for each task.
        transport: carries the requests in place of the network.

    Returns:
        3 as long as a task runs; else 0 if all succeeded; 1 if one failed, was not found or could
        not be looked up; 2 if these are no task ids.

    """
    try:
        text, states = await _look_up(
            settings, task_ids, wait_seconds, as_json=as_json, transport=transport
        )
    except HailuoTasksError as error:
        told = str(error) if as_json else f"{error.happened}. {advice(error)}"
        print(f"hailuo-tasks-mcp: {told}", file=sys.stderr)
        return USAGE if isinstance(error, BadArgumentsError) else NOT_ALL_SUCCEEDED
    print(text)
    if states & RUNNING_STATES:
        return STILL_RUNNING
    return ALL_SUCCEEDED if states == {"succeeded"} else NOT_ALL_SUCCEEDED


async def _look_up(
    settings: Settings,
    task_ids: Sequence[str],
    wait_seconds: int,
    *,
    as_json: bool,
    transport: httpx.AsyncBaseTransport | None,
) -> tuple[str, set[State]]:
    """Return what to print, and the states that it tells of."""
    ids = list(dict.fromkeys(task_id.strip() for task_id in task_ids))
    specs = {spec.name: spec for spec in TOOLS}
    single = len(ids) == 1
    spec = specs[RETRIEVE_TASK if single else RETRIEVE_TASKS_BATCH]
    named = {"task_id": ids[0]} if single else {"task_ids": ids}
    arguments = check_arguments(spec, named | {"wait_seconds": wait_seconds}, wait_seconds)
    async with HailuoTasksClient(settings, transport=transport) as client, _ProgressLine() as line:
        call = Call(
            client=client,
            now=time.time,
            max_wait_seconds=settings.max_wait_seconds,
            report_progress=line.report,
        )
        known = await spec.look(call, arguments)
    if as_json:
        text = compact_json(spec.tell(call, arguments, known).as_data())
    else:
        text = "\n\n".join(_block(task_id, known) for task_id in ids)
    return text, {_state(task_id, known) for task_id in ids}


def _state(task_id: str, known: BatchRecords) -> State:
    if task_id in known.errors and task_id not in known.records:
        return "unknown"
    return classify(known.records.get(task_id))


def _block(task_id: str, known: BatchRecords) -> str:
    """Tell of a task in some lines, its state first."""
    state = _state(task_id, known)
    lines = [f"{task_id}: {state}"]
    for label, value in _facts(task_id, state, known):
        lines.append(
            textwrap.fill(
                value,
                width=_WIDTH,
                initial_indent=f"  {label:9}",
                subsequent_indent=" " * 11,
                # A URL must stay in one piece, or it can be neither clicked nor copied.
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    return "\n".join(lines)


def _facts(task_id: str, state: State, known: BatchRecords) -> list[tuple[str, str]]:
    """Return what is known of a task, with its labels, in the order of interest."""
    record, error = known.records.get(task_id), known.errors.get(task_id)
    task = summarize_task(task_id, record, now=time.time(), max_wait_seconds=0)
    facts = [
        *(("video", url) for url in task.video_urls or []),
        ("missing", task.failed_videos and f"{task.failed_videos} more failed"),
        ("reason", _reason(task, state, error)),
        # Beside a state, that is the one last seen.
        ("problem", error and f"{error.happened}. {advice(error)}"),
        ("model", task.model),
        ("prompt", task.prompt),
        ("image", task.first_image_url),
        ("created", task.created_at),
        ("age" if state in RUNNING_STATES else "took", _duration(task, state)),
        ("trace id", task.trace_id),
    ]
    return [(label, str(value)) for label, value in facts if value]


def _reason(task: TaskSummary, state: State, error: HailuoTasksError | None) -> str | None:
    """Say why there is no video, where that is not plain."""
    if task.error is not None:
        return task.error.message + (f" ({task.error.code})" if task.error.code else "")
    if state == "not_found":
        return "The API knows no such task for this account. Check the id."
    if state == "unknown" and error is None:
        return "The API's record of it fits no known state."
    return None


def _duration(task: TaskSummary, state: State) -> str | None:
    if task.elapsed_seconds is None:
        return None
    usual = f"; a run takes {USUAL_DURATION}" if state in RUNNING_STATES else ""
    return f"{task.elapsed_seconds} s{usual}"


class _ProgressLine:
    """Shows how far a wait is, in one line that is gone at the end; on a terminal only."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began = 0.0
        self._seconds = 0.0
        self._message = ""
        self._shown = 0
        self._ticking: asyncio.Task[None] | None = None

    async def report(self, waited_seconds: float, wait_seconds: float, message: str) -> None:
        """Tell what a look brought."""
        self._began = self._clock() - waited_seconds
        self._seconds, self._message = wait_seconds, message
        self._show_progress()

    async def __aenter__(self) -> Self:
        # None where a daemon has closed it.
        if sys.stderr is not None and sys.stderr.isatty():
            self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait([self._ticking])
            # Over what is there, then to the beginning.
            self._show("")
            self._show("")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._show_progress()

    def _show_progress(self) -> None:
        if self._ticking is not None and self._message:
            waited = min(self._clock() - self._began, self._seconds)
            self._show(f"{waited:.0f} of {self._seconds:.0f} s: {self._message}")

    def _show(self, text: str) -> None:
        # Cut, because a line that wraps cannot be overwritten.
        text = text[: shutil.get_terminal_size().columns - 1]
        print(f"\r{text:{self._shown}}", end="", file=sys.stderr, flush=True)
        self._shown = len(text)
