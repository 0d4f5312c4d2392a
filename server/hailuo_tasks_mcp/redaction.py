"""Redacts every token in use in text that leaves the process: the log, answers and errors.

A token is found plain, in another case, with hidden characters in between, percent-encoded,
escaped as in JSON, Python or HTML, in hexadecimal, and in base64 of any text that holds it.
"""

import re
from array import array
from binascii import b2a_base64
from collections import Counter
from contextlib import AbstractContextManager
from typing import Any, TypeGuard

from hailuo_tasks_mcp.hidden_characters import HIDDEN
from hailuo_tasks_mcp.text import REDACTED

# A shorter token could be part of any word.
_MIN_TOKEN_LENGTH = 8
# As many of a token's first characters may read as the end of a code: two of a token in hexadecimal
# after "%", all of "1234567;" after "&#".
_MAX_CODE_LENGTH = 8
# So many tokens are looked for one by one, which is faster up to there; more by an index.
_FEW_TOKENS = 100

# All that may stand for one character, or for none: hidden characters; backslashes, with the code
# of a character after them or without; a percent-encoded byte or a character reference, also one
# that was encoded several times. It begins with a set, which `re` finds fast.
_ENCODED = (
    rf"[%&\\{HIDDEN}]"
    r"(?:(?<=%)(?:25)*([0-9A-Fa-f]{2})"
    r"|(?<=\\)\\*(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))?"
    r"|(?<=&)(?:amp;)*#(?:[xX]([0-9A-Fa-f]{1,6})|(?P<decimal>[0-9]{1,7}));?"
    r"|(?<=&)(?:amp;)+"
    rf"|(?<![%&\\])[{HIDDEN}]*)"
)

_Forms = tuple[tuple[str, str], ...]
"""What of a decoded text is a token, in its several forms, each in two parts: start and tail."""


