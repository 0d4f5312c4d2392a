"""What to do next about a task: the last field of an answer, for the model that reads it."""

import json
from collections.abc import Collection, Mapping, Sequence

from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.api.services import ServiceName
from hailuo_tasks_mcp.errors import Failure
from hailuo_tasks_mcp.messages import Reader, duration, remedy
from hailuo_tasks_mcp.tasks.answers import TaskSummary
from hailuo_tasks_mcp.tasks.durations import (
    LINK_DAYS,
    OVERDUE_SECONDS,
    USUAL_DURATIONS,
)
from hailuo_tasks_mcp.tasks.failures import FailureKind, failure_kind
from hailuo_tasks_mcp.tasks.states import RUNNING_STATES, State
from hailuo_tasks_mcp.text import clean_quoting_text

# The tools that a next step can name.
RETRIEVE_TASK = "retrieve_task"
RETRIEVE_TASKS_BATCH = "retrieve_tasks_batch"
LIST_RECENT_TASKS = "list_recent_tasks"
SAVE_VIDEOS = "save_videos"

_REASON_LIMIT = 80
_MAX_NAMED_TASKS = 5

RUNNING_PROGRESS: Mapping[State, str] = {
    "pending": "Not started yet",
    "processing": "Still running",
}
"""What is said of a task that still runs."""

FAILED_STEPS: Mapping[FailureKind, str] = {
    "refused_content": "Tell the user: the same prompt and image will be refused again, so they "
    "must be changed. It was not charged.",
    "unavailable_model": "Tell the user: the model is unavailable, and every repeat will be "
    "refused until the platform has it again. It was not charged.",
    "cancelled": "Tell the user that it was cancelled.",
    # Ended well, as far as the platform says, so it may have been charged.
    "no_output": "Tell the user that it ended without a video.",
    "unusable_url": "Tell the user that it ended, and that the API's URL of its video cannot be "
    "passed on; the vendor's support may help.",
    "transient": "Tell the user: this may pass, so another try, which is a new generation with a "
    "new task id, may succeed. It was not charged.",
    "other": "Tell the user why it failed. It was not charged.",
}
"""What to do about a task that failed; a try is offered only where it can help."""

EXPIRED_LINKS = f"links probably expired (Hailuo's docs: {LINK_DAYS} days)"
NOT_FOUND_STEP = (
    "Ask the user to check the task id: neither MiniMax H3 (last 7 days) nor Hailuo knows it for "
    "this account."
)
NO_TASK_ID_STEP = "This is no task id: ask the user for it."
# One call for all tasks of a batch that are not final, not one for each.
SEE_BATCH = "See the batch's next_step."


def final_step(task: TaskSummary, *, links_expired: bool) -> str | None:
    """Return what to do about a task that is final; None if there is nothing to do.

    Args:
        task: the rest of the answer.
        links_expired: whether `urls_expire_at` has passed.

    """
    if task.state == "not_found":
        return NOT_FOUND_STEP
    if task.state == "failed":
        error = task.error
        kind = failure_kind(error.code, error.message) if error else "other"
        trace = " trace_id is for the vendor's support." if task.trace_id else ""
        return FAILED_STEPS[kind] + trace
    steps = []
    if task.more_videos:
        steps.append(f"{task.more_videos} more videos than are listed here")
    if task.failed_videos:
        total = task.failed_videos + len(task.video_urls or []) + (task.more_videos or 0)
        steps.append(f"{task.failed_videos} of {total} videos failed and will not come")
    if links_expired:
        steps.append(EXPIRED_LINKS)
    return _capitalized("; ".join([*steps, "tell the user."])) if steps else None


def next_step(
    task: TaskSummary, service: ServiceName, failure: Failure | None, max_wait_seconds: int
) -> str:
    """Return what to do next about a task that is not final.

    Args:
        task: the rest of the answer.
        service: the service that makes it.
        failure: why no newer record could be fetched; None if this is the newest.
        max_wait_seconds: for how long a next call can wait.

    """
    if task.state not in RUNNING_STATES:
        return (
            "The API's record fits no known state: call "
            f'{RETRIEVE_TASK}(task_id="{task.task_id}") once more and, if it stays unknown, '
            "tell the user, with the task id and, for the vendor's support, the trace id if there "
            "is one."
        )
    call = f'{RETRIEVE_TASK}(task_id="{task.task_id}", wait_seconds={max_wait_seconds})'
    elapsed = task.elapsed_seconds
    age = "" if elapsed is None else f" after {elapsed:.0f} s"
    usual = f"usually {USUAL_DURATIONS[service]}"
    retry_after = 0.0
    if failure is not None:
        # The age is of now, the state is not.
        age = " when last seen"
        usual += f"; since then: {reason(failure)}"
        retry_after = failure.retry_after_seconds or 0
    waiting = _waiting_call(call, "it is final", retry_after, max_wait_seconds)
    if elapsed is not None and elapsed >= OVERDUE_SECONDS:
        waiting = (
            f"overdue, at {elapsed // 60:.0f} minutes: {_ADVICE}; tell the user and, if they wait "
            f"on, {waiting}"
        )
    return f"{RUNNING_PROGRESS[task.state]}{age} ({usual}): {waiting}."


