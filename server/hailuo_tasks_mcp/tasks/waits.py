"""Counts the calls that wait, and ends them early when the server stops."""

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractContextManager

from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.errors import StoppingError, TooManyWaitsError
from hailuo_tasks_mcp.observer import Observer

# How much longer a fetch may take that is in flight when the server stops.
_LAST_SECONDS = 1.0


class Waits:
    """The calls of one server that wait, or fetch without a wait.

    Args:
        max_of_caller: how many calls of one caller may wait at a time; None for any number.
        max_of_all: how many calls of all callers may.
        observer: is told how many wait.

    """

    def __init__(
        self,
        *,
        max_of_caller: int | None = None,
        max_of_all: int | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._max_of_caller = max_of_caller
        self._max_of_all = max_of_all
        self._observer = observer or Observer()
        self._under_way = 0
        self._of_callers: dict[str, int] = {}
        self._pauses: set[asyncio.Future[None]] = set()
        self._fetches: set[asyncio.Timeout] = set()
        # Of the event loop's clock; None until the server stops.
        self._give_up_at: float | None = None

    @property
    def under_way(self) -> int:
        """How many calls wait."""
        return self._under_way

    @property
    def stopping(self) -> bool:
        """Whether the server stops, so that a call answers with what is known."""
        return self._give_up_at is not None

    def begin(self, caller_key: str) -> AbstractContextManager[None]:
        """Count a call that waits, until the context that is returned ends.

        Raises:
            TooManyWaitsError: as many calls wait as may.

        """
        of_caller = self._of_callers.get(caller_key, 0)
        if self._max_of_caller is not None and of_caller >= self._max_of_caller:
            raise TooManyWaitsError(f"{of_caller} calls of this caller wait, as many as may")
        if self._max_of_all is not None and self._under_way >= self._max_of_all:
            raise TooManyWaitsError("As many calls wait here as may")
        self._of_callers[caller_key] = of_caller + 1
        self._count(1)
        return _Wait(self, caller_key)

    def end(self, caller_key: str) -> None:
        """Count a call that waits no longer."""
        self._count(-1)
        self._of_callers[caller_key] -= 1
        if not self._of_callers[caller_key]:
            del self._of_callers[caller_key]

    def _count(self, more: int) -> None:
        self._under_way += more
        self._observer.waits_changed(self._under_way)

    async def pause(self, seconds: float) -> None:
        """Return after so many seconds, or at once when the server stops."""
        if self.stopping:
            return
        # As cheap as asyncio.sleep: no task, and no event that wakes all to look at it.
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        timer = loop.call_later(seconds, _wake, future)
        self._pauses.add(future)
        try:
            await future
        finally:
            timer.cancel()
            self._pauses.discard(future)

    async def bounded(self, fetch: Awaitable[LookupResult]) -> LookupResult:
        """Return what a fetch brings, within about a second more when the server stops.

        Raises:
            StoppingError: it took longer.
            HailuoTasksError: as the fetch does.

        """
        try:
            async with asyncio.timeout_at(self._give_up_at) as timeout:
                self._fetches.add(timeout)
                try:
                    return await fetch
                finally:
                    self._fetches.discard(timeout)
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise StoppingError("This server is being stopped") from error

    def stop(self) -> None:
        """End every wait early and for good; call it in the event loop of the calls."""
        if self.stopping:
            return
        self._give_up_at = asyncio.get_running_loop().time() + _LAST_SECONDS
        for future in self._pauses:
            _wake(future)
        for timeout in self._fetches:
            timeout.reschedule(self._give_up_at)


class _Wait:
    """Not a generator, of which each call that waits would hold the frame."""

    __slots__ = ("_caller_key", "_waits")

    def __init__(self, waits: Waits, caller_key: str) -> None:
        self._waits = waits
        self._caller_key = caller_key

    def __enter__(self) -> None:
        """Begin nothing: it has been counted."""

    def __exit__(self, *_: object) -> None:
        self._waits.end(self._caller_key)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
