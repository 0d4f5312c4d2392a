"""Look-ups of the same moment go out together, and at most a few requests at a time.

A look-up goes out at once while fewer than `MAX_IN_FLIGHT` requests of its caller are in flight.
Until one of them returns, further ids are collected; then they go out as one request. Databases
call this a group commit.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.services import Service
from hailuo_tasks_mcp.errors import Failure

# One less than the platform allows for a token, because its user may have other programs.
MAX_IN_FLIGHT = 4
IDS_PER_REQUEST = 100
# How long look-ups that need not go out at once are collected: longer than timers of the same
# moment are apart, and a power of two, so that adding it to a whole second is exact.
COLLECT_SECONDS = 1 / 64


class Absence(Enum):
    """What it means that no record came."""

    UNKNOWN = "the service knows no such task"
    # The API may page in any way, so others of the same request may have taken its place.
    UNCONFIRMED = "the record may be on another page"


Outcome = TaskRecord | Failure | Absence
"""What a service says of an id: its record, why there is none, or that it could not say."""


@dataclass(slots=True, eq=False)
class _Lookup:
    """One id at one service, for any number of callers."""

    service: Service
    task_id: str
    future: "asyncio.Future[Outcome]"
    callers: int = 0
    group: "Group | None" = None


class Group:
    """Ids that go out together.

    Attributes:
        service: which service is asked.
        ids: which ids.
        last_failure: what the last attempt brought, if that was a fault.

    """

    def __init__(self, lookups: Sequence[_Lookup]) -> None:
        self.service = lookups[0].service
        self.ids = [lookup.task_id for lookup in lookups]
        self.last_failure: Failure | None = None
        self._lookups = {lookup.task_id: lookup for lookup in lookups}
        for lookup in lookups:
            lookup.group = self

    def resolve(self, task_id: str, outcome: Outcome) -> None:
        """Give the outcome of an id to all that wait for it."""
        future = self._lookups[task_id].future
        if not future.done():
            future.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Raise an error, which is a defect of this package, to all that still wait."""
        for lookup in self._lookups.values():
            if lookup.callers and not lookup.future.done():
                lookup.future.set_exception(error)

    def is_abandoned(self) -> bool:
        """Return whether nobody waits for any of the ids."""
        return not any(lookup.callers for lookup in self._lookups.values())


class LookupQueue:
    """The look-ups of one caller.

    Args:
        send: sends a group and resolves each of its ids.

    """

    def __init__(self, send: Callable[[Group], Coroutine[Any, Any, None]]) -> None:
        self._send = send
        self._lookups: dict[tuple[str, str], _Lookup] = {}
        # In the order of arrival. Of a dict, the first key is found the later, the more were taken.
        self._waiting: OrderedDict[_Lookup, None] = OrderedDict()
        self._in_flight: dict[Group, asyncio.Task[None]] = {}
        # Of requests that are no look-ups: those in flight, and those that wait for a place.
        self._others_in_flight = 0
        self._others_waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def look_up(
        self,
        service: Service,
        task_ids: Iterable[str],
        *,
        collect: bool,
        timeout_seconds: float,
        timed_out: Callable[[Failure | None], Failure],
    ) -> dict[str, Outcome]:
        """Return what a service says of some ids.

        Args:
            service: which service is asked.
            task_ids: the ids, without repeats, at least one.
            collect: whether to wait for look-ups that others begin a moment later.
            timeout_seconds: when to give up.
            timed_out: makes the failure of an id that has no outcome by then, of what the last
                attempt brought.

        """
        lookups = [self._join(service, task_id) for task_id in task_ids]
        try:
            if not collect:
                self._dispatch()
            elif self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(COLLECT_SECONDS, self._dispatch)
            await asyncio.wait([lookup.future for lookup in lookups], timeout=timeout_seconds)
            return {
                lookup.task_id: lookup.future.result()
                if lookup.future.done()
                else timed_out(lookup.group.last_failure if lookup.group else None)
                for lookup in lookups
            }
        finally:
            for lookup in lookups:
                self._leave(lookup)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place among the requests in flight, for one that is no look-up.

        It comes before the look-ups that wait, because all of these can go out together once the
        next request returns.
        """
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._others_waiting.append(place)
        self._dispatch()
        try:
            await place
            yield
        finally:
            if place.done() and not place.cancelled():
                self._others_in_flight -= 1
            elif place in self._others_waiting:
                self._others_waiting.remove(place)
            self._dispatch()

    async def aclose(self) -> None:
        """Cancel what is in flight, and send nothing more."""
        self._waiting.clear()
        while self._others_waiting:
            self._others_waiting.popleft().cancel()
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _join(self, service: Service, task_id: str) -> _Lookup:
        """Return the look-up of an id: the one under way, if there is one."""
        key = (service.name, task_id)
        lookup = self._lookups.get(key)
        if lookup is None or lookup.future.done():
            future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            lookup = self._lookups[key] = _Lookup(service, task_id, future)
            self._waiting[lookup] = None
        lookup.callers += 1
        return lookup

    def _leave(self, lookup: _Lookup) -> None:
        lookup.callers -= 1
        if lookup.callers:
            return
        key = (lookup.service.name, lookup.task_id)
        if self._lookups.get(key) is lookup:
            del self._lookups[key]
        self._waiting.pop(lookup, None)
        group = lookup.group
        if group is not None and group in self._in_flight and group.is_abandoned():
            self._in_flight[group].cancel()

    def _dispatch(self) -> None:
        """Send what waits, as far as requests may go out."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._others_waiting and self._has_room():
            place = self._others_waiting.popleft()
            if not place.done():
                self._others_in_flight += 1
                place.set_result(None)
        while self._waiting and self._has_room():
            service = next(iter(self._waiting)).service
            same = (lookup for lookup in self._waiting if lookup.service is service)
            lookups = [lookup for lookup, _ in zip(same, range(IDS_PER_REQUEST), strict=False)]
            for lookup in lookups:
                del self._waiting[lookup]
            group = Group(lookups)
            task = asyncio.create_task(self._send(group))
            self._in_flight[group] = task
            task.add_done_callback(partial(self._returned, group))

    def _has_room(self) -> bool:
        return len(self._in_flight) + self._others_in_flight < MAX_IN_FLIGHT

    def _returned(self, group: Group, task: "asyncio.Task[None]") -> None:
        del self._in_flight[group]
        if not task.cancelled() and (error := task.exception()) is not None:
            group.fail(error)
        self._dispatch()