class Redactor:
    """Knows the tokens in use.

    Args:
        tokens: in use as long as the process runs; None stands for none.

    """

    # Each call has one, and a thousand calls may wait.
    __slots__ = ("_by_ending", "_forms", "_lasting", "_parent", "_uses")

    def __init__(self, *tokens: str | None) -> None:
        self._uses: Counter[str] = Counter()
        self._forms: dict[str, _Forms] = {}
        # By the last characters of a form, which differ where tokens begin alike, as JWTs do.
        self._by_ending: dict[str, tuple[str, ...]] = {}
        self._parent: Redactor | None = None
        self._lasting: dict[str, _Forms] = {}
        for token in filter(_is_redacted, tokens):
            self.begin_use(token)
        self._lasting = dict(self._forms)

    def scope(self, *tokens: str | None) -> "Redactor":
        """Return a redactor of the tokens that last, of these, and of those used through it.

        The last count as in use here too. So an answer to one caller costs the same however many
        callers there are, and does not show whether a text is the token of another one.

        Args:
            tokens: in use here as long as the scope is; None stands for none.

        """
        scope = Redactor()
        scope._parent = self
        scope._by_ending = self._by_ending
        scope._lasting = self._lasting
        scope._forms = dict(self._lasting)
        for token in filter(_is_redacted, tokens):
            scope._forms[token] = self._forms[token]
        return scope

    def using(self, *tokens: str | None) -> AbstractContextManager["Redactor"]:
        """Count a caller's tokens among those in use, for the length of a call; enter as this."""
        return _Using(
            self, [token for token in filter(_is_redacted, tokens) if token not in self._lasting]
        )

    def begin_use(self, token: str) -> _Forms:
        """Count a token for one more call; return its forms, which are made once for all calls."""
        forms = self._forms.get(token)
        if forms is None:
            parent = self._parent
            forms = parent.begin_use(token) if parent else self._index(token)
            self._forms[token] = forms
        self._uses[token] += 1
        return forms

    def _index(self, token: str) -> _Forms:
        forms = _forms(token)
        for ending in _endings(token, forms):
            self._by_ending[ending] = (*self._by_ending.get(ending, ()), token)
        return forms

    def end_use(self, token: str) -> None:
        """Count a token no longer for one call that used it."""
        self._uses[token] -= 1
        if self._uses[token]:
            return
        del self._uses[token]
        forms = self._forms.pop(token)
        if self._parent:
            self._parent.end_use(token)
            return
        for ending in _endings(token, forms):
            others = tuple(other for other in self._by_ending.pop(ending) if other != token)
            if others:
                self._by_ending[ending] = others

    def redact(self, text: str) -> str:
        """Return `text` without tokens, in whatever form they are in it."""
        if len(text) < _MIN_TOKEN_LENGTH:
            return text
        # As it is first: what follows a token may complete a code that begins at its end. The
        # longest before the others, because one token may begin with another.
        for token in sorted(self._candidates(text), key=len, reverse=True):
            text = text.replace(token, REDACTED)
        decoded = _decoded(text)
        found = [
            form
            for forms in self._candidates(decoded).values()
            for form in forms
            # Not "".join(form): its start may not have been read as such.
            if form[1] in decoded
        ]
        return _replaced(text, decoded, found) if found else text

    def _candidates(self, text: str) -> dict[str, _Forms]:
        """Return the tokens that may be in a text, with their forms; of many only a few.

        A copy, because any thread may log while another one begins or ends a call.
        """
        forms = self._forms.copy()
        if len(forms) <= _FEW_TOKENS:
            return forms
        size = _MIN_TOKEN_LENGTH
        windows = {text[start : start + size] for start in range(len(text) - size + 1)}
        tokens = {token for window in windows for token in self._by_ending.get(window, ())}
        return {token: forms[token] for token in tokens if token in forms}

    def redact_json(self, value: Any) -> Any:
        """Return a JSON value without tokens in any of its strings but the names of fields."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, list):
            return [self.redact_json(item) for item in value]
        if isinstance(value, dict):
            return {key: self.redact_json(item) for key, item in value.items()}
        return value


def _is_redacted(token: str | None) -> TypeGuard[str]:
    return token is not None and len(token) >= _MIN_TOKEN_LENGTH


def _endings(token: str, forms: _Forms) -> set[str]:
    """Return how a token ends, as it is and in each of its forms."""
    return {text[-_MIN_TOKEN_LENGTH:] for text in (token, *(tail for _, tail in forms))}


class _Using:
    """Not a generator: each call that waits holds two of them."""

    __slots__ = ("_redactor", "_tokens")

    def __init__(self, redactor: Redactor, tokens: list[str]) -> None:
        self._redactor = redactor
        self._tokens = tokens

    def __enter__(self) -> Redactor:
        for token in self._tokens:
            self._redactor.begin_use(token)
        return self._redactor

    def __exit__(self, *_: object) -> None:
        for token in self._tokens:
            self._redactor.end_use(token)


def _forms(token: str) -> _Forms:
    """Return the forms of a token."""
    content = token.encode()
    forms = [token, content.hex()]
    for preceding in range(3):
        # The characters of base64 that the token alone decides, after so many bytes and before any.
        first, end = -(-8 * preceding // 6), 8 * (preceding + len(content)) // 6
        code = b2a_base64(bytes(preceding) + content + bytes(2)).decode()[first:end]
        forms += [code, code.replace("+", "-").replace("/", "_")]
    parts = set()
    for form in map(_decoded, forms):
        # Of a token that is encoded itself, less may be left.
        if len(form) >= _MIN_TOKEN_LENGTH:
            start = min(_MAX_CODE_LENGTH, len(form) - _MIN_TOKEN_LENGTH)
            parts.add((form[:start], form[start:]))
    return tuple(parts)


def _decoded(text: str) -> str:
    """Return a text in lower case without what is encoded or hidden in it.

    In `_offsets` it has its places in the text, so each of its characters stands for one match of
    `_ENCODED`, or one other character.
    """
    plain = text.isascii() and text.isprintable()
    if not plain or "%" in text or "&" in text or "\\" in text:
        # The only letter of which lower case makes two.
        text = re.sub(_ENCODED, _decoded_character, text).replace("\u0130", "i")
    return text.lower()


def _decoded_character(match: re.Match[str]) -> str:
    if match.lastindex is None:
        return "&" if match[0][0] == "&" else ""
    code = int(match[match.lastindex], 10 if match.lastgroup else 16)
    # A token has none of the others, nor, once it is decoded, a backslash.
    return chr(code) if ord(" ") <= code <= ord("~") and code != ord("\\") else ""


def _replaced(text: str, decoded: str, forms: list[tuple[str, str]]) -> str:
    """Return `text` without what its decoded form has of these forms of tokens."""
    offsets = _offsets(text)
    encoded = re.compile(_ENCODED)
    places: list[tuple[int, int]] = []
    for start, tail in forms:
        found = decoded.find(tail)
        while found >= 0:
            begin = _begin(start, found, text, decoded, offsets)
            if begin is None:
                found = decoded.find(tail, found + 1)
                continue
            end = found + len(tail)
            match = encoded.match(text, offsets[end - 1])
            places.append((begin, match.end() if match else offsets[end - 1] + 1))
            found = decoded.find(tail, end)
    pieces, end = [], 0
    for begin, after in sorted(places):
        if begin >= end:
            pieces += [text[end:begin], REDACTED]
        end = max(end, after)
    return "".join([*pieces, text[end:]])


def _begin(start: str, found: int, text: str, decoded: str, offsets: "array[int]") -> int | None:
    """Return where in `text` a form begins whose tail was found; None if its start is not there.

    What is missing of the start in the decoded text was read as the end of a code before it.
    """
    begin = None
    for missing in range(len(start), -1, -1):
        first = found - len(start) + missing
        if first < 0 or not decoded.startswith(start[missing:], first):
            break
        end = offsets[first]
        if text[max(end - missing, 0) : end].lower() == start[:missing]:
            begin = end - missing
    return begin


def _offsets(text: str) -> "array[int]":
    """Return where in `text` each character of its decoded form begins."""
    offsets = array("L")
    end = 0
    for match in re.finditer(_ENCODED, text):
        offsets.extend(range(end, match.start()))
        if _decoded_character(match):
            offsets.append(match.start())
        end = match.end()
    offsets.extend(range(end, len(text)))
    return offsets
