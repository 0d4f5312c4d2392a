"""Turns records into answers: short, true, complete, and enough to decide the next step."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.errors import Failure
from hailuo_tasks_mcp.messages import Reader
from hailuo_tasks_mcp.tasks.answers import BatchSummary, Seconds, TaskFailure, TaskSummary
from hailuo_tasks_mcp.tasks.durations import LINK_DAYS, USUAL_DURATIONS
from hailuo_tasks_mcp.tasks.next_steps import (
    NO_TASK_ID_STEP,
    SEE_BATCH,
    batch_next_step,
    final_step,
    next_step,
    reason,
    unlearned_step,
)
from hailuo_tasks_mcp.tasks.states import (
    FINAL_STATES,
    RUNNING_STATES,
    State,
    all_failed,
    classify,
    count_failed,
    usable_urls,
)
from hailuo_tasks_mcp.text import clean_text, identifier, usable_url

PROMPT_LIMIT = 80
BATCH_PROMPT_LIMIT = 40
# In a batch of more tasks than this, succeeded tasks have fewer fields: what made them decides
# nothing any more, and fifty of them must not fill a context.
FULL_DETAIL_BATCH = 20
LARGE_BATCH_PROMPT_LIMIT = 20
_LARGE_BATCH_MESSAGE_LIMIT = 100
# How many characters of JSON the URLs of a task may take, which leaves its other fields 2,000 of
# 8,000, and how many those of a batch for each further task. Documented URLs have about 115.
_URL_CHARACTERS = 6_000
_URL_CHARACTERS_FOR_EACH_TASK = 300

# What a large batch leaves out of a task that succeeded.
_LEFT_OUT = (
    *("urls_expire_at", "model", "created_at", "elapsed_seconds"),
    *("resolution", "video_seconds", "billed_seconds"),
)
_DAY_SECONDS = 86_400
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
    (task,) = _fit_urls([_facts(task_id, record, now)])
    service = "hailuo" if record is None else record.service
    if task.final:
        step = final_step(task, links_expired=_links_expired(task.urls_expire_at, now))
    else:
        step = next_step(task, service, failure, max_wait_seconds)
    return task.model_copy(update={"next_step": step})


def summarize_batch(  # noqa: PLR0913 - what is known, and what its answer depends on
    task_ids: Sequence[str],
    known: LookupResult,
    *,
    no_ids: Collection[str] = (),
    now: float,
    max_wait_seconds: int,
    reader: Reader = "model",
) -> BatchSummary:
    """Return the answer for several tasks.

    Args:
        task_ids: the ids as given, without repeats.
        known: what was looked up; an id that is in neither part is not found.
        no_ids: those of `task_ids` that are none, and were not looked up.
        now: the time, in Unix seconds, against which the age of a running task is computed.
        max_wait_seconds: for how long a next call can wait for running tasks.
        reader: for whom errors are worded.

    """
    records, failures = known

    def summarize(task_id: str) -> TaskSummary:
        if task_id in no_ids:
            return _no_task_id(task_id)
        if task_id in failures and task_id not in records:
            return _unlearned_task(task_id, failures[task_id])
        return _batch_facts(task_id, records.get(task_id), now, len(task_ids))

    tasks = [
        _batch_task(task, len(task_ids))
        for task in _fit_urls([summarize(task_id) for task_id in task_ids])
    ]
    expired_ids = [
        task.task_id
        for task in tasks
        if task.state == "succeeded" and _links_expired(_urls_expire_at(records[task.task_id]), now)
    ]
    return BatchSummary(
        counts=Counter(task.state for task in tasks),
        final=all(task.final for task in tasks),
        tasks=tasks,
        next_step=batch_next_step(
            tasks,
            known,
            expired_ids=expired_ids,
            max_wait_seconds=max_wait_seconds,
            reader=reader,
        ),
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
        final = sum(state in FINAL_STATES for state in states)
        return f"{final} of {len(task_ids)} final"
    record = records.get(task_ids[0])
    elapsed = None if record is None else _elapsed_seconds(record, states[0], now)
    if record is None or elapsed is None or states[0] not in RUNNING_STATES:
        return states[0]
    return f"{states[0]}, {elapsed:.0f} s; usually {USUAL_DURATIONS[record.service]}"


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
        final=state in FINAL_STATES,
        video_urls=usable_urls(videos) if state == "succeeded" else None,
        urls_expire_at=_urls_expire_at(record) if state == "succeeded" else None,
        more_videos=(record.response.unread_videos or None) if state == "succeeded" else None,
        failed_videos=(count_failed(videos) or None) if state == "succeeded" else None,
        error=_task_failure(record) if state == "failed" else None,
        # From a video or, as long as there is none, from the request.
        model=_first_known([*(v.model for v in videos), request.model, record.model], _NAME_LIMIT),
        prompt=_first_known([*(v.prompt for v in videos), request.prompt], PROMPT_LIMIT),
        first_image_url=next(filter(None, map(usable_url, images)), None),
        created_at=_date(record.created_at),
        elapsed_seconds=_elapsed_seconds(record, state, now),
        resolution=_first_known([record.resolution], _NAME_LIMIT),
        # Of a failed task there is no video, whatever length was asked for.
        video_seconds=None if state == "failed" else _rounded(record.duration),
        billed_seconds=_billed_seconds(record) if state == "succeeded" else None,
        trace_id=_trace_id(record) if state in {"failed", "unknown"} else None,
    )


def _batch_facts(task_id: str, record: TaskRecord | None, now: float, size: int) -> TaskSummary:
    task = _facts(task_id, record, now)
    changes: dict[str, Any] = {}
    prompt_limit = BATCH_PROMPT_LIMIT
    if size > FULL_DETAIL_BATCH:
        changes["first_image_url"] = None
        if task.state == "succeeded":
            prompt_limit = LARGE_BATCH_PROMPT_LIMIT
            changes |= dict.fromkeys(_LEFT_OUT)
    changes["prompt"] = clean_text(task.prompt or "", prompt_limit) or None
    return task.model_copy(update=changes)


def _batch_task(task: TaskSummary, size: int) -> TaskSummary:
    """Return the answer for a task of a batch with its next step, unless it has one."""
    if task.next_step is not None:
        return task
    # That links have expired is said once for all, by the batch.
    step = final_step(task, links_expired=False) if task.final else SEE_BATCH
    changes: dict[str, Any] = {"next_step": step}
    if task.error is not None and size > FULL_DETAIL_BATCH:
        message = clean_text(task.error.message, _LARGE_BATCH_MESSAGE_LIMIT)
        changes["error"] = task.error.model_copy(update={"message": message})
    return task.model_copy(update=changes)


def _fit_urls(tasks: list[TaskSummary]) -> list[TaskSummary]:
    """Return the answers with as many URLs as fit; other videos are counted.

    The first video of every task comes before the second of any, and the images last.
    """
    in_all = _URL_CHARACTERS + (len(tasks) - 1) * _URL_CHARACTERS_FOR_EACH_TASK
    # JSON doubles a character at most.
    if sum(2 * len(url) + 3 for task in tasks for url in _urls(task)) <= _URL_CHARACTERS:
        return tasks
    left = [_URL_CHARACTERS] * len(tasks)

    def take(place: int, url: str) -> bool:
        nonlocal in_all
        characters = len(json.dumps(url, ensure_ascii=False)) + 1
        if characters > min(in_all, left[place]):
            return False
        in_all -= characters
        left[place] -= characters
        return True

    listed: list[list[str]] = [[] for _ in tasks]
    for rank in range(max(len(task.video_urls or []) for task in tasks)):
        for place, task in enumerate(tasks):
            # Up to the first that does not fit, so that those listed are the first of the task.
            url = (task.video_urls or [])[rank : rank + 1]
            if len(listed[place]) == rank and url and take(place, *url):
                listed[place] += url

    def fitted(place: int, task: TaskSummary) -> TaskSummary:
        image = task.first_image_url
        more = len(task.video_urls or []) - len(listed[place]) + (task.more_videos or 0)
        changes = {
            "video_urls": listed[place] or None,
            "more_videos": more or None,
            "first_image_url": image if image and take(place, image) else None,
        }
        return task.model_copy(update=changes)

    return [fitted(place, task) for place, task in enumerate(tasks)]


def _urls(task: TaskSummary) -> list[str]:
    return [*(task.video_urls or []), *filter(None, [task.first_image_url])]


def _no_task_id(text: str) -> TaskSummary:
    shown = clean_text(text, _NAME_LIMIT)
    return TaskSummary(task_id=shown, state="not_found", final=True, next_step=NO_TASK_ID_STEP)


def _unlearned_task(task_id: str, failure: Failure) -> TaskSummary:
    return TaskSummary(
        task_id=task_id,
        state="unknown",
        final=False,
        trace_id=failure.trace_id,
        next_step=unlearned_step(failure),
    )


def _task_failure(record: TaskRecord) -> TaskFailure:
    """Return why a run failed, as far as the API said; `no_output` is the contract's own code."""
    code = message = None
    if record.run_error is not None:
        code = clean_text(record.run_error.code or "", _NAME_LIMIT)
        message = clean_text(record.run_error.message or "", _MESSAGE_LIMIT)
    cancelled = record.service == "minimax" and (record.status or "").lower() == "cancelled"
    succeeded = record.response.success or (
        record.service == "minimax" and (record.status or "").lower() == "succeeded"
    )
    if cancelled:
        code, message = code or "cancelled", message or "The task was cancelled."
    elif succeeded and not code and any(video.video_url is not None for video in record.videos):
        code, message = "unusable_url", message or "The URL of its video cannot be passed on."
    elif succeeded and not code and not all_failed(record.videos):
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
    created, started = record.created_at, record.started_at
    if state in RUNNING_STATES:
        since = started if created is None else created
        # This machine's clock may run behind the API's.
        return None if since is None else max(0, int(now - since))
    finished = record.ended_at
    seconds, since = record.elapsed, created if started is None else started
    if seconds is None and since is not None and finished is not None and finished >= since:
        seconds = finished - since
    return _rounded(seconds)


def _rounded(seconds: float | None) -> Seconds | None:
    if seconds is None:
        return None
    return int(seconds) if seconds.is_integer() else round(seconds, 1)


def _billed_seconds(record: TaskRecord) -> Seconds | None:
    """Return for how many seconds a run is charged, where the video's length does not say it."""
    billed = record.usage.total_seconds
    return None if billed == record.duration else _rounded(billed)


def _urls_expire_at(record: TaskRecord) -> str | None:
    """Return the date from which the links may no longer work; None if no time is known."""
    since = record.ended_at or record.created_at
    return None if since is None else (_date(since + LINK_DAYS * _DAY_SECONDS) or "")[:10]


def _links_expired(urls_expire_at: str | None, now: float) -> bool:
    return urls_expire_at is not None and urls_expire_at < (_date(now) or "")[:10]


def _trace_id(record: TaskRecord) -> str | None:
    return identifier(record.response.trace_id) or identifier(record.trace_id)
