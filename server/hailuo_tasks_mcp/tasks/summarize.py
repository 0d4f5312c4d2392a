"""The answers: what a model is told of a task, or of several.

Short, true, complete, and enough to decide the next step.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.errors import HailuoTasksError, duration
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

# The tools that a next step can name.
RETRIEVE_TASK = "retrieve_task"
RETRIEVE_TASKS_BATCH = "retrieve_tasks_batch"

PROMPT_LIMIT = 120
BATCH_PROMPT_LIMIT = 60
# In a batch of more tasks than this, succeeded tasks are told shorter: what made them decides
# nothing any more, and fifty of them shall not fill a context.
FULL_DETAIL_BATCH = 20
LARGE_BATCH_PROMPT_LIMIT = 30

_MESSAGE_LIMIT = 300
_REASON_LIMIT = 80
_NAME_LIMIT = 64
USUAL_DURATION = "1-2 minutes"
# Ten times the usual duration: waiting on is no longer the likely way to a video.
_STUCK_SECONDS = 20 * 60

# Whole where it is whole: 32 says as much as 32.0.
Seconds = Annotated[int | float, WithJsonSchema({"type": "number"})]


class Answer(BaseModel):
    """What a model is told; a field that is None is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def as_data(self) -> dict[str, Any]:
        """Return the answer as a JSON object, without empty fields."""
        return self.model_dump(exclude_none=True)


class TaskFailure(Answer):
    """Why a generation failed."""

    code: Annotated[
        str | None, Field(description="The API's code; `no_output`: ended without a video.")
    ] = None
    message: Annotated[str, Field(description="The reason, in the API's words.")]


class TaskSummary(Answer):
    """The answer for one task."""

    task_id: Annotated[str, Field(description="The id asked for.")]
    state: Annotated[State, Field(description="State of the generation.")]
    done: Annotated[bool, Field(description="True if asking again will not change anything.")]
    video_urls: Annotated[
        list[str] | None, Field(description="The videos; only when succeeded.")
    ] = None
    failed_videos: Annotated[
        int | None, Field(description="How many videos failed beside those.")
    ] = None
    error: Annotated[TaskFailure | None, Field(description="Why the generation failed.")] = None
    model: Annotated[str | None, Field(description="The model that made it.")] = None
    prompt: Annotated[str | None, Field(description="What was asked for; may be cut.")] = None
    first_image_url: Annotated[str | None, Field(description="The image it starts from.")] = None
    created_at: Annotated[str | None, Field(description="UTC, ISO 8601.")] = None
    elapsed_seconds: Annotated[
        Seconds | None, Field(description="Length of the run; age of a task that still runs.")
    ] = None
    trace_id: Annotated[str | None, Field(description="For the vendor's support.")] = None
    next_step: Annotated[str | None, Field(description="What to do next.")] = None


class BatchSummary(Answer):
    """The answer for several tasks."""

    counts: Annotated[dict[str, int], Field(description="How many tasks are in each state.")]
    done: Annotated[bool, Field(description="True if all tasks are done.")]
    tasks: Annotated[list[TaskSummary], Field(description="The tasks, in the order asked.")]
    next_step: Annotated[str | None, Field(description="What to do next.")] = None


def summarize_task(
    task_id: str,
    record: TaskRecord | None,
    error: HailuoTasksError | None = None,
    *,
    now: float,
    max_wait_seconds: int,
) -> TaskSummary:
    """Make the answer for one task.

    Args:
        task_id: the id as asked.
        record: the API's record; None if it does not know the task.
        error: why no newer record could be had; None if this is the newest.
        now: the time, in Unix seconds, from which a running task's age is told.
        max_wait_seconds: for how long a next call can wait for a running task.

    """
    task = _facts(task_id, record, now)
    next_step = _next_step(task, error, max_wait_seconds)
    return task.model_copy(update={"next_step": next_step})


def _facts(task_id: str, record: TaskRecord | None, now: float) -> TaskSummary:
    """Return all that is told of a task but the next step."""
    state = classify(record)
    # A task that is not known has a state, and nothing else to tell.
    record = TaskRecord() if record is None else record
    videos, asked = record.videos, record.request
    images = [*(video.first_image_url for video in videos), asked.first_image_url]
    return TaskSummary(
        task_id=task_id,
        state=state,
        done=state in DONE_STATES,
        video_urls=usable_urls(videos) if state == "succeeded" else None,
        failed_videos=(count_failed(videos) or None) if state == "succeeded" else None,
        error=_failure(record) if state == "failed" else None,
        # What a video says of itself or, as long as there is none, what was asked for.
        model=_known([*(v.model for v in videos), asked.model, record.model], _NAME_LIMIT),
        prompt=_known([*(v.prompt for v in videos), asked.prompt], PROMPT_LIMIT),
        first_image_url=next(filter(None, map(usable_url, images)), None),
        created_at=_date(record.created_at),
        elapsed_seconds=_elapsed_seconds(record, state, now),
        trace_id=_trace_id(record) if state in {"failed", "unknown"} else None,
    )


