"""Tokens are redacted in text, whichever caller uses them."""

import html
import json
import pickle
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from functools import cache
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailuo_tasks_mcp.redaction import Redactor

TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)
HIDDEN = st.sampled_from(["\u200b", "\ufe0f", "\U000e0041", "\x00", "\n", "\u3164", "\ud800", ""])

# Many are looked for by an index.
OTHERS_IN_USE = [0, 300]
with_few_and_many = pytest.mark.parametrize("others", OTHERS_IN_USE)


@cache
def redactor_of_others(others: int) -> Redactor:
    return Redactor(*(f"{number:03}~another~{number:03}" for number in range(others)))


def redacted(text: str, *tokens: str, others: int = 0) -> str:
    """Return `text` as it is while these tokens, and so many others, are in use."""
    with redactor_of_others(others).using(*tokens) as redactor:
        return redactor.redact(text)


@with_few_and_many
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("of hush-hush!", "of [token]!"),
        ("hush-hush hush-hush", "[token] [token]"),
        ("of hush\u200b-\x00hush", "of [token]"),
        ("line\nhush-hush\nline", "line\n[token]\nline"),
        ("一 hush-hush", "一 [token]"),
        ("hush", "hush"),
        ("hush\u200b", "hush\u200b"),
        ("of h\ufe0fu\U000e0100sh\u3164-\u034fhush\u200b!", "of [token]\u200b!"),
        ("of HUSH-Hush", "of [token]"),
        ("HU\u212aSH: İ hush-hush İ", "HU\u212aSH: İ [token] İ"),
        ("a=hush%2dhush&b", "a=[token]&b"),
        ("a=%68%75sh%2Dhus%68%20b", "a=[token]%20b"),
        ("%252525%2568ush-hush", "%252525[token]"),
        ("%E4%B8%80hush%E2%80%8B-hush%E4", "%E4%B8%80[token]%E4"),
        (r"\u0068ush\u200b-\\u0048ush\n", r"[token]\n"),
        (r"b'\x68ush-hush'", "b'[token]'"),
        ("&#104;ush&#x2D;&amp;#0104;ush;", "[token];"),
        ("at 687573682d68757368 and 687573682D68757368", "at [token] and [token]"),
        ("ush-hush rush-hush", "ush-hush rush-hush"),
        ("&#1201234hush-hush \\uffff&#xffffff;", "&#1201234[token] \\uffff&#xffffff;"),
        ("100% &amp; \\ hush % hush-", "100% &amp; \\ hush % hush-"),
    ],
)
def test_a_token_is_redacted_however_it_is_disguised(text: str, expected: str, others: int) -> None:
    assert redacted(text, "hush-hush", others=others) == expected


def test_a_short_token_is_not_redacted() -> None:
    assert Redactor("hush").redact("hush") == "hush"


def test_a_callers_token_is_redacted_as_long_as_a_call_uses_it() -> None:
    redactor = Redactor("the-servers-own")
    text = "the-servers-own first-caller second-caller"

    with redactor.using("first-caller"), redactor.using("second-caller"):
        with redactor.using("first-caller"):
            pass
        assert redactor.redact(text) == "[token] [token] [token]"

    assert redactor.redact(text) == "[token] first-caller second-caller"


@pytest.mark.parametrize(
    "tokens", [("hush-hush", "hush-hush-more"), ("hush-hush-more", "hush-hush")]
)
@with_few_and_many
def test_a_token_that_begins_with_another_is_redacted_as_one(
    tokens: tuple[str, ...], others: int
) -> None:
    text = "of hush-hush-more and hush-hush"

    assert redacted(text, *tokens, others=others) == "of [token] and [token]"


def test_a_scope_redacts_the_tokens_that_last_and_its_own_and_no_others() -> None:
    redactor = Redactor("the-servers-own")
    first, second = redactor.scope(), redactor.scope()
    text = "the-servers-own first-caller second-caller"

    with first.using("first-caller", None), second.using("second-caller", "the-servers-own"):
        assert first.redact(text) == "[token] [token] second-caller"
        assert second.redact(text) == "[token] first-caller [token]"
        assert redactor.redact(text) == "[token] [token] [token]"

    for each in (redactor, first, second):
        assert each.redact(text) == "[token] first-caller second-caller"


@with_few_and_many
def test_a_token_is_in_use_until_the_last_call_that_uses_it_has_ended(others: int) -> None:
    redactor = Redactor(*(f"another-{number}" for number in range(others)))
    scopes = [redactor.scope() for _ in range(2)]
    with scopes[0].using("hush-hush", "same-end-hush-hush"):
        with scopes[0].using("hush-hush"), scopes[1].using("hush-hush"):
            pass
        assert scopes[0].redact("hush-hush") == redactor.redact("hush-hush") == "[token]"
        assert scopes[1].redact("hush-hush") == "hush-hush"
    with scopes[1].using("same-end-hush-hush"):
        assert redactor.redact("hush-hush same-end-hush-hush") == "hush-hush [token]"
    assert redactor.redact("hush-hush same-end-hush-hush") == "hush-hush same-end-hush-hush"


def test_no_token_is_kept_after_its_last_call() -> None:
    redactor = Redactor("the-servers-own")
    before = len(pickle.dumps(redactor))

    with redactor.scope().using(*(f"callers-token-{number}" for number in range(1_000))):
        assert b"callers-token-7" in pickle.dumps(redactor)

    assert len(pickle.dumps(redactor)) <= before


def test_of_many_tokens_only_those_are_looked_for_that_may_be_in_a_text() -> None:
    class CountedToken(str):
        __slots__ = ()
        looked_for = 0

        def __len__(self) -> int:
            # To sort those that may be there.
            CountedToken.looked_for += 1
            return super().__len__()

    redactor = Redactor(*(CountedToken(f"the-same-start-{number:04}") for number in range(2_000)))
    CountedToken.looked_for = 0

    assert redactor.redact("of the-same-start-0007!") == "of [token]!"
    assert CountedToken.looked_for == 1


