"""Foreign text made safe to show to a model or a person.

Prompts, error messages and URLs come from other people and are data. This removes what could make
them look like something else: control characters, characters that reverse or hide text, and line
breaks, by which one field could look like several.
"""

import re
import unicodedata
from urllib.parse import urlsplit

# Long enough for a signed URL, short enough for a model's context.
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
    # Text far beyond the limit is not processed, so that megabytes cost no more than a line.
    text = text.lstrip()
    seen = text[: limit * _LOOK_AHEAD]
    # Folded first, so that line breaks become spaces before they are dropped as controls.
    folded = " ".join(seen.split())
    safe = " ".join(without_unsafe(folded).split())
    if not safe or (len(safe) <= limit and len(seen) == len(text)):
        return safe
    return safe[: limit - 1].rstrip() + "…"


def identifier(text: str | None) -> str | None:
    """Return `text` if it is a plain identifier, which can stand in a sentence unquoted."""
    return text if text is not None and _IDENTIFIER.fullmatch(text) else None


def usable_url(text: str | None) -> str | None:
    """Return `text` if it is a URL that someone can open (http or https, with a host), else None.

    A URL is never cut or repaired: it is passed on unchanged, or not at all.
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


def without_unsafe(text: str) -> str:
    """Return `text` without the characters that show nothing, or hide or reorder what is shown."""
    return "".join(
        char
        for char in text
        if char in _JOINERS or unicodedata.category(char) not in _UNSAFE_CATEGORIES
    )
