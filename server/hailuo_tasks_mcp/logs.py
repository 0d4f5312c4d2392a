"""The log: on stderr, because stdout belongs to the protocol, one clean line for each record.

Libraries log what they receive, so a line may hold a token, or escapes for a terminal. And a host
may not read stderr, so nothing that serves may wait for it.
"""

import logging
import queue
import sys
import threading
import traceback
from collections import deque
from contextlib import suppress

from hailuo_tasks_mcp.descriptors import STDERR, write_all
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.text import clean_text

MAX_MESSAGE_LENGTH = 1_500
MAX_EXCEPTION_LENGTH = 400
MAX_QUEUED_LINES = 1_000
FLUSH_SECONDS = 0.5
# Far more than a line shows; what a library logs can be megabytes.
_MAX_READ_LENGTH = 1 << 16
_SHOWN_FRAMES = 3

logger = logging.getLogger(__name__)


class RedactingFormatter(logging.Formatter):
    """Makes one line of a record: without tokens and control characters, of bounded length."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line; an exception is told with its innermost frames."""
        error = record.exc_info[1] if record.exc_info else None
        try:
            message = self._clean(record.getMessage(), MAX_MESSAGE_LENGTH)
            if error is not None:
                message += ": " + self._clean(_folded(error), MAX_EXCEPTION_LENGTH)
        except Exception as problem:  # noqa: BLE001 - an argument's own code may raise anything
            message = f"a record that cannot be formatted ({type(problem).__name__})"
        return f"{self.formatTime(record)} {record.levelname} {record.name}: {message}"

    def _clean(self, text: str, limit: int) -> str:
        return clean_text(self._redactor.redact(text[:_MAX_READ_LENGTH]), limit)


def _folded(error: BaseException) -> str:
    """Return what an exception is and where it was raised, the innermost frame first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = deque(traceback.walk_tb(error.__traceback__), maxlen=_SHOWN_FRAMES)
    where = " < ".join(
        # The last two parts tell one `__init__.py` from another.
        f"{'/'.join(frame.f_code.co_filename.replace(chr(92), '/').split('/')[-2:])}:{line}"
        for frame, line in reversed(frames)
    )
    # Where it was comes first, because what it says may be long.
    return f"{type(error).__name__}{f' at {where}' if where else ''}: {error}"


class _StderrHandler(logging.Handler):
    """Has a thread write the lines, and drops those for which there is no room.

    It is not `logging.handlers.QueueListener`, whose end waits for the last line to be written.
    """

    def __init__(self) -> None:
        super().__init__()
        # Its `put` may be interrupted by another one, as when a finalizer logs; that of `Queue`
        # would wait for itself.
        self._lines: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        self._dropped_lines = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() < MAX_QUEUED_LINES:
            self._tell_dropped()
            self._lines.put(self.format(record))
        else:
            self._dropped_lines += 1

    def flush(self) -> None:
        """Wait until all lines are written, for `FLUSH_SECONDS` at most."""
        self._tell_dropped()
        written = threading.Event()
        self._lines.put(written)
        written.wait(FLUSH_SECONDS)

    def _tell_dropped(self) -> None:
        if self._dropped_lines:
            record = logging.makeLogRecord(
                {
                    "name": __name__,
                    "levelno": logging.WARNING,
                    "levelname": "WARNING",
                    "msg": f"{self._dropped_lines} lines dropped, because nobody read stderr",
                }
            )
            self._dropped_lines = 0
            self._lines.put(self.format(record))

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            if isinstance(line, threading.Event):
                line.set()
                continue
            # Nobody may be there to read it.
            with suppress(OSError):
                write_all(STDERR, f"{line}\n".encode("utf-8", "replace"))


def log_to_stderr(level: str, redactor: Redactor) -> None:
    """Send the log of this process, from `level` upwards, to stderr.

    Warnings and exceptions that nobody catches go there too. A process whose log already goes
    somewhere keeps it there.

    Args:
        level: the name of a level of `logging`.
        redactor: knows the tokens that no line may hold.

    """
    if logging.root.handlers:
        return
    handler = _StderrHandler()
    handler.setFormatter(RedactingFormatter(redactor))
    logging.basicConfig(level=level, handlers=[handler])
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_uncaught_in_thread


def _log_uncaught(_: type[BaseException], error: BaseException, __: object) -> None:
    logger.critical("Ended by an error", exc_info=error)


def _log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    message = unraisable.err_msg or "Exception ignored in"
    logger.error("%s %r", message, unraisable.object, exc_info=unraisable.exc_value)


def _log_uncaught_in_thread(failed: threading.ExceptHookArgs) -> None:
    logger.error("A thread ended by an error", exc_info=failed.exc_value)
