"""An event loop on which time passes only when there is nothing else to do.

A wait of fifty seconds takes no time then, and ends after fifty seconds exactly.
"""

import asyncio
import selectors
from collections.abc import Callable

from helpers import TIMEOUT_SECONDS

Events = list[tuple[selectors.SelectorKey, int]]


class SimulatedSelector(selectors.DefaultSelector):
    """Does not wait: it passes each timeout on as time that has passed."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> Events:
        ready: Events = super().select(TIMEOUT_SECONDS if timeout is None else 0)
        if ready:
            return ready
        if timeout is None:
            raise TimeoutError("Nothing is scheduled, so the loop would wait for ever")
        self._advance(timeout)
        return ready


class SimulatedTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._seconds = 0.0
        super().__init__(SimulatedSelector(self.advance))

    def time(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Have time pass, as it does while the loop is busy."""
        self._seconds += seconds
