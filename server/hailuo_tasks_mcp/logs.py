"""The log: on stderr, because stdout belongs to the protocol, and without the token."""

import logging
import sys

from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.text import without_secret


class _Discreet(logging.Formatter):
    """Takes the token out of whole lines, tracebacks included: libraries log what they receive."""

    def __init__(self, token: str) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._token = token

    def format(self, record: logging.LogRecord) -> str:
        return without_secret(super().format(record), self._token)


def log_to_stderr(settings: Settings) -> None:
    """Send the log of this process, from the level in force upwards, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Discreet(settings.api_token or ""))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
