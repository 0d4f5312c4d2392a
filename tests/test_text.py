"""Foreign text made safe to show."""

import pytest

from hailuo_tasks_mcp.text import clean_text, identifier, usable_url


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("  one\r\n\ttwo\u2028three ", "one two three"),
        ("a\x00b\x1b[31mc\x7f", "ab[31mc"),
        ("pay \u202eelbisivni\u2066 \u200btext\ufeff", "pay elbisivni text"),
        ("tag\U000e0041\U000e0042", "tag"),
        ("half \ud800 pair", "half pair"),
        ("\u200b\u200b", ""),
        ("\u200b" * 5000, ""),
        (" " * 5000 + "late", "late"),
        ("一只猫在海边", "一只猫在海边"),
        ("می‌خواهم", "می‌خواهم"),
        ("👨‍👩‍👧 \U0001fae8", "👨‍👩‍👧 \U0001fae8"),
    ],
)
def test_unsafe_characters_are_removed(text: str, cleaned: str) -> None:
    assert clean_text(text, 100) == cleaned


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("0123456789", "0123456789"),
        ("0123456789a", "012345678…"),
        ("0123 5678 abc", "0123 5678…"),
        ("01234567 abc", "01234567…"),
        ("a" + "\u200b" * 500 + "b", "a…"),
        ("x" * 10_000_000, "xxxxxxxxx…"),
    ],
)
def test_text_that_is_too_long_is_cut_with_an_ellipsis(text: str, cut: str) -> None:
    assert clean_text(text, 10) == cut


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.test/a.mp4",
        "http://cdn.test:8080/a.mp4?sig=x%20y&z=1#t",
        "HTTPS://cdn.test/a.mp4",
        "https://cdn.test/视频.mp4",
        "https://cdn.test/❤️.mp4",
        "https://cdn.test/👨‍👩‍👧.mp4",
        "https://cdn.test/می‌خواهم.mp4",
        "https://cdn.test/" + "a" * 4079,
    ],
)
def test_a_url_that_can_be_opened_is_passed_on_unchanged(url: str) -> None:
    assert usable_url(f" {url}\n") == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "cdn.test/a.mp4",
        "//cdn.test/a.mp4",
        "ftp://cdn.test/a.mp4",
        "javascript:alert(1)",
        "data:video/mp4;base64,AAAA",
        "https://",
        "https:///a.mp4",
        "https://[broken/a.mp4",
        "https://cdn.test/a b.mp4",
        "https://cdn.test/a\u202e4pm.exe",
        "https://cdn.test/a\nb",
        "https://cdn.test/\ud800",
        "https://cdn.test/" + "a" * 4080,
    ],
)
def test_a_url_that_cannot_be_opened_is_none(url: str | None) -> None:
    assert usable_url(url) is None


@pytest.mark.parametrize("text", ["used_up", "1026", "2efa9340-b21b-4e26:x.y", "a" * 64])
def test_a_plain_identifier_is_accepted(text: str) -> None:
    assert identifier(text) == text


@pytest.mark.parametrize("text", [None, "", "a b", "a\n", 'a"', "a" * 65, "ä"])
def test_anything_else_is_no_identifier(text: str | None) -> None:
    assert identifier(text) is None
