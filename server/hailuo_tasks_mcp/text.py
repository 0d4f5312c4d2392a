"""Foreign text made safe to show to a model or a person.

Prompts, error messages and URLs come from other people and are data. This removes what could make
them look like something else: control characters, characters that reverse or hide text, and line
breaks, by which one field could look like several.
"""

import json
import re
from urllib.parse import urlsplit

from hailuo_tasks_mcp.hidden_characters import hides, without_hidden

REDACTED = "[token]"
"""What stands for a token in a text."""

# Long enough for a signed URL, short enough for a model's context.
MAX_URL_LENGTH = 4096

# How many times its limit is seen of a text, because much of it may be hidden characters.
LOOK_AHEAD = 8
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def clean_text(text: str, limit: int) -> str:
    """Return `text` on one line, without hidden characters, at most `limit` characters long.

    Runs of white space become one space; what is cut off is marked with an ellipsis.
    """
    # Text far beyond the limit is not processed, so that megabytes cost no more than a line.
    text = text.lstrip()
    seen = text[: limit * LOOK_AHEAD]
    # Folded first, so that line breaks become spaces before they are dropped as controls.
    folded = " ".join(seen.split())
    safe = " ".join(without_hidden(folded).split())
    if not safe or (len(safe) <= limit and len(seen) == len(text)):
        return safe
    # Once more, because the cut may have gone through an emoji.
    return without_hidden(safe[: limit - 1]).rstrip() + "…"


def clean_quoting_text(text: str, limit: int) -> str:
    """Return a text as `clean_text` does; if the cut is in a quotation, it ends with its quote."""
    cleaned = clean_text(text, limit)
    # Else what follows would seem to be quoted too.
    return clean_text(text, limit - 1) + '"' if cleaned.count('"') % 2 else cleaned


def quoted(text: str, limit: int) -> str:
    """Return `text` cleaned and in quotes, so that it cannot pose as a sentence of ours."""
    return json.dumps(clean_text(text, limit), ensure_ascii=False)


def max_json_values(content: bytes) -> int:
    """Return how many values JSON can have at most, found without parsing it.

    A few kilobytes, compressed, can hold millions, of which each takes up to 100 times its bytes.
    """
    return sum(map(content.count, (b"{", b"[", b",")))


def identifier(text: str | None) -> str | None:
    """Return `text` if it is a plain identifier, which can stand in a sentence unquoted."""
    return text if text is not None and _IDENTIFIER.fullmatch(text) else None


def usable_url(text: str | None) -> str | None:
    """Return `text` if it is a URL that someone can open (http or https, with a host), else None.

    A URL is never cut or repaired: it is passed on unchanged, or, as one with a hidden character
    or without the token that it held, not at all.
    """
    if text is None:
        return None
    url = text.strip()
    if len(url) > MAX_URL_LENGTH or url.split() != [url] or REDACTED in url:
        return None
    if hides(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.hostname else None
