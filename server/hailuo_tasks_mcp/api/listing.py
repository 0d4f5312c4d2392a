"""Lists an account's tasks of the last days, however the API pages. Only MiniMax H3 lists tasks."""

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hailuo_tasks_mcp.api.batching import LookupQueue
from hailuo_tasks_mcp.api.records import (
    RECORDS_AT_ONCE,
    TaskRecord,
    holds_task,
    id_in,
    read_count,
    read_record,
    reports_error,
)
from hailuo_tasks_mcp.api.results import LISTED_SECONDS, Listing
from hailuo_tasks_mcp.api.sender import Attempt, Sender
from hailuo_tasks_mcp.api.services import MINIMAX
from hailuo_tasks_mcp.errors import Failure, HailuoTasksError, UnreachableError

MAX_REQUESTS = 20
MAX_LISTED_TASKS = 1_000

_PAGE_SIZE = 100
# A clock that differs by less is taken for the platform's, and one that differs by more for none.
_CLOCK_SECONDS = 60
_MAX_CLOCK_SECONDS = 30 * 86_400
# No service of the platform is known to have shorter pages.
_FULL_PAGE_SIZE = 10
# What can be looked up, and told without quotes.
_TASK_ID = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_.:-]{1,128}")


class _Position(NamedTuple):
    """Where a page is.

    Attributes:
        since: when its tasks were created at the earliest, in Unix seconds.
        offset: how many tasks come before it.
        until: when its tasks were created at the latest, in Unix seconds; None for any time.

    """

    since: int
    offset: int = 0
    until: int | None = None


class _Page(NamedTuple):
    """One page of a list.

    Attributes:
        size: how many items it has.
        is_news: whether it has anything that no page had before.
        tasks: how many of them are of use.
        moments: when the tasks of it were created, where that is known, in its order.

    """

    size: int
    is_news: bool
    tasks: int
    moments: Sequence[float]

    @property
    def is_full(self) -> bool:
        """Whether it has as many items as a page may have, so that another one may follow."""
        return self.size >= _FULL_PAGE_SIZE

    @property
    def is_newest_first(self) -> bool:
        """Whether all its tasks have a time, and no task is newer than the one before it."""
        return len(self.moments) == self.tasks and list(self.moments) == sorted(
            self.moments, reverse=True
        )

    def ends_before(self, since: float) -> bool:
        """Return whether it is sorted, and it and all that follow are older than asked for."""
        return (
            bool(self.moments)
            and self.moments[0] < since
            and list(self.moments) == sorted(self.moments, reverse=True)
        )