def summarize_batch(
    task_ids: Sequence[str],
    records: Mapping[str, TaskRecord],
    errors: Mapping[str, HailuoTasksError],
    *,
    now: float,
    max_wait_seconds: int,
) -> BatchSummary:
    """Make the answer for several tasks.

    Args:
        task_ids: the ids as asked, without repeats.
        records: the API's records by task id; an id that is in neither mapping is not found.
        errors: why no record of an id, or no newer one, could be had, by task id.
        now: the time, in Unix seconds, from which a running task's age is told.
        max_wait_seconds: for how long a next call can wait for running tasks.

    """
    tasks = [
        _batch_task(task_id, records.get(task_id), now, len(task_ids))
        if task_id in records or task_id not in errors
        else _unlearned_task(task_id, errors[task_id])
        for task_id in task_ids
    ]
    done = all(task.done for task in tasks)
    return BatchSummary(
        counts=Counter(task.state for task in tasks),
        done=done,
        tasks=tasks,
        next_step=None if done else _batch_next_step(tasks, errors, records, max_wait_seconds),
    )


def tell_progress(
    task_ids: Sequence[str],
    records: Mapping[str, TaskRecord],
    errors: Mapping[str, HailuoTasksError],
    *,
    now: float,
) -> str:
    """Say in a few words how far tasks are that are being waited for.

    Args:
        task_ids: the ids as asked, without repeats.
        records: the API's records by task id; an id that is in neither mapping is not found.
        errors: why no record of an id, or no newer one, could be had, by task id.
        now: the time, in Unix seconds.

    """
    if len(errors) == len(task_ids):
        return clean_text(errors[task_ids[0]].happened, _REASON_LIMIT)
    states = [classify(records.get(task_id)) for task_id in task_ids if task_id not in errors]
    if len(task_ids) > 1:
        done = sum(state in DONE_STATES for state in states)
        return f"{done} of {len(task_ids)} done"
    record = records.get(task_ids[0])
    elapsed = None if record is None else _elapsed_seconds(record, states[0], now)
    return states[0] if elapsed is None else f"{states[0]}, {elapsed:.0f} s"


def _batch_task(task_id: str, record: TaskRecord | None, now: float, size: int) -> TaskSummary:
    task = _facts(task_id, record, now)
    # One call for all that are not done, not one for each.
    next_step = _DONE_STEPS[task.state] if task.done else "See the batch's next_step."
    changes: dict[str, Any] = {"next_step": next_step}
    prompt_limit = BATCH_PROMPT_LIMIT
    if size > FULL_DETAIL_BATCH:
        changes["first_image_url"] = None
        if task.state == "succeeded":
            prompt_limit = LARGE_BATCH_PROMPT_LIMIT
            changes |= {"model": None, "created_at": None, "elapsed_seconds": None}
    changes["prompt"] = clean_text(task.prompt or "", prompt_limit) or None
    return task.model_copy(update=changes)


def _unlearned_task(task_id: str, error: HailuoTasksError) -> TaskSummary:
    reason = clean_text(error.happened, _REASON_LIMIT)
    return TaskSummary(
        task_id=task_id,
        state="unknown",
        done=False,
        trace_id=error.trace_id,
        next_step=f"Its state could not be learned: {reason}; see the batch's next_step.",
    )