_ADVICE = f"after {OVERDUE_SECONDS // 60} min the platform advises to give up and make it anew"


def batch_next_step(
    tasks: Sequence[TaskSummary],
    known: LookupResult,
    *,
    expired_ids: Collection[str],
    max_wait_seconds: int,
    reader: Reader,
) -> str | None:
    """Return what to do next about the tasks of a batch; None if there is nothing to do.

    Args:
        tasks: the rest of the answer.
        known: what was looked up.
        expired_ids: the tasks whose links have probably stopped working.
        max_wait_seconds: for how long a next call can wait.
        reader: for whom errors are worded.

    """
    steps = []
    if more := [task.task_id for task in tasks if task.more_videos]:
        count = sum(task.more_videos or 0 for task in tasks)
        steps.append(
            f"{count} more videos than are listed, of {_those(more, 'more_videos')}: "
            f"{RETRIEVE_TASK} may list more of one task."
        )
    if partly := [task.task_id for task in tasks if task.failed_videos]:
        steps.append(
            f"Some videos of {_those(partly, 'failed_videos')} failed and will not come; tell the "
            "user."
        )
    if expired_ids:
        expired = f"{EXPIRED_LINKS} for {len(expired_ids)} of {len(tasks)}; tell the user."
        steps.append(_capitalized(expired))
    if any(not task.final for task in tasks):
        steps.append(_open_step(tasks, known, max_wait_seconds, reader))
    return " ".join(steps) or None


def _open_step(
    tasks: Sequence[TaskSummary],
    known: LookupResult,
    max_wait_seconds: int,
    reader: Reader,
) -> str:
    records, failures = known
    open_tasks = [task for task in tasks if not task.final]
    running = [task for task in open_tasks if task.state in RUNNING_STATES]
    services = {records[task.task_id].service for task in running if task.task_id in records}
    step = f"{len(open_tasks)} of {len(tasks)} not final"
    if services:
        usual = " or ".join(USUAL_DURATIONS[service] for service in sorted(services))
        step += f" (a run usually takes {usual})"
    if unlearned := len(failures.keys() - records.keys()):
        step += f", {unlearned} because their state could not be learned"
    if outdated := len(failures) - unlearned:
        failure = next(failure for task_id, failure in failures.items() if task_id in records)
        step += f", {outdated} as last seen ({reason(failure)})"
    lasting = next((failure for failure in failures.values() if not failure.transient), None)
    if lasting is not None:
        return f"{step}. {remedy(lasting, reader)}"
    overdue = [task.task_id for task in running if (task.elapsed_seconds or 0) >= OVERDUE_SECONDS]
    if overdue:
        step += f". Overdue: {_ids(overdue)}; {_ADVICE}; tell the user. "
        others = [task for task in open_tasks if task.task_id not in overdue]
        step += "For the others" if others else "If they wait on"
        # Those are waited for beside the others only if the user wants it.
        open_tasks = others or open_tasks
        running = [task for task in running if task in open_tasks]
    if unknown := sum(task.state == "unknown" for task in open_tasks):
        unknown_step = f"; tell the user of the {unknown} unknown if that stays so"
    else:
        unknown_step = ""
    ids = _ids([task.task_id for task in open_tasks])
    if not running and not failures:
        return f"{step}: call {RETRIEVE_TASKS_BATCH}(task_ids={ids}) once more{unknown_step}."
    retry_after = max((each.retry_after_seconds or 0 for each in failures.values()), default=0)
    call = f"{RETRIEVE_TASKS_BATCH}(task_ids={ids}, wait_seconds={max_wait_seconds})"
    waiting = _waiting_call(call, "none runs any more", retry_after, max_wait_seconds)
    return f"{step}: {waiting}{unknown_step}."


def _capitalized(text: str) -> str:
    return text[0].upper() + text[1:]


def _ids(task_ids: Sequence[str]) -> str:
    return json.dumps(task_ids)


def _those(task_ids: Sequence[str], field: str) -> str:
    """Return which tasks are meant: a few by their ids, more by the field that shows it."""
    return _ids(task_ids) if len(task_ids) <= _MAX_NAMED_TASKS else f"those with `{field}`"


def unlearned_step(failure: Failure) -> str:
    """Return what to do about a task of a batch whose record could not be fetched."""
    trace = " trace_id is for the vendor's support." if failure.trace_id else ""
    return f"Its state could not be learned: {reason(failure)}; see the batch's next_step.{trace}"


def reason(failure: Failure) -> str:
    """Return in a few words why a record could not be fetched."""
    return clean_quoting_text(failure.message, _REASON_LIMIT)


def _waiting_call(call: str, when: str, retry_after_seconds: float, max_wait_seconds: int) -> str:
    """Offer a call that waits, later if the API asked not to be sent requests until then."""
    if retry_after_seconds:
        return f"call {call} in {duration(retry_after_seconds)}, not before"
    return f"call {call}, which answers once {when}, or after {max_wait_seconds} s as it is"
