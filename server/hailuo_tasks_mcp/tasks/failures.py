"""What kind of failure ended a generation, which decides whether another try can help."""

import re
from typing import Literal

FailureKind = Literal[
    "refused_content",
    "unavailable_model",
    "cancelled",
    "no_output",
    "unusable_url",
    "transient",
    "other",
]

_KINDS_BY_CODE: dict[str, FailureKind] = {
    "content_policy": "refused_content",
    "1026": "refused_content",
    "1027": "refused_content",
    "unprocessable_entity_error": "refused_content",
    "model_unavailable": "unavailable_model",
    "cancelled": "cancelled",
    "no_output": "no_output",
    "unusable_url": "unusable_url",
    "api_error": "transient",
    "server_error": "transient",
    "timeout": "transient",
    "too_many_requests": "transient",
    "rate_limited": "transient",
    "rate_limit_error": "transient",
}

# Where the code does not say it, or only that something failed. The first that fits decides.
_KINDS_BY_WORDS: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    (
        re.compile(r"no channel available|model\b.{0,60}\b(not|un)[ -]?available", re.IGNORECASE),
        "unavailable_model",
    ),
    (
        re.compile(
            r"sensitive|content (policy|safety|moderation)|moderation|policy violation",
            re.IGNORECASE,
        ),
        "refused_content",
    ),
    (
        re.compile(
            r"time(d)?[ -]?out|temporar|overload|try again|rate limit|fetch failed|busy"
            r"|internal (server )?error",
            re.IGNORECASE,
        ),
        "transient",
    ),
)


def failure_kind(code: str | None, message: str) -> FailureKind:
    """Return what kind of failure the API's code and words stand for."""
    by_code = _KINDS_BY_CODE.get(code or "")
    if by_code not in {None, "transient"}:
        return by_code
    by_words = next((kind for words, kind in _KINDS_BY_WORDS if words.search(message)), None)
    return by_words or by_code or "other"
