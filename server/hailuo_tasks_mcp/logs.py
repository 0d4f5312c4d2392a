"""The log: on stderr, because stdout belongs to the protocol, and without tokens."""

import logging
import sys

from hailuo_tasks_mcp.redaction import Redactor


class RedactingFormatter(logging.Formatter):
    """Redacts whole lines, tracebacks included: libraries log what they receive."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line, or lines if it has a traceback, without tokens."""
        return self._redactor.redact(super().format(record))


def log_to_stderr(level: str, redactor: Redactor) -> None:
    """Send the log of this process, from `level` upwards, to stderr.

    Args:
        level: the name of a level of `logging`.
        redactor: knows the tokens that no line may hold.

    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(redactor))
    logging.basicConfig(level=level, handlers=[handler])
