"""Redacts every token in use in text that leaves the process: the log, answers and errors."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hailuo_tasks_mcp.text import without_unsafe

_REPLACEMENT = "[token]"
# A shorter token could be part of any word.
_MIN_TOKEN_LENGTH = 8


class Redactor:
    """Knows the tokens in use.

    Args:
        tokens: in use as long as the process runs; None stands for none.

    """

    def __init__(self, *tokens: str | None) -> None:
        self._uses: Counter[str] = Counter()
        for token in tokens:
            self._count(token, 1)

    @contextmanager
    def using(self, token: str | None) -> Iterator[None]:
        """Count a caller's token among those in use, for the length of a call."""
        self._count(token, 1)
        try:
            yield
        finally:
            self._count(token, -1)

    def _count(self, token: str | None, uses: int) -> None:
        if token is not None and len(token) >= _MIN_TOKEN_LENGTH:
            self._uses[token] += uses
            if not self._uses[token]:
                del self._uses[token]

    def redact(self, text: str) -> str:
        """Return `text` without tokens, even where unsafe characters were put in between."""
        text = self._replace(text)
        if text.isascii() and text.isprintable():
            return text
        bare = without_unsafe(text)
        redacted = self._replace(bare)
        return text if redacted == bare else redacted

    def _replace(self, text: str) -> str:
        # The longest first, because one token may begin with another.
        for token in sorted(self._uses, key=len, reverse=True):
            text = text.replace(token, _REPLACEMENT)
        return text

    def redact_json(self, value: Any) -> Any:
        """Return a JSON value without tokens in any of its strings but the names of fields."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, list):
            return [self.redact_json(item) for item in value]
        if isinstance(value, dict):
            return {key: self.redact_json(item) for key, item in value.items()}
        return value
