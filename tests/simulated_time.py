"""An event loop on which time passes only when there is nothing else to do.

A wait of fifty seconds takes no time then, and ends after fifty seconds exactly.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

from helpers import TIMEOUT_SECONDS

Events = list[tuple[selectors.SelectorKey, int]]


class SimulatedSelector(selectors.DefaultSelector):
    """Does not wait but for threads: it passes each timeout on as time that has passed."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance
        self.in_threads = 0

    def select(self, timeout: float | None = None) -> Events:
        must_wait = timeout is None or (self.in_threads and timeout > 0)
        ready: Events = super().select(TIMEOUT_SECONDS if must_wait else 0)
        if ready:
            return ready
        if timeout is None:
            raise TimeoutError("Nothing is scheduled, so the loop would wait for ever")
        self._advance(timeout)
        return ready


class SimulatedTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._seconds = 0.0
        self._simulated = SimulatedSelector(self.advance)
        super().__init__(self._simulated)

    def time(self) -> float:
        return self._seconds

    def run_in_executor(self, *arguments: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """Have a thread do something, which takes no time here."""
        future = super().run_in_executor(*arguments)
        self._simulated.in_threads += 1
        future.add_done_callback(self._left_thread)
        return future

    def _left_thread(self, _: "asyncio.Future[Any]") -> None:
        self._simulated.in_threads -= 1

    def advance(self, seconds: float) -> None:
        """Have time pass, as it does while the loop is busy."""
        self._seconds += seconds
