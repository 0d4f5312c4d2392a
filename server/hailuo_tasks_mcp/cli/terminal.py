"""What a person at a terminal sees while a command waits: a line that shows progress."""

import asyncio
import shutil
import sys
from typing import Self

# The exit code by which shells tell that Ctrl-C ended a command.
INTERRUPTED = 130
_TICK_SECONDS = 1.0
_CTRL_C = "^C"


class ProgressLine:
    """Shows how far a wait is, in one line that is removed at the end; on a terminal only.

    The end of a wait rings the bell, because people look elsewhere by then.

    Args:
        wait_seconds: how long the wait may take.

    """

    def __init__(self, wait_seconds: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._start = 0.0
        self._wait_seconds = wait_seconds
        self._message = ""
        self._shown_length = 0
        self._reports = 0
        self._ticking: asyncio.Task[None] | None = None

    async def report(self, waited_seconds: float, _: float | None, message: str) -> None:
        """Show what is known after a fetch."""
        self._start = self._clock() - waited_seconds
        self._message = message
        self._reports += 1
        self._show_progress()

    async def __aenter__(self) -> Self:
        if sys.stderr.isatty():
            self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._ticking is None:
            return
        self._ticking.cancel()
        await asyncio.wait([self._ticking])
        interrupted = kind is not None and issubclass(kind, asyncio.CancelledError)
        if interrupted:
            # The terminal has written that after the line.
            self._shown_length += len(_CTRL_C)
        # Overwrite what is shown, then return to the start of the line.
        self._show("")
        self._show("")
        # What is known at once was not waited for.
        if self._reports > 1 and not interrupted:
            print("\a", end="", file=sys.stderr, flush=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._show_progress()

    def _show_progress(self) -> None:
        if self._ticking is not None and self._message:
            waited = min(self._clock() - self._start, self._wait_seconds)
            self._show(f"{waited:.0f} of {self._wait_seconds:.0f} s: {self._message}")

    def _show(self, text: str) -> None:
        # A line that wraps could not be overwritten, nor could one with Ctrl-C at its end.
        text = text[: shutil.get_terminal_size().columns - 1 - len(_CTRL_C)]
        print(f"\r{text:{self._shown_length}}", end="", file=sys.stderr, flush=True)
        self._shown_length = len(text)
