"""`hailuo-tasks-mcp list`: the tasks of the last days, for a person at a terminal or a script."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import datetime

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.results import Listing
from hailuo_tasks_mcp.cli.output import print_failure, print_json
from hailuo_tasks_mcp.cli.startup import Startup, start
from hailuo_tasks_mcp.errors import HailuoTasksError
from hailuo_tasks_mcp.messages import SANDBOX_LINE, error_text
from hailuo_tasks_mcp.tasks.recent import (
    NOTE,
    Query,
    Selection,
    describe_video,
    select,
    summarize_recent,
)
from hailuo_tasks_mcp.tasks.states import classify, usable_urls

LISTED, NOT_LISTED = 0, 1
_HEADS = ("TASK ID", "STATE", "CREATED", "VIDEO", "LINK")
# In place of a value that is not known.
_UNKNOWN = "-"


def run(options: argparse.Namespace) -> int:
    """List tasks and return the exit code."""
    query = Query(options.hours, options.state, options.limit)
    form = "json" if options.json else "ids" if options.ids else "table"
    return asyncio.run(run_list(start(sandbox=options.sandbox), query, form=form))


async def run_list(startup: Startup, query: Query, *, form: str = "table") -> int:
    """List tasks and return the exit code.

    Args:
        startup: the settings, and what carries the requests.
        query: which tasks.
        form: `table`, a line for each with a head; `ids`, a line with the id alone; `json`, what a
            model gets.

    Returns:
        0 if the tasks were listed, even if there are none; 1 if they could not be, or not all
        because of a fault.

    """
    settings, transport, redactor = startup
    try:
        async with open_client(settings, transport=transport, redactor=redactor) as client:
            listing = await client.list_recent(query.hours * 3600, now=time.time())
    except HailuoTasksError as error:
        print_failure(error.failure, settings, redactor, as_json=form == "json")
        return NOT_LISTED
    selection = select(listing, query)
    if form == "json":
        summary = summarize_recent(
            listing, query, max_wait_seconds=settings.max_wait_seconds, reader="person"
        )
        print_json(summary.as_data(), settings, redactor)
    elif form == "ids":
        for record in selection.records:
            print(record.task_id)
        if selection.more or listing.failure or not selection.complete:
            print(redactor.redact(_about(listing, query, selection)), file=sys.stderr)
    else:
        if selection.records:
            print(redactor.redact(_table(selection.records)) + "\n")
        print(redactor.redact(_about(listing, query, selection)))
        if settings.sandbox:
            print(SANDBOX_LINE)
    return LISTED if listing.failure is None else NOT_LISTED


def _table(records: Sequence[TaskRecord]) -> str:
    """Return a line for each task under a head, the columns aligned, the link last."""
    lines = [_HEADS, *map(_row, records)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _row(record: TaskRecord) -> tuple[str, ...]:
    state = classify(record)
    urls = usable_urls(record.videos) if state == "succeeded" else []
    link = urls[0] if urls else ""
    more = len(urls) - 1 + record.response.unread_videos
    if urls and more:
        link += f" and {more} more"
    return (
        record.task_id or _UNKNOWN,
        state,
        _local_time(record.created_at),
        describe_video(record, state) or _UNKNOWN,
        link,
    )


def _local_time(moment: float | None) -> str:
    if moment is None:
        return _UNKNOWN
    try:
        return f"{datetime.fromtimestamp(int(moment)).astimezone():%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):
        # Not all systems know the time zone of the years 1970 and 9999.
        return _UNKNOWN


def _about(listing: Listing, query: Query, selection: Selection) -> str:
    """Return what a table does not show: how many there are, and what is missing."""
    count, more = len(selection.records), selection.more
    shown = f"{count} task" if count == 1 else f"{count or 'No'} tasks"
    states = f" ({', '.join(query.states)})" if query.states else ""
    lines = [f"{shown} of the last {query.hours:g} hours{states}, in local time. {NOTE}"]
    if more:
        at_least = "" if selection.complete else "At least "
        older = ", older: see --limit and --state" if selection.unlisted else ""
        lines.append(f"{at_least}{more} more{older}.")
    elif not selection.complete:
        lines.append("There may be more.")
    if listing.left_out:
        lines.append(f"Left out, because of no use: {listing.left_out} of the API's records.")
    if listing.failure is not None:
        lines.append(f"Not all could be fetched. {error_text(listing.failure, 'person')}")
    return "\n".join(lines)
