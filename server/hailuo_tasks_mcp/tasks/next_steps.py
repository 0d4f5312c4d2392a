"""What to do next about a task: the last field of an answer, for the model that reads it."""

import json
from collections.abc import Mapping, Sequence

from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.errors import Failure
from hailuo_tasks_mcp.messages import duration, remedy
from hailuo_tasks_mcp.tasks.answers import TaskSummary
from hailuo_tasks_mcp.tasks.states import RUNNING_STATES, State
from hailuo_tasks_mcp.text import clean_text

# The tools that a next step can name.
RETRIEVE_TASK = "retrieve_task"
RETRIEVE_TASKS_BATCH = "retrieve_tasks_batch"

USUAL_DURATION = "1-2 minutes"
# Ten times the usual duration: waiting on is no longer the likely way to a video.
_STUCK_SECONDS = 20 * 60
_REASON_LIMIT = 80

# What to do about a task that is done.
DONE_STEPS: Mapping[State, str | None] = {
    "succeeded": None,
    "failed": "Tell the user why it failed; another try is a new generation with a new task id.",
    "not_found": "Ask the user to check the task id: the API knows no such task for this account.",
}
# What is said of a task that still runs.
RUNNING_PROGRESS: Mapping[State, str] = {
    "pending": "Not started yet",
    "processing": "Still running",
}
# One call for all tasks of a batch that are not done, not one for each.
SEE_BATCH = "See the batch's next_step."


def next_step(task: TaskSummary, failure: Failure | None, max_wait_seconds: int) -> str | None:
    """Return what to do next about one task; None if there is nothing to do.

    Args:
        task: the rest of the answer.
        failure: why no newer record could be fetched; None if this is the newest.
        max_wait_seconds: for how long a next call can wait.

    """
    if task.done:
        return DONE_STEPS[task.state]
    if task.state == "unknown":
        return (
            "The API's record fits no known state: call "
            f'{RETRIEVE_TASK}(task_id="{task.task_id}") once more and, if it stays unknown, '
            "tell the user, with the task id and the trace id if there is one."
        )
    call = f'{RETRIEVE_TASK}(task_id="{task.task_id}", wait_seconds={max_wait_seconds})'
    elapsed = task.elapsed_seconds
    progress = RUNNING_PROGRESS[task.state]
    age = "" if elapsed is None else f" after {elapsed:.0f} s"
    usual = f"a run takes {USUAL_DURATION}"
    retry_after = 0.0
    if failure is not None:
        # The age is of now, the state is not.
        age = " when last seen"
        usual += f"; since then: {reason(failure)}"
        retry_after = failure.retry_after_seconds or 0
    waiting = _waiting_call(call, "it is done", retry_after, max_wait_seconds)
    if elapsed is not None and elapsed >= _STUCK_SECONDS:
        minutes = f"{elapsed // 60:.0f} minutes"
        waiting = (
            f"tell the user that it may be stuck, at {minutes}, and, if they wait on, {waiting}"
        )
    return f"{progress}{age} ({usual}): {waiting}."


def batch_next_step(
    tasks: Sequence[TaskSummary],
    failures: Mapping[str, Failure],
    records: Mapping[str, TaskRecord],
    max_wait_seconds: int,
) -> str | None:
    """Return what to do next about the tasks of a batch; None if all are done.

    Args:
        tasks: the rest of the answer.
        failures: why no record of a task, or no newer one, could be fetched, by task id.
        records: the records, by task id.
        max_wait_seconds: for how long a next call can wait.

    """
    open_tasks = [task for task in tasks if not task.done]
    if not open_tasks:
        return None
    running = [task for task in open_tasks if task.state in RUNNING_STATES]
    step = f"{len(open_tasks)} of {len(tasks)} not done"
    if running:
        step += f" (a run takes {USUAL_DURATION})"
    if unlearned := len(failures.keys() - records.keys()):
        step += f", {unlearned} because their state could not be learned"
    if outdated := len(failures) - unlearned:
        failure = next(failure for task_id, failure in failures.items() if task_id in records)
        step += f", {outdated} told as last seen ({reason(failure)})"
    lasting = next((failure for failure in failures.values() if not failure.transient), None)
    if lasting is not None:
        return f"{step}. {remedy(lasting, 'model')}"
    ids = json.dumps([task.task_id for task in open_tasks])
    if running or failures:
        retry_after = max(
            (failure.retry_after_seconds or 0 for failure in failures.values()), default=0
        )
        call = f"{RETRIEVE_TASKS_BATCH}(task_ids={ids}, wait_seconds={max_wait_seconds})"
        step += f": {_waiting_call(call, 'none runs any more', retry_after, max_wait_seconds)}"
    else:
        step += f": call {RETRIEVE_TASKS_BATCH}(task_ids={ids}) once more"
    if stuck := sum((task.elapsed_seconds or 0) >= _STUCK_SECONDS for task in running):
        step += f"; tell the user that {stuck} may be stuck, at over {_STUCK_SECONDS // 60} minutes"
    if unknown := sum(task.state == "unknown" for task in open_tasks):
        step += f"; tell the user of the {unknown} unknown if that stays so"
    return step + "."


def unlearned_step(failure: Failure) -> str:
    """Return what to do about a task of a batch whose record could not be fetched."""
    return f"Its state could not be learned: {reason(failure)}; see the batch's next_step."


def reason(failure: Failure) -> str:
    """Return in a few words why a record could not be fetched."""
    return clean_text(failure.message, _REASON_LIMIT)


def _waiting_call(call: str, when: str, retry_after_seconds: float, max_wait_seconds: int) -> str:
    """Offer a call that waits, later if the API asked not to be sent requests until then."""
    if retry_after_seconds:
        return f"call {call} in {duration(retry_after_seconds)}, not before"
    return f"call {call}, which answers once {when}, or after {max_wait_seconds} s as it is"
