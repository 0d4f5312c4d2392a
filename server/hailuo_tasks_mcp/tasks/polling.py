"""Waits for tasks: looks again until none of them runs any more, or the time is up.

A model cannot sleep between two calls, so the server does it for the model. All times here are
those of the event loop's clock, which is monotonic.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from hailuo_tasks_mcp.api.client import LOOK_UP_SECONDS, BatchRecords
from hailuo_tasks_mcp.errors import HailuoTasksError
from hailuo_tasks_mcp.tasks.states import DONE_STATES, RUNNING_STATES, classify

# How much longer than the wait the last look may take.
_LAST_LOOK_SECONDS = 1.5
# Beyond this a look took long because something went wrong in it, not because looks do.
_LONG_LOOK_SECONDS = 5.0
# No look is worth its while so soon after another.
_SHORTEST_PAUSE_SECONDS = 0.5
# An API in trouble, which has just been tried several times over, is not pressed.
_PAUSE_AFTER_FAULT_SECONDS = 10.0

Report = Callable[[float, BatchRecords], Awaitable[None]]
"""Is told of each look: how many seconds into the wait it ended, and what is known by then."""


class Ask(Protocol):
    """Asks the API for the records of some tasks."""

    async def __call__(self, task_ids: Sequence[str], /, *, within_seconds: float) -> BatchRecords:
        """Return what can be learned.

        Raises:
            HailuoTasksError: nothing could be learned.

        """


def pause_seconds(waited_seconds: float) -> float:
    """Return how long after a look the next one comes.

    So a task that ends T seconds into the wait is seen within 3 s (5 s from 30 s on), by
    4 + T/4 looks, rounded up.

    Args:
        waited_seconds: when that look came, counted from the beginning of the wait.

    """
    if waited_seconds < 2:  # noqa: PLR2004 - the pace is best read as a table
        return 2.0
    return 3.0 if waited_seconds < 30 else 5.0  # noqa: PLR2004


async def follow(
    ask: Ask, task_ids: Sequence[str], *, wait_seconds: float, report: Report
) -> BatchRecords:
    """Look at tasks until none of them runs any more, or the time is up.

    An id can be in both parts of what is returned: its record is then the last that came, and the
    error is why none came since.

    Args:
        ask: how to look; each look asks for those tasks that are not done.
        task_ids: the tasks, without repeats.
        wait_seconds: how long to wait for tasks that run; with 0 there is one look.
        report: told of each look.

    Raises:
        HailuoTasksError: nothing was learned; or a fault that does not pass ended the wait before
            any task was done.

    """
    clock = asyncio.get_running_loop().time
    start = clock()
    end = start + wait_seconds
    known = BatchRecords({}, {})
    open_ids = task_ids
    while True:
        look = clock()
        left = end + _LAST_LOOK_SECONDS - look if wait_seconds else LOOK_UP_SECONDS
        known = await _look(ask, open_ids, known, within_seconds=min(left, LOOK_UP_SECONDS))
        now = clock()
        await report(now - start, known)
        open_ids = [task_id for task_id in task_ids if not _is_done(task_id, known)]
        # The last look begins early enough to end in time, where the API is slow but well.
        took = 0.0 if known.errors else min(now - look, _LONG_LOOK_SECONDS)
        last_look = min(end, end + _LAST_LOOK_SECONDS / 2 - took)
        if not _is_worth_waiting(open_ids, known) or last_look - now < _SHORTEST_PAUSE_SECONDS:
            break
        tick = min(look + pause_seconds(look - start), last_look)
        tick = max(tick, now + _least_pause(open_ids, known))
        await asyncio.sleep(min(tick, end) - now)
        # One error may stand for many tasks.
        for error in set(known.errors.values()):
            error.note_rest(clock() - now)
        if tick > last_look:
            # There was no time left for another look; the rest was only sat out.
            break
    _raise_if_fruitless(known, task_ids)
    return known


async def _look(
    ask: Ask, task_ids: Sequence[str], known: BatchRecords, *, within_seconds: float
) -> BatchRecords:
    """Return what is known after one more look."""
    try:
        records, errors = await ask(task_ids, within_seconds=within_seconds)
    except HailuoTasksError as error:
        # Its traceback would hold on to what is kept here, and that to it.
        records, errors = {}, dict.fromkeys(task_ids, error.with_traceback(None))
    # Of a task that was asked for, this look knows best, unless it failed.
    superseded = set(task_ids) - errors.keys()
    kept = {key: record for key, record in known.records.items() if key not in superseded}
    return BatchRecords(kept | records, errors)


def _is_done(task_id: str, known: BatchRecords) -> bool:
    return task_id not in known.errors and classify(known.records.get(task_id)) in DONE_STATES


def _is_worth_waiting(open_ids: Sequence[str], known: BatchRecords) -> bool:
    """Tell whether a later look may bring something new; a state that is unknown stays so."""
    return _lasting_error(known) is None and any(
        task_id in known.errors or classify(known.records.get(task_id)) in RUNNING_STATES
        for task_id in open_ids
    )


def _lasting_error(known: BatchRecords) -> HailuoTasksError | None:
    return next((error for error in known.errors.values() if not error.passing), None)


def _least_pause(open_ids: Sequence[str], known: BatchRecords) -> float:
    """Return how long to leave the API alone at least."""
    failed = all(task_id in known.errors for task_id in open_ids)
    pause = _PAUSE_AFTER_FAULT_SECONDS if failed else _SHORTEST_PAUSE_SECONDS
    return max([pause, *(error.retry_after_seconds or 0 for error in known.errors.values())])


def _raise_if_fruitless(known: BatchRecords, task_ids: Sequence[str]) -> None:
    """Raise the error of a look that taught nothing, where there is nothing else to tell."""
    if len(known.errors) == len(task_ids):
        lasting = _lasting_error(known)
        if lasting or not known.records:
            raise lasting or known.errors[task_ids[0]]
