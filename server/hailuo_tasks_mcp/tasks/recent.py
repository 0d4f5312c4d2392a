"""Turns a list of records into an answer: which tasks there were, each in a few words."""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.results import LISTED_SECONDS, Listing
from hailuo_tasks_mcp.messages import Reader, remedy_and_trace_id
from hailuo_tasks_mcp.tasks.answers import ListedTask, RecentTasks
from hailuo_tasks_mcp.tasks.next_steps import (
    LIST_RECENT_TASKS,
    RETRIEVE_TASK,
    RETRIEVE_TASKS_BATCH,
    reason,
)
from hailuo_tasks_mcp.tasks.states import RUNNING_STATES, State, classify, usable_urls
from hailuo_tasks_mcp.text import clean_text

LISTED_STATES: tuple[State, ...] = ("pending", "processing", "succeeded", "failed", "unknown")
"""The states that a task in a list can have."""
HIGHEST_HOURS = round(LISTED_SECONDS / 3600)
DEFAULT_HOURS, DEFAULT_LIMIT, HIGHEST_LIMIT = 24, 20, 50
NOTE = "Only MiniMax H3's tasks can be listed, not Hailuo's own."
"""Which tasks are missing from every list."""

_RESOLUTION_LIMIT = 16
# How many characters of JSON the URLs may take, for few tasks and for each of many; documented URLs
# have about 105. So 20 tasks stay below 5,000.
_URL_CHARACTERS = 2_300
_URL_CHARACTERS_FOR_EACH_TASK = 110
_MAX_NAMED_TASKS = 5


class Query(NamedTuple):
    """What was asked for.

    Attributes:
        hours: of how many hours.
        states: which states; none for all.
        limit: how many tasks at most.

    """

    hours: float = DEFAULT_HOURS
    states: Collection[State] = ()
    limit: int = DEFAULT_LIMIT


class Selection(NamedTuple):
    """What of a list was asked for.

    Attributes:
        records: the records, as many as were asked for, the newest first.
        unlisted: how many came that are beyond the limit, and so older.
        more: how many more there are, those included; if not `complete`, at least.
        complete: whether all that there are came from the API.

    """

    records: Sequence[TaskRecord]
    unlisted: int
    more: int
    complete: bool


def select(listing: Listing, query: Query) -> Selection:
    """Return what of a list was asked for."""
    records = [
        record for record in listing.records if not query.states or classify(record) in query.states
    ]
    # Which states those have that did not come is not known.
    unfetched = 0 if query.states else listing.unfetched
    unlisted = max(0, len(records) - query.limit)
    return Selection(records[: query.limit], unlisted, unlisted + unfetched, listing.complete)


def summarize_recent(
    listing: Listing,
    query: Query,
    *,
    max_wait_seconds: int,
    reader: Reader = "model",
) -> RecentTasks:
    """Return the answer to which tasks there were.

    Args:
        listing: what the API listed.
        query: what was asked for.
        max_wait_seconds: for how long a next call can wait for running tasks.
        reader: for whom errors are worded.

    """
    selection = select(listing, query)
    tasks = _fit_urls([_listed(record) for record in selection.records])
    steps = [
        _incomplete_step(listing, selection, reader),
        _narrowing_step(query, selection, reader),
        _more_videos_step(tasks),
        _waiting_step(tasks, max_wait_seconds),
        _nothing_step(query, listing) if not tasks else None,
    ]
    return RecentTasks(
        tasks=tasks,
        more=selection.more or None,
        left_out=listing.left_out or None,
        note=NOTE,
        next_step=" ".join(filter(None, steps)) or None,
    )


def describe_video(record: TaskRecord, state: State) -> str | None:
    """Return the length and the resolution of a video, as far as they are known.

    Of a failed task there is no video, whatever was asked for.
    """
    if state == "failed":
        return None
    length = None if record.duration is None else f"{round(record.duration, 1):g} s"
    resolution = clean_text(record.resolution or "", _RESOLUTION_LIMIT)
    return ", ".join(filter(None, (length, resolution))) or None


