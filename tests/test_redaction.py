"""Tokens are redacted in text, whichever caller uses them."""

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailuo_tasks_mcp.redaction import Redactor

TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)
HIDDEN = st.sampled_from(["\u200b", "\ufe0f", "\U000e0041", "\x00", "\n", "\u3164", "\ud800", ""])


@pytest.mark.parametrize(
    ("text", "redacted"),
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
def test_a_token_is_redacted_however_it_is_disguised(text: str, redacted: str) -> None:
    assert Redactor("hush-hush").redact(text) == redacted


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
def test_a_token_that_begins_with_another_is_redacted_as_one(tokens: tuple[str, ...]) -> None:
    assert Redactor(*tokens).redact("of hush-hush-more and hush-hush") == "of [token] and [token]"


@pytest.mark.parametrize("before", ["", "a", "ab", "Bearer ", "Basic x:", "Authorization: Bearer "])
@pytest.mark.parametrize("after", ["", "\n", "=="])
@pytest.mark.parametrize("code", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("token", ["hush-hush", "~~~???>>>", "0123456789abcdef0123456789abcdef"])
def test_a_token_is_redacted_in_base64_of_any_text_that_holds_it(
    token: str, code: Callable[[bytes], bytes], after: str, before: str
) -> None:
    encoded = code((before + token + after).encode()).decode()
    # The characters that the token alone decides; those beside them hold a few bits of it.
    first, end = -(-8 * len(before) // 6), 8 * len(before + token) // 6
    redacted = f"{encoded[:first]}[token]{encoded[end:]}"
    redactor = Redactor(token)

    assert redactor.redact(encoded) == redacted
    assert redactor.redact(f"say {encoded}.") == f"say {redacted}."
    assert redactor.redact(quote(encoded, safe="")) == quote(redacted, safe="[]")
    assert "".join(redactor.redact("\r\n".join(encoded)).split("\r\n")) == redacted


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
def test_a_token_that_reads_as_the_end_of_a_code_is_redacted(before: str) -> None:
    token = "0123456789abcdef0123456789abcdef"

    assert Redactor(token).redact(f"{before}{token}!") == f"{before}[token]!"


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
)
def test_a_token_of_any_characters_is_redacted_in_every_form(
    token: str, form: Callable[[str], str], before: str, after: str
) -> None:
    # One that is encoded itself can be decoded to less than a token.
    token = token.replace("%", "+").replace("&", "+").replace("\\", "+")
    written = form(token)

    redacted = Redactor(token).redact(f"{before}.{written}{after}")

    assert "[token]" in redacted
    assert token.lower() not in html.unescape(redacted).lower()
    assert redacted.startswith(f"{before}.") or before.endswith(("%", "&", "\\"))
    assert redacted.endswith(after)


ESCAPES = st.text(st.sampled_from("%&#;ux0145amp"), max_size=7)


@given(before=ESCAPES, after=st.text(st.sampled_from("#;ux0145amp\\")), text=ESCAPES)
def test_a_token_with_escapes_of_its_own_is_redacted(before: str, after: str, text: str) -> None:
    token = f"{before}hush-hush-hush-hush{after}"

    assert "ush-hush" not in Redactor(token).redact(text + token + text)


@given(token=TOKENS, hidden=st.lists(HIDDEN, min_size=60, max_size=60))
def test_a_token_is_redacted_with_hidden_characters_anywhere(token: str, hidden: list[str]) -> None:
    token = token.replace("%", "+").replace("&", "+").replace("\\", "+")
    text = "".join(char + between for char, between in zip(token, hidden, strict=False))

    assert Redactor(token).redact(f"of {text}").startswith("of [token]")


@given(st.text() | st.text(st.sampled_from("hus-%&#;\\x012u6875\u200b")))
def test_a_text_without_the_token_is_unchanged(text: str) -> None:
    redacted = Redactor("hush-hush").redact(text)

    assert redacted == text or "[token]" in redacted
    assert Redactor("hush-hush").redact(redacted) == redacted
    assert Redactor("never-in-it").redact(text) == text


@pytest.mark.parametrize(
    "text", ["%25" * 300_000, "&" + "amp;" * 250_000, "\\" * 10**6, "h\u200b" * 500_000]
)
def test_a_long_text_of_nothing_but_escapes_is_read_once(text: str) -> None:
    # Read again from each of its characters, it would take hours.
    assert Redactor("hush-hush").redact(text) == text


def test_a_token_that_decodes_to_a_short_one_is_redacted_as_it_is_and_encoded() -> None:
    redactor = Redactor("%41%42%43")

    assert redactor.redact("abc %41%42%43 ABC") == "abc [token] ABC"
    assert redactor.redact(b64encode(b"%41%42%43").decode()) == "[token]"
