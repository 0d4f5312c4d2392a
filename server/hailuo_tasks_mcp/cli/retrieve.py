"""`hailuo-tasks-mcp retrieve`: the tools' look-ups for a person at a terminal."""

import argparse
import asyncio
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import replace

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.cli.startup import Startup, start
from hailuo_tasks_mcp.cli.terminal import ProgressLine
from hailuo_tasks_mcp.errors import Failure, HailuoTasksError, InvalidArgumentsError
from hailuo_tasks_mcp.messages import error_text
from hailuo_tasks_mcp.tasks.answers import TaskSummary
from hailuo_tasks_mcp.tasks.durations import USUAL_DURATIONS
from hailuo_tasks_mcp.tasks.states import RUNNING_STATES, State, classify
from hailuo_tasks_mcp.tasks.summarize import summarize_task
from hailuo_tasks_mcp.tools import retrieve_task, retrieve_tasks_batch
from hailuo_tasks_mcp.tools.arguments import find_task_id
from hailuo_tasks_mcp.tools.tool import ToolContext, check_arguments, compact_json

ALL_SUCCEEDED, NOT_ALL_SUCCEEDED, USAGE, STILL_RUNNING = 0, 1, 2, 3
_WIDTH = 100


def run(options: argparse.Namespace) -> int:
    """Look tasks up, print what is known, and return the exit code."""
    startup = start(sandbox=options.sandbox)
    return asyncio.run(
        run_retrieve(startup, options.task_ids, wait_seconds=options.wait, as_json=options.json)
    )


async def run_retrieve(
    startup: Startup, task_ids: Sequence[str], *, wait_seconds: int, as_json: bool
) -> int:
    """Look tasks up, print what is known, and return the exit code.

    Args:
        startup: the settings, and what carries the requests.
        task_ids: the tasks; one is looked up alone, several in a batch.
        wait_seconds: how long to wait for those that run; not bound by the maximum for models,
            because a person is more unlimited than a host.
        as_json: print what a model gets in place of a block for each task.

    Returns:
        3 as long as a task runs; else 0 if all succeeded; 1 if one failed, was not found or could
        not be looked up; 2 if these are no task ids.

    """
    settings, transport, redactor = startup
    ids = list(dict.fromkeys(task_id.strip() for task_id in task_ids))
    tool, given = (
        (retrieve_task, {"task_id": ids[0]})
        if len(ids) == 1
        else (retrieve_tasks_batch, {"task_ids": ids})
    )
    # Checked like a model's arguments, but with no other limit on the wait than the parser's.
    unlimited = replace(settings, max_wait_seconds=wait_seconds)
    try:
        arguments = check_arguments(
            tool.tool(unlimited), given | {"wait_seconds": wait_seconds}, unlimited
        )
        # Without what was around them.
        ids = [arguments.task_id] if len(ids) == 1 else arguments.task_ids
        async with (
            open_client(settings, transport=transport, redactor=redactor) as client,
            ProgressLine(wait_seconds) as line,
        ):
            context = ToolContext(
                client=client, settings=settings, now=time.time, report_progress=line.report
            )
            known = await tool.look_up(context, arguments)
    except HailuoTasksError as error:
        text = error_text(error.failure, "model" if as_json else "person")
        print(f"hailuo-tasks-mcp: {text}", file=sys.stderr)
        return USAGE if isinstance(error, InvalidArgumentsError) else NOT_ALL_SUCCEEDED
    if as_json:
        print(compact_json(tool.summarize(context, arguments, known).as_data()))
    else:
        print("\n\n".join(_block(task_id, known) for task_id in ids))
    states = {_state(task_id, known) for task_id in ids}
    if states & RUNNING_STATES:
        return STILL_RUNNING
    return ALL_SUCCEEDED if states == {"succeeded"} else NOT_ALL_SUCCEEDED


def _state(task_id: str, known: LookupResult) -> State:
    if task_id in known.failures and task_id not in known.records:
        return "unknown"
    return classify(known.records.get(task_id))


def _block(task_id: str, known: LookupResult) -> str:
    """Return what is known of a task in some lines, its state first."""
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


def _facts(task_id: str, state: State, known: LookupResult) -> list[tuple[str, str]]:
    """Return what is known of a task, with its labels, in the order of interest."""
    record, failure = known.records.get(task_id), known.failures.get(task_id)
    task = summarize_task(task_id, record, now=time.time(), max_wait_seconds=0)
    facts = [
        *(("video", url) for url in task.video_urls or []),
        ("missing", task.failed_videos and f"{task.failed_videos} more failed"),
        ("reason", _reason(task, state, failure)),
        # Beside a state, which is then the one last seen.
        ("problem", failure and error_text(failure, "person")),
        ("model", task.model),
        ("prompt", task.prompt),
        ("image", task.first_image_url),
        ("created", task.created_at),
        ("age" if state in RUNNING_STATES else "took", _duration(task, record)),
        ("trace id", task.trace_id),
    ]
    return [(label, str(value)) for label, value in facts if value]


def _reason(task: TaskSummary, state: State, failure: Failure | None) -> str | None:
    """Return why there is no video, where the state alone does not say it."""
    if task.error is not None:
        return task.error.message + (f" ({task.error.code})" if task.error.code else "")
    if state == "not_found" and not find_task_id(task.task_id):
        return "This is no task id."
    if state == "not_found":
        return "The API knows no such task for this account. Check the id."
    if state == "unknown" and failure is None:
        return "The API's record of it fits no known state."
    return None


def _duration(task: TaskSummary, record: TaskRecord | None) -> str | None:
    if task.elapsed_seconds is None:
        return None
    if task.state in RUNNING_STATES and record is not None:
        return f"{task.elapsed_seconds} s; usually {USUAL_DURATIONS[record.service]}"
    return f"{task.elapsed_seconds} s"
