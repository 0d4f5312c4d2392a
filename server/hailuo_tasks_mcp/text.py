"""Foreign text made safe to show to a model or a person.

Prompts, error messages and URLs come from strangers. They are data, so what could pose as
something else is taken out: control characters, characters that reverse or hide text, line
breaks that would let one field look like several.
"""

import re
import unicodedata
from urllib.parse import urlsplit

# Long enough for a signed URL, short enough that no record can flood a context with one.
MAX_URL_LENGTH = 4096

# Cc control, Cf format (bidirectional overrides, zero-width and tag characters), Cs lone
# surrogates, Co private use. Not Cn, unassigned: to an older Python a new emoji is that.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co"})
# Format characters that emoji and several scripts cannot be written without.
_JOINERS = frozenset({"\u200c", "\u200d"})

_LOOK_AHEAD = 8
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def clean_text(text: str, limit: int) -> str:
    """Return `text` on one line, without unsafe characters, at most `limit` characters long.

    Runs of white space become one space; what is cut off is marked with an ellipsis.
    """
    # Text far beyond the limit is never looked at: megabytes cost no more than a line.
    seen = text[: limit * _LOOK_AHEAD]
    # Folded first, so that line breaks become spaces before they are dropped as controls.
    folded = " ".join(seen.split())
    safe = "".join(char for char in folded if char in _JOINERS or _is_safe(char))
    safe = " ".join(safe.split())
    if not safe or (len(safe) <= limit and len(seen) == len(text)):
        return safe
    return safe[: limit - 1].rstrip() + "…"


def identifier(text: str | None) -> str | None:
    """Return `text` if it is a plain identifier, which can stand in a sentence unquoted."""
    return text if text is not None and _IDENTIFIER.fullmatch(text) else None


def usable_url(text: str | None) -> str | None:
    """Return `text` if it is a URL that someone can open (http or https, with a host), else None.

    A URL is never cut or repaired: either it is handed on as it came, or not at all.
    """
    if text is None:
        return None
    url = text.strip()
    if len(url) > MAX_URL_LENGTH or " " in url or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.hostname else None


def _is_safe(char: str) -> bool:
    return unicodedata.category(char) not in _UNSAFE_CATEGORIES
