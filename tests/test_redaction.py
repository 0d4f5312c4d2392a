"""Tokens are redacted in text, whichever caller uses them."""

import pytest

from hailuo_tasks_mcp.redaction import Redactor


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


def test_json_is_redacted_at_any_depth() -> None:
    value = {"a": ["of hush-hush", {"b": "hush-hush"}], "c": 7, "d": None}

    assert Redactor("hush-hush").redact_json(value) == {
        "a": ["of [token]", {"b": "[token]"}],
        "c": 7,
        "d": None,
    }


@pytest.mark.parametrize(
    "tokens", [("hush-hush", "hush-hush-more"), ("hush-hush-more", "hush-hush")]
)
def test_a_token_that_begins_with_another_is_redacted_as_one(tokens: tuple[str, ...]) -> None:
    assert Redactor(*tokens).redact("of hush-hush-more and hush-hush") == "of [token] and [token]"