def _listed(record: TaskRecord) -> ListedTask:
    state = classify(record)
    urls = usable_urls(record.videos) if state == "succeeded" else []
    more = max(0, len(urls) - 1) + (record.response.unread_videos if urls else 0)
    return ListedTask(
        task_id=record.task_id or "",
        state=state,
        created_at=_minute(record.created_at),
        video=describe_video(record, state),
        url=urls[0] if urls else None,
        more_videos=more or None,
    )


def _minute(moment: float | None) -> str | None:
    """Return a time to the minute, which tells tasks apart in fewer characters."""
    return None if moment is None else f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%dT%H:%MZ}"


def _fit_urls(tasks: Sequence[ListedTask]) -> list[ListedTask]:
    """Return the tasks with as many URLs as fit, each whole or not at all."""
    left = max(_URL_CHARACTERS, len(tasks) * _URL_CHARACTERS_FOR_EACH_TASK)
    fitted = []
    for task in tasks:
        characters = len(json.dumps(task.url, ensure_ascii=False)) if task.url else 0
        if characters <= left:
            left -= characters
            fitted.append(task)
        else:
            changes = {"url": None, "more_videos": (task.more_videos or 0) + 1}
            fitted.append(task.model_copy(update=changes))
    return fitted


def _incomplete_step(listing: Listing, selection: Selection, reader: Reader) -> str | None:
    """Return what is missing from a list, and why; None if nothing is."""
    if selection.complete:
        return None
    missing = f"At least {selection.more} more" if selection.more else "There may be more"
    if listing.failure is not None:
        advice = remedy_and_trace_id(listing.failure, reader, can_wait=False)
        return f"{missing}: not all could be fetched ({reason(listing.failure)}). {advice}"
    fetched = len(listing.records)
    return f"{missing}: the API sent {fetched} tasks and no others."


def _narrowing_step(query: Query, selection: Selection, reader: Reader) -> str | None:
    """Return how to see tasks that came and are not listed; None if there are none, or no way.

    Fewer hours would not bring them, because they are the older ones.
    """
    if not selection.unlisted:
        return None
    ways = ["`states`"] if len(query.states) != 1 else []
    if query.limit < HIGHEST_LIMIT:
        ways.append(f"a `limit` of up to {HIGHEST_LIMIT}")
    elif reader in {"model", "person"}:
        ways.append("`hailuo-tasks-mcp list --limit 1000` in a terminal")
    if not ways:
        return f"{selection.unlisted} more, older." if selection.complete else None
    which = f"{selection.unlisted} more, older" if selection.complete else "For those that came"
    return f"{which}: use {' or '.join(ways)}."


def _more_videos_step(tasks: Sequence[ListedTask]) -> str | None:
    some = any(task.more_videos for task in tasks)
    return f"{RETRIEVE_TASK} lists the videos of `more_videos`." if some else None


def _waiting_step(tasks: Sequence[ListedTask], max_wait_seconds: int) -> str | None:
    """Return the call that waits for the tasks that run; None if none does."""
    ids = [task.task_id for task in tasks if task.state in RUNNING_STATES]
    if not ids:
        return None
    if len(ids) == 1:
        call = f'{RETRIEVE_TASK}(task_id="{ids[0]}", wait_seconds={max_wait_seconds})'
        return f"1 still runs; to wait for it: {call}."
    shown = json.dumps(ids) if len(ids) <= _MAX_NAMED_TASKS else "[their ids]"
    call = f"{RETRIEVE_TASKS_BATCH}(task_ids={shown}, wait_seconds={max_wait_seconds})"
    return f"{len(ids)} still run; to wait for them: {call}."


def _nothing_step(query: Query, listing: Listing) -> str:
    """Return what to do where no task is listed."""
    if listing.records:
        return f"None is in these states, of {len(listing.records)} in all: ask for other states."
    if query.hours < HIGHEST_HOURS:
        return (
            f"None in {query.hours:g} hours: call {LIST_RECENT_TASKS}(hours={HIGHEST_HOURS}), or, "
            "for a task of Hailuo, ask the user for its id."
        )
    return f"None in {HIGHEST_HOURS} hours, and the API knows no older ones: ask the user for ids."
