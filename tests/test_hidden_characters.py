"""What shows nothing is taken out, and what scripts and emoji are written with is kept."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailuo_tasks_mcp.hidden_characters import holds_hidden, without_hidden
from hailuo_tasks_mcp.text import clean_text, usable_url

# Prepended_Concatenation_Mark: of the category Cf, but each shows.
VISIBLE_FORMATS = {
    *map(chr, [*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD])
}
# What scripts and emoji are written with: joiners, selectors, separators, tags.
CONTEXTUAL = [
    *"\u200c\u200d\ufe0e\ufe0f\u180b\u180c\u180d\u180e\u180f\u20e3\U0001f3fb",
    "\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
]
BASES = [*"a1#*❤©👨👩🏴🇫क्ر۵،ᠠᠨខ្ 一\u2800", "\u200b", "\U000e0100", "\u3164", "\u034f"]
TEXTS = st.text() | st.lists(st.sampled_from(CONTEXTUAL + BASES)).map("".join)

ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
WALES = "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"


@pytest.mark.parametrize(
    "text",
    [
        "شخصیت‌ها می‌خواهند کنار دریا راه بروند",  # Persian: U+200C between parts of a word
        "٣ قطط في سنة ١٤٤٥ ه\u200d، آية \u06dd",  # Arabic: U+200D after the last letter
        "क्‍ष और क्‌ष, एक बिल्ली समुद्र तट पर",  # Hindi: half form, visible virama
        "র‍্যাব ও উদ্‌যাপন",  # Bengali
        "ශ්‍රී ලංකාව",  # Sinhala
        "ന്‍ കണ്‍മണി",  # Malayalam
        "ಕರ‍್ನಾಟಕ",  # Kannada
        "ឆ្មា\u200cដើរនៅឆ្នេរ",  # Khmer
        "ᠮᠣᠩᠭ\u180bᠣᠯ ᠬᠠᠷ\u180eᠠ ᠪᠠ\u200d",  # Mongolian
        "𞤀\u200d𞤣𞤤𞤢𞤥",  # Adlam
        "👨‍👩‍👧‍👦 👩🏽‍🚀 🏳️‍🌈 🏴‍☠️ 🧔🏻‍♂️ 👁️‍🗨️ ❤️‍🔥 🙂‍↔️",
        f"🇫🇷 🇯🇵 {ENGLAND} {SCOTLAND} {WALES}",
        "1️⃣ 0️⃣ #️⃣ *️⃣ ☺️ ☺︎ ©️ ㊗️ ▶️",
        "\U0001fae8 \U0001faea \U0001fabf",  # of later versions than the table
        "Ünïcödé 한국어 日本語 ไทย தமிழ்",
    ],
)
def test_scripts_and_emoji_are_kept_as_they_are_written(text: str) -> None:
    assert clean_text(text, 200) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u200db\u200cc", "abc"),
        ("一\u200d只\ufe0f猫\U000e0100", "一只猫"),
        ("می\u200c\u200cخ\u200d\u200c", "می\u200cخ\u200d"),
        ("می\u200b\u200cخ", "میخ"),
        ("۵\u200cسال،\u200d", "۵سال،"),
        ("👨\u200d \u200d👩", "👨 👩"),
        ("👨\u200d\u200d👩", "👨👩"),
        ("👨\u200dx 👨🏽\u200d", "👨x 👨🏽"),
        ("❤\ufe0f\ufe0f\ufe0e", "❤\ufe0f"),
        ("→\ufe0f 1\ufe0f 12\ufe0f\u20e3", "→ 1 12\ufe0f\u20e3"),
        ("🏴\U000e0075\U000e0073\U000e007f", "🏴"),
        (ENGLAND + "\U000e0041\U000e0042", ENGLAND),
        (ENGLAND[:-1], "🏴"),
        ("a\u180bᠠ\u180b\u180cb\u180e", "aᠠ\u180bb"),
        ("ᠠ\u180eb", "ᠠb"),
        ("h\u034fa\u115f\u1160n\u3164g\uffa0ul", "hangul"),
        ("⠓⠊\u2800⠽⠕⠥", "⠓⠊ ⠽⠕⠥"),
        ("\u2800\ufffc\U00013441\U00016fe4\U0001d159", ""),
        ("an\u00aday\u2060\u2064b\ufff9c\ufffb", "anaybc"),
    ],
)
def test_what_shows_nothing_is_removed_where_nothing_needs_it(text: str, shown: str) -> None:
    assert clean_text(text, 200) == shown
    assert usable_url(f"https://cdn.test/{text}") is None


@pytest.mark.parametrize("limit", range(2, 9))
@pytest.mark.parametrize("text", ["👨‍👩‍👧 walk on", f"{ENGLAND}{WALES}", "1️⃣2️⃣3️⃣4️⃣"])
def test_a_cut_through_an_emoji_leaves_nothing_hidden(text: str, limit: int) -> None:
    cut = clean_text(text, limit)

    assert len(cut) <= limit
    assert without_hidden(cut) == cut
    assert re.search("[\u200d\U000e0000-\U000e007f](?=…)", cut.replace(ENGLAND, "")) is None


def test_every_character_that_python_knows_as_unsafe_is_hidden() -> None:
    unsafe = {
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    } - VISIBLE_FORMATS

    assert [hex(ord(char)) for char in unsafe if not holds_hidden(char)] == []
    assert not any(map(holds_hidden, VISIBLE_FORMATS))


def test_no_character_that_is_hidden_stays_alone() -> None:
    hidden = filter(holds_hidden, map(chr, range(sys.maxunicode + 1)))

    assert {without_hidden(f"x{char}x") for char in hidden} == {"xx", "x x"}


@pytest.mark.parametrize(
    "alphabet",
    [
        [chr(0xFE00 + n) for n in range(16)],
        [chr(0xE0100 + n) for n in range(240)],
        [chr(0xE0020 + n) for n in range(95)],
        ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"],
        ["\u3164", "\uffa0", "\u115f", "\u1160", "\u034f", "\u17b4", "\u180b", "\u180e"],
        ["\u2061", "\u2062", "\u2063", "\u2064", "\u206a", "\u00ad", "\ue000", "\U000f0000"],
    ],
)
@pytest.mark.parametrize("carrier", ["x", "一", "😀", "ر", "क", "ᠠ", "1"])
def test_a_hidden_message_does_not_survive(carrier: str, alphabet: list[str]) -> None:
    message = (alphabet * 40)[:40]

    # One character of it may be taken for a part of the writing.
    assert len(without_hidden(carrier + "".join(message))) <= len(carrier) + 2


@given(TEXTS)
def test_hidden_characters_stay_only_after_what_they_belong_to(text: str) -> None:
    shown = without_hidden(text)
    for flag in (ENGLAND, SCOTLAND, WALES):
        shown = shown.replace(flag, "🏴")
    for place in (match.start() for match in re.finditer(r"[^ -~]", shown)):
        char, before = shown[place], shown[place - 1 : place]
        if not holds_hidden(char):
            continue
        name = unicodedata.name(before, "")
        is_emoji = unicodedata.category(before) in {"So", "Sm", "Po", "Sk", "Cn", "Pd"}
        assert {
            "\u200c": unicodedata.category(before)[0] in "LM" and before > "\u0600",
            "\u200d": before > "\u0600" or is_emoji or before == "\ufe0f",
            "\ufe0e": is_emoji,
            "\ufe0f": is_emoji or shown[place + 1 : place + 2] == "\u20e3",
            "\u180e": name.startswith("MONGOLIAN"),
        }.get(char, name.startswith("MONGOLIAN LETTER") and "\u180b" <= char <= "\u180f")
        assert before not in {"\u200c", "\u200d"}


@given(TEXTS)
def test_what_shows_stays_and_nothing_more_is_removed_a_second_time(text: str) -> None:
    shown = without_hidden(text)

    assert without_hidden(shown) == shown
    assert [char for char in shown if not holds_hidden(char) and char != " "] == [
        char for char in text if not holds_hidden(char) and char != " "
    ]


@given(TEXTS, st.integers(1, 40))
def test_cleaned_text_is_clean_when_cleaned_again(text: str, limit: int) -> None:
    cleaned = clean_text(text, limit)

    assert len(cleaned) <= limit
    assert clean_text(cleaned, limit) == cleaned