class Lister:
    """Makes one list of tasks.

    Nothing promises that `limit`, `offset` or the times are obeyed, how long a page is, or whether
    `total` counts the page or all there are. So the next page is asked for by `offset`; where that
    brings nothing new, what was created up to the oldest task so far.

    Args:
        sender: sends the caller's requests.
        queue: the caller's look-ups, with which requests share the places in flight.
        at_base_url: where the API is, for a message.

    """

    def __init__(self, sender: Sender, queue: LookupQueue, at_base_url: str) -> None:
        self._sender = sender
        self._queue = queue
        self._at_base_url = at_base_url
        self._requests = 0
        self._last_attempt = Attempt()
        self._begin()

    def _begin(self) -> None:
        self._records: dict[str, TaskRecord] = {}
        # Ids of tasks that are older than asked for.
        self._older: set[str] = set()
        self._left_out = 0
        # Records of a task that the same page had before.
        self._repeated = 0
        self._counted = 0
        self._pages = 0
        self._last_items: Sequence[object] = ()
        # Whether tasks may have been passed over.
        self._skipped = False
        self._complete = False
        self._failure: Failure | None = None

    async def run(self, max_age_seconds: float, now: float) -> None:
        """Ask for page after page.

        Args:
            max_age_seconds: how long ago a task may have been created, up to `LISTED_SECONDS`.
            now: the time, in Unix seconds, by this machine's clock.

        """
        age_seconds = min(max_age_seconds, LISTED_SECONDS)
        ahead_seconds = await self._list(now - age_seconds, now)
        if ahead_seconds:
            # By the platform's clock the time asked for was another one.
            self._begin()
            await self._list(now + ahead_seconds - age_seconds, None)

    def give_up(self, within_seconds: float) -> None:
        """Note that the list took too long."""
        message = f"Not answered within {within_seconds:.3g} s by the API{self._at_base_url}"
        if not self._requests:
            message = f"Other lists with this token took the {within_seconds:.3g} s"
        self._failure = self._last_attempt.failure or Failure(UnreachableError, message)
        self._complete = False

    def result(self) -> Listing:
        """Return what was listed.

        Raises:
            HailuoTasksError: nothing was, for this reason.

        """
        if self._failure is not None and not self._pages:
            raise self._failure.to_error()
        # Stable, so that tasks of the same time stay in the API's order.
        records = sorted(self._records.values(), key=lambda each: -(each.created_at or 0))
        complete = self._complete and not self._unfetched
        return Listing(records, self._left_out, complete, self._unfetched, self._failure)

    @property
    def _unfetched(self) -> int:
        """How many more tasks the API counts than came."""
        # Where it lists what is older than asked for, it also counts that.
        came = len(self._records) + self._repeated + self._left_out
        return 0 if self._older else max(0, self._counted - came)

    async def _list(self, since: float, now: float | None) -> float:
        """List the tasks created since a time, in Unix seconds.

        Returns: by how many seconds the platform's clock is ahead of `now`, as soon as it is known
        to differ; else 0, at the end.
        """
        clock = asyncio.get_running_loop().time
        start, position = clock(), _Position(math.floor(since))
        while self._requests < MAX_REQUESTS and len(self._records) < MAX_LISTED_TASKS:
            page = None
            try:
                page = await self._fetch(position)
            except HailuoTasksError as error:
                self._failure = error.failure
            if now is not None and (date := self._last_attempt.date) is not None:
                ahead_seconds = date - now - (clock() - start)
                if _CLOCK_SECONDS < abs(ahead_seconds) <= _MAX_CLOCK_SECONDS:
                    return ahead_seconds
                now = None
            following = None if page is None else self._following(position, page)
            if following is None:
                break
            position = following
        return 0

    def _following(self, position: _Position, page: _Page) -> _Position | None:
        """Return where the page after this one is; None if there is none."""
        if page.ends_before(position.since) or not (page.is_full or self._unfetched):
            # Where it also lists what is too old, and in no order, newer ones may be elsewhere.
            in_order = page.is_newest_first or not self._older
            self._complete = in_order and not self._skipped
            return None
        if page.is_news and position.until is None:
            return position._replace(offset=position.offset + page.size)
        oldest = self._oldest()
        if page.is_full and not page.is_newest_first:
            # What it left out need not be older than what it has.
            self._skipped = True
        if position.until is not None and not page.is_news:
            # What it has not sent by now, it does not send.
            first, last = position.until - 1, position.until
            if not page.is_full or not all(first < moment <= last for moment in page.moments):
                obeyed = all(moment <= last for moment in page.moments)
                self._complete = obeyed and not self._skipped
                return None
            # More tasks of one second than fit on a page: at least those that are older.
            oldest, self._skipped = first, True
        if oldest is None or oldest < position.since:
            return None
        return _Position(position.since, until=math.ceil(oldest))

    async def _fetch(self, position: _Position) -> _Page:
        """Return a page, the tasks of which are noted.

        Raises:
            HailuoTasksError: there is none, or it reports an error.

        """
        payload = {
            "action": "retrieve_batch",
            "limit": _PAGE_SIZE,
            "offset": position.offset,
            "created_at_min": position.since,
        }
        if position.until is not None:
            payload["created_at_max"] = position.until
        self._requests += 1
        async with self._queue.place():
            body = await self._sender.post(
                MINIMAX, payload, max_records=_PAGE_SIZE, on_attempt=self._note_attempt
            )
        counts = [read_count(count) for count in (body.get("total"), body.get("count"))]
        counted = max(count or 0 for count in counts)
        items = body.get("items")
        if items is None and not counted and any(count == 0 for count in counts):
            items = []
        if not isinstance(items, list):
            raise self._sender.unreadable("an object without items", "a list of tasks")
        if position.until is None:
            self._counted = max(self._counted, counted, len(items))
        page = await self._take(items, position.since, position.until)
        if reports_error(body):
            raise self._sender.unreadable("a list that reports an error", "a list of tasks")
        return page

    def _note_attempt(self, attempt: Attempt) -> None:
        self._last_attempt = attempt

    async def _take(self, items: Sequence[object], since: int, until: int | None) -> _Page:
        """Note the tasks of a page that are new."""
        left_out = read = 0
        moments, before = list[float](), len(self._records) + len(self._older)
        ids = set[str]()
        for item in items:
            task_id = self._task_id(item)
            if task_id is None:
                left_out += 1
                continue
            ids.add(task_id)
            known = self._records.get(task_id)
            if known is None and len(self._records) < MAX_LISTED_TASKS:
                known = read_record(item, MINIMAX.name, self._sender.redact)
                if known is not None and (known.created_at or since) < since:
                    self._older.add(task_id)
                elif known is not None:
                    self._records[task_id] = known
                read += 1
                if read % RECORDS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            if known is not None and known.created_at is not None:
                moments.append(known.created_at)
        is_news = len(self._records) + len(self._older) > before
        if left_out == len(items) > 0:
            # Without ids nothing else shows whether a page has come before.
            is_news = items != self._last_items
        if is_news:
            self._count(left_out, len(items) - left_out - len(ids), by_time=until is not None)
        self._last_items = items if left_out == len(items) else ()
        self._pages += 1
        return _Page(len(items), is_news, len(items) - left_out, moments)

    def _count(self, left_out: int, repeated: int, *, by_time: bool) -> None:
        """Count the records of a page of which nothing is listed."""
        if by_time:
            # What has no time comes with each such page.
            self._left_out = max(self._left_out, left_out)
        else:
            self._left_out += left_out
            self._repeated += repeated

    def _task_id(self, item: object) -> str | None:
        """Return the id of a task, in lower case; None for what is none."""
        task_id = id_in(item)
        if task_id is None or (
            isinstance(item, Mapping) and reports_error(item) and not holds_task(item)
        ):
            return None
        task_id = self._sender.redact(task_id)
        return task_id.lower() if _TASK_ID.fullmatch(task_id) else None

    def _oldest(self) -> float | None:
        moments = [each.created_at for each in self._records.values() if each.created_at]
        return min(moments, default=None)