def _batch_next_step(
    tasks: Sequence[TaskSummary],
    errors: Mapping[str, HailuoTasksError],
    records: Mapping[str, TaskRecord],
    max_wait_seconds: int,
) -> str:
    """Say what to do about the tasks of a batch that are not done."""
    open_tasks = [task for task in tasks if not task.done]
    running = [task for task in open_tasks if task.state in RUNNING_STATES]
    told = f"{len(open_tasks)} of {len(tasks)} not done"
    if running:
        told += f" (a run takes {USUAL_DURATION})"
    if unlearned := len(errors.keys() - records.keys()):
        told += f", {unlearned} because their state could not be learned"
    if late := len(errors) - unlearned:
        error = next(error for task_id, error in errors.items() if task_id in records)
        reason = clean_text(error.happened, _REASON_LIMIT)
        told += f", {late} told as last seen ({reason})"
    lasting = next((error for error in errors.values() if not error.passing), None)
    if lasting is not None:
        return f"{told}. {lasting.remedy}"
    ids = json.dumps([task.task_id for task in open_tasks])
    if running or errors:
        rest = max((error.retry_after_seconds or 0 for error in errors.values()), default=0)
        call = f"{RETRIEVE_TASKS_BATCH}(task_ids={ids}, wait_seconds={max_wait_seconds})"
        told += f": {_waiting_call(call, 'none runs any more', rest, max_wait_seconds)}"
    else:
        told += f": call {RETRIEVE_TASKS_BATCH}(task_ids={ids}) once more"
    if stuck := sum((task.elapsed_seconds or 0) >= _STUCK_SECONDS for task in running):
        told += f"; tell the user that {stuck} may be stuck, at over {_STUCK_SECONDS // 60} minutes"
    if unknown := len(open_tasks) - len(running):
        told += f"; tell the user of the {unknown} unknown if that stays so"
    return told + "."


# What to do about a task that is done.
_DONE_STEPS: dict[State, str | None] = {
    "succeeded": None,
    "failed": "Tell the user why it failed; another try is a new generation with a new task id.",
    "not_found": "Ask the user to check the task id: the API knows no such task for this account.",
}


def _next_step(
    task: TaskSummary, error: HailuoTasksError | None, max_wait_seconds: int
) -> str | None:
    """Say what to do next, in one sentence; None when there is nothing left to do."""
    if task.done:
        return _DONE_STEPS[task.state]
    if task.state == "unknown":
        return (
            "The API's record fits no known state: call "
            f'{RETRIEVE_TASK}(task_id="{task.task_id}") once more and, if it stays unknown, '
            "tell the user, with the task id and the trace id if there is one."
        )
    call = f'{RETRIEVE_TASK}(task_id="{task.task_id}", wait_seconds={max_wait_seconds})'
    elapsed = task.elapsed_seconds
    progress = "Not started yet" if task.state == "pending" else "Still running"
    age = "" if elapsed is None else f" after {elapsed:.0f} s"
    usual = f"a run takes {USUAL_DURATION}"
    rest = 0.0
    if error is not None:
        # The age is of now, the state is not.
        age = " when last seen"
        usual += f"; since then: {clean_text(error.happened, _REASON_LIMIT)}"
        rest = error.retry_after_seconds or 0
    waiting = _waiting_call(call, "it is done", rest, max_wait_seconds)
    if elapsed is not None and elapsed >= _STUCK_SECONDS:
        minutes = f"{elapsed // 60:.0f} minutes"
        waiting = (
            f"tell the user that it may be stuck, at {minutes}, and, if they wait on, {waiting}"
        )
    return f"{progress}{age} ({usual}): {waiting}."


def _waiting_call(call: str, when: str, rest_seconds: float, max_wait_seconds: int) -> str:
    """Word a call that waits, and when to make it if the API asked to be left alone till then."""
    if rest_seconds:
        return f"call {call} in {duration(rest_seconds)}, not before"
    return f"call {call}, which answers once {when}, or after {max_wait_seconds} s as it is"


def _failure(record: TaskRecord) -> TaskFailure:
    """Tell why a run failed, as far as the API said; `no_output` is the contract's own code."""
    code = message = None
    if record.fault is not None:
        code = clean_text(record.fault.code or "", _NAME_LIMIT)
        message = clean_text(record.fault.message or "", _MESSAGE_LIMIT)
    if record.response.success and not code and not all_failed(record.videos):
        code, message = "no_output", message or "The run ended without a video."
    return TaskFailure(code=code or None, message=message or "The API gave no reason.")


def _known(texts: Iterable[str | None], limit: int) -> str | None:
    """Return the first of some texts that says something, cleaned and cut."""
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
        # A clock that runs behind the API's must not make a task younger than new.
        return None if since is None else max(0, int(now - since))
    seconds, since = record.elapsed, created if started is None else started
    if seconds is None and since is not None and finished is not None and finished >= since:
        seconds = finished - since
    if seconds is None:
        return None
    return int(seconds) if seconds.is_integer() else round(seconds, 1)


def _trace_id(record: TaskRecord) -> str | None:
    return identifier(record.response.trace_id) or identifier(record.trace_id)