@pytest.mark.parametrize("before", ["", "a", "ab", "Bearer ", "Basic x:", "Authorization: Bearer "])
@pytest.mark.parametrize("after", ["", "\n", "=="])
@pytest.mark.parametrize("code", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("token", ["hush-hush", "~~~???>>>", "0123456789abcdef0123456789abcdef"])
@with_few_and_many
def test_a_token_is_redacted_in_base64_of_any_text_that_holds_it(
    token: str, code: Callable[[bytes], bytes], after: str, before: str, others: int
) -> None:
    encoded = code((before + token + after).encode()).decode()
    # The characters that the token alone decides; those beside them hold a few bits of it.
    first, end = -(-8 * len(before) // 6), 8 * len(before + token) // 6
    expected = f"{encoded[:first]}[token]{encoded[end:]}"

    with redactor_of_others(others).using(token) as redactor:
        assert redactor.redact(encoded) == expected
        assert redactor.redact(f"say {encoded}.") == f"say {expected}."
        assert redactor.redact(quote(encoded, safe="")) == quote(expected, safe="[]")
        assert "".join(redactor.redact("\r\n".join(encoded)).split("\r\n")) == expected


@pytest.mark.parametrize("text", ["hush", "HUSH", "aHVzaA==", "%68ush"])
def test_a_short_token_is_redacted_in_no_form(text: str) -> None:
    assert Redactor("hush").redact(text) == text


def percent_encoded(token: str) -> str:
    return "".join(f"%{ord(char):02x}" for char in token)


def character_references(token: str) -> str:
    return "".join(f"&#{ord(char)};" for char in token)


@pytest.mark.parametrize(
    "before", ["%", "%25", "\\x", "\\u", "\\\\u", "&#x", "&#", "&amp;#", "&#12"]
)
@with_few_and_many
def test_a_token_that_reads_as_the_end_of_a_code_is_redacted(before: str, others: int) -> None:
    token = "0123456789abcdef0123456789abcdef"

    assert redacted(f"{before}{token}!", token, others=others) == f"{before}[token]!"


FORMS: list[Callable[[str], str]] = [
    str,
    str.upper,
    str.lower,
    quote,
    percent_encoded,
    lambda token: quote(percent_encoded(token)),
    lambda token: json.dumps(json.dumps(token)),
    repr,
    character_references,
    lambda token: token.encode().hex(),
]


@given(
    token=TOKENS,
    form=st.sampled_from(FORMS),
    before=st.text(st.sampled_from("ab %&\\\u200b一")),
    after=st.text(st.sampled_from(" 一")),
    others=st.sampled_from(OTHERS_IN_USE),
)
def test_a_token_of_any_characters_is_redacted_in_every_form(
    token: str, form: Callable[[str], str], before: str, after: str, others: int
) -> None:
    # One that is encoded itself can be decoded to less than a token.
    token = token.replace("%", "+").replace("&", "+").replace("\\", "+")
    written = form(token)

    shown = redacted(f"{before}.{written}{after}", token, others=others)

    assert "[token]" in shown
    assert token.lower() not in html.unescape(shown).lower()
    assert shown.startswith(f"{before}.") or before.endswith(("%", "&", "\\"))
    assert shown.endswith(after)


ESCAPES = st.text(st.sampled_from("%&#;ux0145amp"), max_size=7)


@given(
    before=ESCAPES,
    after=st.text(st.sampled_from("#;ux0145amp\\")),
    text=ESCAPES,
    others=st.sampled_from(OTHERS_IN_USE),
)
def test_a_token_with_escapes_of_its_own_is_redacted(
    before: str, after: str, text: str, others: int
) -> None:
    token = f"{before}hush-hush-hush-hush{after}"

    assert "ush-hush" not in redacted(text + token + text, token, others=others)


@given(
    token=TOKENS,
    hidden=st.lists(HIDDEN, min_size=60, max_size=60),
    others=st.sampled_from(OTHERS_IN_USE),
)
def test_a_token_is_redacted_with_hidden_characters_anywhere(
    token: str, hidden: list[str], others: int
) -> None:
    token = token.replace("%", "+").replace("&", "+").replace("\\", "+")
    text = "".join(char + between for char, between in zip(token, hidden, strict=False))

    assert redacted(f"of {text}", token, others=others).startswith("of [token]")


@given(
    text=st.text() | st.text(st.sampled_from("hus-%&#;\\x012u6875\u200b")),
    others=st.sampled_from(OTHERS_IN_USE),
)
def test_a_text_without_the_token_is_unchanged(text: str, others: int) -> None:
    shown = redacted(text, "hush-hush", others=others)

    assert shown == text or "[token]" in shown
    assert redacted(shown, "hush-hush", others=others) == shown
    assert redacted(text, "never-in-it", others=others) == text


@pytest.mark.parametrize(
    "text", ["%25" * 300_000, "&" + "amp;" * 250_000, "\\" * 10**6, "h\u200b" * 500_000]
)
def test_a_long_text_of_nothing_but_escapes_is_read_once(text: str) -> None:
    # Read again from each of its characters, it would take hours.
    assert Redactor("hush-hush").redact(text) == text


@with_few_and_many
def test_a_token_that_decodes_to_a_short_one_is_redacted_as_it_is_and_encoded(others: int) -> None:
    with redactor_of_others(others).using("%41%42%43") as redactor:
        assert redactor.redact("abc %41%42%43 ABC") == "abc [token] ABC"
        assert redactor.redact(b64encode(b"%41%42%43").decode()) == "[token]"
