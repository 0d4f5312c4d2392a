"""Polls tasks until none of them runs any more, or the time is up.

A model cannot sleep between two calls, so the server does it for the model. All times here are
those of the event loop's clock, which is monotonic.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from hailuo_tasks_mcp.api.batching import COLLECT_SECONDS
from hailuo_tasks_mcp.api.results import LOOKUP_SECONDS, LookupResult
from hailuo_tasks_mcp.errors import Failure, HailuoTasksError
from hailuo_tasks_mcp.tasks.states import FINAL_STATES, RUNNING_STATES, classify
from hailuo_tasks_mcp.tasks.waits import Waits

# How much longer than the wait the last fetch may take.
_LAST_FETCH_SECONDS = 1.5
# How long the first fetch of a wait may take whose call is to be answered at once.
_FIRST_FETCH_SECONDS = 5.0
# A fetch that took longer was slow because of a fault, so it does not predict the next one.
_SLOW_FETCH_SECONDS = 5.0
# Another fetch so soon after one would bring nothing new.
_MIN_PAUSE_SECONDS = 0.5
# After a fault, in which each request was attempted several times already.
_PAUSE_AFTER_FAILURE_SECONDS = 10.0

OnPoll = Callable[[float, LookupResult], Awaitable[None]]
"""Called after each fetch: how many seconds into the wait it ended, and what is known by then."""


class Fetch(Protocol):
    """Fetches the records of some tasks."""

    async def __call__(
        self, task_ids: Sequence[str], /, *, within_seconds: float, collect: bool
    ) -> LookupResult:
        """Return what can be learned; `collect` if it may go out with what others fetch.

        Raises:
            HailuoTasksError: nothing could be learned.

        """


class Poll(NamedTuple):
    """What one poll of a wait brought.

    Attributes:
        known: what is known by now.
        pause_seconds: after how long to poll again; None if the wait is over.

    """

    known: LookupResult
    pause_seconds: float | None


def pause_seconds(waited_seconds: float) -> float:
    """Return how long after the start of a fetch the next one starts.

    So a task that ends T seconds into the wait is seen within 3 s (5 s from 30 s on), by
    4 + T/4 fetches, rounded up.

    Args:
        waited_seconds: when that fetch started, counted from the beginning of the wait.

    """
    if waited_seconds < 2:  # noqa: PLR2004 - the pace is best read as a table
        return 2.0
    return 3.0 if waited_seconds < 30 else 5.0  # noqa: PLR2004


async def poll(
    fetch: Fetch,
    task_ids: Sequence[str],
    *,
    wait_seconds: float,
    on_poll: OnPoll,
    waits: Waits | None = None,
) -> LookupResult:
    """Fetch tasks until none of them runs any more, the time is up, or the server stops.

    An id can be in both parts of the result: its record is then the last that came, and the failure
    is why no newer one did.

    Args:
        fetch: fetches the tasks that are not final.
        task_ids: the tasks, without repeats.
        wait_seconds: how long to wait for tasks that run; with 0 there is one fetch.
        on_poll: called after each fetch.
        waits: ends this early when the server stops.

    Raises:
        HailuoTasksError: nothing was learned; or a fault that is not transient ended the wait
            before any task was final.

    """
    waits = waits or Waits()
    clock = asyncio.get_running_loop().time
    start = fetch_at = clock()
    end = start + wait_seconds
    give_up_at = end + _LAST_FETCH_SECONDS if wait_seconds else start + LOOKUP_SECONDS
    known = LookupResult({}, {})
    open_ids = task_ids
    while True:
        # Not counted from when it was due: where much goes on at once, a timer can be late.
        remaining_seconds = give_up_at - max(fetch_at, clock())
        within_seconds = min(remaining_seconds, LOOKUP_SECONDS)
        fetched = fetch(open_ids, within_seconds=within_seconds, collect=fetch_at > start)
        known = await _add(waits.bounded(fetched), open_ids, known)
        now = clock()
        await on_poll(now - start, known)
        open_ids = [task_id for task_id in task_ids if not _is_final(task_id, known)]
        # The last fetch starts early enough to end in time if the API is slow but healthy.
        fetch_seconds = 0.0 if known.failures else min(now - fetch_at, _SLOW_FETCH_SECONDS)
        last_start = min(end, end + _LAST_FETCH_SECONDS / 2 - fetch_seconds)
        if not _may_change(open_ids, known) or last_start - now < _MIN_PAUSE_SECONDS:
            break
        # At whole seconds, so that calls that wait fetch at the same moment, together.
        fetch_at = min(math.ceil(fetch_at + pause_seconds(fetch_at - start)), last_start)
        fetch_at = max(fetch_at, now + _min_pause(open_ids, known))
        over = fetch_at > last_start
        # A fetch is collected with others for a moment before it goes out.
        wake_at = end if over else fetch_at - COLLECT_SECONDS
        await waits.pause(wake_at - now)
        known = _after_pause(known, clock() - now)
        if over or waits.stopping or clock() > end + _LAST_FETCH_SECONDS / 2:
            # There is no time left for another fetch; the rest of the wait is over too.
            break
    _raise_if_nothing_known(known, task_ids, wait_seconds, stopped=waits.stopping)
    return known


async def poll_once(
    fetch: Fetch,
    task_ids: Sequence[str],
    *,
    waited_seconds: float | None,
    wait_seconds: float,
    waits: Waits,
) -> Poll:
    """Fetch tasks once, for a wait of which each poll is requested by itself.

    A transient fault because of which nothing is known never ends such a wait: its polls may be
    hours apart, and this may be the first one after them.

    Args:
        fetch: fetches the tasks.
        task_ids: the tasks, without repeats.
        waited_seconds: for how long the wait has gone on; None if it begins, with a call that is
            to be answered at once.
        wait_seconds: how long the wait may go on for tasks that run.
        waits: ends the fetch early when the server stops.

    Raises:
        HailuoTasksError: a fault that is not transient, and no task is final.

    """
    begins = waited_seconds is None
    within_seconds = _FIRST_FETCH_SECONDS if begins else LOOKUP_SECONDS
    fetched = fetch(task_ids, within_seconds=within_seconds, collect=not begins)
    known = await _add(waits.bounded(fetched), task_ids, LookupResult({}, {}))
    _raise_lasting_failure(known, task_ids)
    open_ids = [task_id for task_id in task_ids if not _is_final(task_id, known)]
    waited_seconds = waited_seconds or 0.0
    left_seconds = wait_seconds - waited_seconds
    if len(known.failures) == len(task_ids):
        return Poll(known, _min_pause(open_ids, known))
    if left_seconds <= 0 or not _may_change(open_ids, known):
        return Poll(known, None)
    pause = max(pause_seconds(waited_seconds), _min_pause(open_ids, known))
    # Not beyond the end, at which what is known then is the answer.
    return Poll(known, min(pause, max(left_seconds, _MIN_PAUSE_SECONDS)))


async def _add(
    fetched: Awaitable[LookupResult], task_ids: Sequence[str], known: LookupResult
) -> LookupResult:
    """Return what is known after one more fetch."""
    try:
        records, failures = await fetched
    except HailuoTasksError as error:
        records, failures = {}, dict.fromkeys(task_ids, error.failure)
    # What this fetch says of a task replaces what was known, unless it failed.
    superseded = set(task_ids) - failures.keys()
    kept = {key: record for key, record in known.records.items() if key not in superseded}
    return LookupResult(kept | records, failures)


def _after_pause(known: LookupResult, seconds: float) -> LookupResult:
    """Return what is known with each `retry_after_seconds` counted from now."""

    def later(failure: Failure) -> Failure:
        if failure.retry_after_seconds is None:
            return failure
        return replace(failure, retry_after_seconds=max(0.0, failure.retry_after_seconds - seconds))

    failures = {task_id: later(failure) for task_id, failure in known.failures.items()}
    return LookupResult(known.records, failures)


def _is_final(task_id: str, known: LookupResult) -> bool:
    return task_id not in known.failures and classify(known.records.get(task_id)) in FINAL_STATES


def _may_change(open_ids: Sequence[str], known: LookupResult) -> bool:
    """Return whether a later fetch may bring something new; a state that is unknown stays so."""
    return _lasting_failure(known) is None and any(
        task_id in known.failures or classify(known.records.get(task_id)) in RUNNING_STATES
        for task_id in open_ids
    )


def _lasting_failure(known: LookupResult) -> Failure | None:
    return next((failure for failure in known.failures.values() if not failure.transient), None)


def _min_pause(open_ids: Sequence[str], known: LookupResult) -> float:
    """Return how long not to send requests to the API at least."""
    failed = all(task_id in known.failures for task_id in open_ids)
    pause = _PAUSE_AFTER_FAILURE_SECONDS if failed else _MIN_PAUSE_SECONDS
    return max([pause, *(failure.retry_after_seconds or 0 for failure in known.failures.values())])


def _raise_lasting_failure(known: LookupResult, task_ids: Sequence[str]) -> None:
    """Raise an error that another fetch would not mend, if no fetch of any task succeeded."""
    lasting = _lasting_failure(known)
    if lasting is not None and len(known.failures) == len(task_ids):
        raise lasting.to_error()


def _raise_if_nothing_known(
    known: LookupResult, task_ids: Sequence[str], wait_seconds: float, *, stopped: bool
) -> None:
    """Raise the error of a fetch that brought nothing, if there is nothing else to report."""
    _raise_lasting_failure(known, task_ids)
    if len(known.failures) == len(task_ids) and not known.records:
        failure = known.failures[task_ids[0]]
        # A wait that was ended early was tried for less.
        if wait_seconds and not stopped:
            tried = {"waited_seconds": f"{wait_seconds:.0f}"}
            failure = replace(failure, details={**failure.details, **tried})
        raise failure.to_error()
