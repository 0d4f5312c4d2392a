"""Tokens are taken out of text, whoever uses them."""

import pytest

from hailuo_tasks_mcp.redaction import Redactor


@pytest.mark.parametrize(
    ("text", "left"),
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
def test_a_secret_is_taken_out_however_it_is_disguised(text: str, left: str) -> None:
    assert Redactor("hush-hush").redact(text) == left


def test_a_secret_of_a_few_letters_is_left() -> None:
    assert Redactor("hush").redact("hush") == "hush"


def test_every_callers_token_is_taken_out_as_long_as_a_call_uses_it() -> None:
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
