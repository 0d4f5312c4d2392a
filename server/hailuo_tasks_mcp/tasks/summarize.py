"""Turns records into answers: short, true, complete, and enough to decide the next step."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.errors import Failure
from hailuo_tasks_mcp.tasks.answers import BatchSummary, Seconds, TaskFailure, TaskSummary
from hailuo_tasks_mcp.tasks.next_steps import (
    DONE_STEPS,
    SEE_BATCH,
    batch_next_step,
    next_step,
    reason,
    unlearned_step,
)
from hailuo_tasks_mcp.tasks.states import (
    DONE_STATES,
    RUNNING_STATES,
    State,
    all_failed,
    classify,
    count_failed,
    usable_urls,
)
from hailuo_tasks_mcp.text import clean_text, identifier, usable_url

PROMPT_LIMIT = 120
BATCH_PROMPT_LIMIT = 60
# In a batch of more tasks than this, succeeded tasks have fewer fields: what made them decides
# nothing any more, and fifty of them must not fill a context.
FULL_DETAIL_BATCH = 20
LARGE_BATCH_PROMPT_LIMIT = 30

_MESSAGE_LIMIT = 300
_NAME_LIMIT = 64


def summarize_task(
    task_id: str,
    record: TaskRecord | None,
    failure: Failure | None = None,
    *,
    now: float,
    max_wait_seconds: int,
) -> TaskSummary:
    """Return the answer for one task.

    Args:
        task_id: the id as given.
        record: the API's record; None if it does not know the task.
        failure: why no newer record could be fetched; None if this is the newest.
        now: the time, in Unix seconds, against which the age of a running task is computed.
        max_wait_seconds: for how long a next call can wait for a running task.

    """
    task = _facts(task_id, record, now)
    return task.model_copy(update={"next_step": next_step(task, failure, max_wait_seconds)})


def summarize_batch(
    task_ids: Sequence[str],
    records: Mapping[str, TaskRecord],
    failures: Mapping[str, Failure],
    *,
    now: float,
    max_wait_seconds: int,
) -> BatchSummary:
    """Return the answer for several tasks.

    Args:
        task_ids: the ids as given, without repeats.
        records: the API's records by task id; an id that is in neither mapping is not found.
        failures: why no record of a task, or no newer one, could be fetched, by task id.
        now: the time, in Unix seconds, against which the age of a running task is computed.
        max_wait_seconds: for how long a next call can wait for running tasks.

    """
    tasks = [
        _batch_task(task_id, records.get(task_id), now, len(task_ids))
        if task_id in records or task_id not in failures
        else _unlearned_task(task_id, failures[task_id])
        for task_id in task_ids
    ]
    return BatchSummary(
        counts=Counter(task.state for task in tasks),
        done=all(task.done for task in tasks),
        tasks=tasks,
        next_step=batch_next_step(tasks, failures, records, max_wait_seconds),
    )


def describe_progress(
    task_ids: Sequence[str],
    records: Mapping[str, TaskRecord],
    failures: Mapping[str, Failure],
    *,
    now: float,
) -> str:
    """Return in a few words how far tasks are that a call waits for.

    Args:
        task_ids: the ids as given, without repeats.
        records: the API's records by task id; an id that is in neither mapping is not found.
        failures: why no record of a task, or no newer one, could be fetched, by task id.
        now: the time, in Unix seconds.

    """
    if len(failures) == len(task_ids):
        return reason(failures[task_ids[0]])
    states = [classify(records.get(task_id)) for task_id in task_ids if task_id not in failures]
    if len(task_ids) > 1:
        done = sum(state in DONE_STATES for state in states)
        return f"{done} of {len(task_ids)} done"
    record = records.get(task_ids[0])
    elapsed = None if record is None else _elapsed_seconds(record, states[0], now)
    return states[0] if elapsed is None else f"{states[0]}, {elapsed:.0f} s"


def _facts(task_id: str, record: TaskRecord | None, now: float) -> TaskSummary:
    """Return the answer for one task without its next step."""
    state = classify(record)
    # A task that is not found has a state and nothing else.
    record = TaskRecord() if record is None else record
    videos, request = record.videos, record.request
    images = [*(video.first_image_url for video in videos), request.first_image_url]
    return TaskSummary(
        task_id=task_id,
        state=state,
        done=state in DONE_STATES,
        video_urls=usable_urls(videos) if state == "succeeded" else None,
        failed_videos=(count_failed(videos) or None) if state == "succeeded" else None,
        error=_task_failure(record) if state == "failed" else None,
        # From a video or, as long as there is none, from the request.
        model=_first_known([*(v.model for v in videos), request.model, record.model], _NAME_LIMIT),
        prompt=_first_known([*(v.prompt for v in videos), request.prompt], PROMPT_LIMIT),
        first_image_url=next(filter(None, map(usable_url, images)), None),
        created_at=_date(record.created_at),
        elapsed_seconds=_elapsed_seconds(record, state, now),
        trace_id=_trace_id(record) if state in {"failed", "unknown"} else None,
    )


def _batch_task(task_id: str, record: TaskRecord | None, now: float, size: int) -> TaskSummary:
    task = _facts(task_id, record, now)
    changes: dict[str, Any] = {"next_step": DONE_STEPS[task.state] if task.done else SEE_BATCH}
    prompt_limit = BATCH_PROMPT_LIMIT
    if size > FULL_DETAIL_BATCH:
        changes["first_image_url"] = None
        if task.state == "succeeded":
            prompt_limit = LARGE_BATCH_PROMPT_LIMIT
            changes |= {"model": None, "created_at": None, "elapsed_seconds": None}
    changes["prompt"] = clean_text(task.prompt or "", prompt_limit) or None
    return task.model_copy(update=changes)


def _unlearned_task(task_id: str, failure: Failure) -> TaskSummary:
    return TaskSummary(
        task_id=task_id,
        state="unknown",
        done=False,
        trace_id=failure.trace_id,
        next_step=unlearned_step(failure),
    )


def _task_failure(record: TaskRecord) -> TaskFailure:
    """Return why a run failed, as far as the API said; `no_output` is the contract's own code."""
    code = message = None
    if record.run_error is not None:
        code = clean_text(record.run_error.code or "", _NAME_LIMIT)
        message = clean_text(record.run_error.message or "", _MESSAGE_LIMIT)
    if record.response.success and not code and not all_failed(record.videos):
        code, message = "no_output", message or "The run ended without a video."
    return TaskFailure(code=code or None, message=message or "The API gave no reason.")


def _first_known(texts: Iterable[str | None], limit: int) -> str | None:
    """Return the first of some texts that is not blank, cleaned and cut."""
    return next((known for text in texts if text and (known := clean_text(text, limit))), None)


def _date(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _elapsed_seconds(record: TaskRecord, state: State, now: float) -> Seconds | None:
    """Return a run's length or, while it runs, the task's age; None if that is not known."""
    created, started, finished = record.created_at, record.started_at, record.finished_at
    if state in RUNNING_STATES:
        since = started if created is None else created
        # This machine's clock may run behind the API's.
        return None if since is None else max(0, int(now - since))
    seconds, since = record.elapsed, created if started is None else started
    if seconds is None and since is not None and finished is not None and finished >= since:
        seconds = finished - since
    if seconds is None:
        return None
    return int(seconds) if seconds.is_integer() else round(seconds, 1)


def _trace_id(record: TaskRecord) -> str | None:
    return identifier(record.response.trace_id) or identifier(record.trace_id)
