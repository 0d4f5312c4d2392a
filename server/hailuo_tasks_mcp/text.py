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
_SHORTEST_SECRET = 8
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def clean_text(text: str, limit: int) -> str:
    """Return `text` on one line, without unsafe characters, at most `limit` characters long.

    Runs of white space become one space; what is cut off is marked with an ellipsis.
    """
    # Text far beyond the limit is never looked at: megabytes cost no more than a line.
    text = text.lstrip()
    seen = text[: limit * _LOOK_AHEAD]
    # Folded first, so that line breaks become spaces before they are dropped as controls.
    folded = " ".join(seen.split())
    safe = " ".join(_without_unsafe(folded).split())
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


def without_secret(text: str, secret: str) -> str:
    """Return `text` without `secret`, even where unsafe characters were put in between.

    A secret of a few characters could be part of any word, and is left.
    """
    if len(secret) < _SHORTEST_SECRET:
        return text
    text = text.replace(secret, "[token]")
    if text.isascii() and text.isprintable():
        return text
    bare = _without_unsafe(text)
    return bare.replace(secret, "[token]") if secret in bare else text


def _without_unsafe(text: str) -> str:
    return "".join(
        char
        for char in text
        if char in _JOINERS or unicodedata.category(char) not in _UNSAFE_CATEGORIES
    )
