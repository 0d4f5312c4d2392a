"""The characters that show nothing, and where writing cannot do without them.

Such a character can carry a message that a model reads and no person sees.
"""

import re
import unicodedata

HIDDEN = (
    # Default_Ignorable_Code_Point of Unicode 14.0 (DerivedCoreProperties.txt), which reserves room
    # for later ones: joiners, variation selectors, fillers, bidirectional overrides, tags.
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # The general categories Cc control, Zl and Zp line breaks, Cs lone surrogates, Co private use,
    # and what is left of Cf format but Prepended_Concatenation_Mark (U+0600 and its like), which
    # shows. Not Cn, unassigned: to an older table a new emoji is that.
    r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\uf8ff\U000f0000-\U0010ffff"
    r"\ufff9-\ufffb\U00013430-\U0001343f"
    # Blanks and stand-ins by name, of neither table: U+2800 braille pattern blank, U+FFFC object
    # replacement, U+13441 and U+13442 Egyptian blanks, U+16FE4 Khitan filler, U+1D159 null note.
    r"\u2800\ufffc\U00013441\U00013442\U00016fe4\U0001d159"
)
"""The characters that show nothing, or hide or reorder what is shown, for a class of `re`."""

# Patterns are left to the cache of `re`: compiling these takes 3 ms, which no start needs to pay.
_HIDDEN = f"[{HIDDEN}]"

# Extended_Pictographic of Unicode 14.0 (emoji-data.txt), which reserves room for later emoji.
_EMOJI = (
    r"[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u2388"
    r"\u23cf\u23e9-\u23f3\u23f8-\u23fa\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe"
    r"\u2600-\u2605\u2607-\u2612\u2614-\u2685\u2690-\u2705\u2708-\u2712\u2714\u2716\u271d"
    r"\u2721\u2728\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763-\u2767"
    r"\u2795-\u2797\u27a1\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030"
    r"\u303d\u3297\u3299\U0001f000-\U0001f0ff\U0001f10d-\U0001f10f\U0001f12f"
    r"\U0001f16c-\U0001f171\U0001f17e\U0001f17f\U0001f18e\U0001f191-\U0001f19a"
    r"\U0001f1ad-\U0001f1e5\U0001f201-\U0001f20f\U0001f21a\U0001f22f\U0001f232-\U0001f23a"
    r"\U0001f23c-\U0001f23f\U0001f249-\U0001f3fa\U0001f400-\U0001f53d\U0001f546-\U0001f64f"
    r"\U0001f680-\U0001f6ff\U0001f774-\U0001f77f\U0001f7d5-\U0001f7ff\U0001f80c-\U0001f80f"
    r"\U0001f848-\U0001f84f\U0001f85a-\U0001f85f\U0001f888-\U0001f88f\U0001f8ae-\U0001f8ff"
    r"\U0001f90c-\U0001f93a\U0001f93c-\U0001f945\U0001f947-\U0001faff"
    r"\U0001fc00-\U0001fffd]"
)
# The blocks of the scripts that are written with joiners: Arabic to Malayalam and Sinhala, Khmer,
# Balinese to Sundanese, Phags-pa, Devanagari Extended, Javanese, and on the supplementary plane
# Kharoshthi, Manichaean, Rohingya, Sogdian, Brahmi and its descendants, Adlam.
_JOINING = (
    r"[\u0620-\u0dff\u1000-\u109f\u1780-\u17b3\u17b6-\u17dd\u1b00-\u1bbf\ua840-\ua87f\ua8e0-\ua8ff"
    r"\ua980-\ua9df\U00010a00-\U00010a5f\U00010ac0-\U00010aff\U00010b80-\U00010baf"
    r"\U00010d00-\U00010d3f\U00010f30-\U00010fdf\U00011000-\U00011dff\U0001e900-\U0001e95f]"
)
# What is written with hidden characters, and else each run of these alone.
_WRITTEN_WITH_HIDDEN = rf"""(?x)
(?P<written>
    # The flags of England, Scotland and Wales, and keycaps.
    \U0001f3f4 \U000e0067\U000e0062 (?:\U000e0065\U000e006e\U000e0067
        | \U000e0073\U000e0063\U000e0074 | \U000e0077\U000e006c\U000e0073) \U000e007f
    | [0-9\#*] \ufe0f\u20e3
    | {_EMOJI} [\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]?
        (?: \u200d {_EMOJI} [\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]? )*
    # A Mongolian letter in one of its forms; the vowel separator stands before a and e.
    | [\u1820-\u1878\u1880-\u18aa] [\u180b-\u180d\u180f]?
        (?: [\u200c\u200d] | \u180e (?=[\u1820\u1821]) )?
)
| (?P<joining> {_JOINING} ) [\u200c\u200d]
| [{HIDDEN}]+
"""


def holds_hidden(text: str) -> bool:
    """Return whether `text` holds a character of `HIDDEN`, wherever it stands."""
    if text.isascii() and text.isprintable():
        return False
    return re.search(_HIDDEN, text) is not None


def hides(text: str) -> bool:
    """Return whether `without_hidden` would change `text`; known at the first place that shows it.

    So a long text of nothing else costs no more than a short one.
    """
    return holds_hidden(text) and any(
        _shown(match) != match[0] for match in re.finditer(_WRITTEN_WITH_HIDDEN, text)
    )


def without_hidden(text: str) -> str:
    """Return `text` without the characters of `HIDDEN`, except where the writing needs them.

    A joiner stays between emoji and after a letter of a script with joiners, a variation selector
    after an emoji or a Mongolian letter, tags in the three flags that are made of them.
    """
    return re.sub(_WRITTEN_WITH_HIDDEN, _shown, text) if holds_hidden(text) else text


def _shown(match: re.Match[str]) -> str:
    """Return what stays of one match; a blank that has a width shows as a space."""
    letter = match["joining"]
    if letter is not None:
        return match[0] if unicodedata.category(letter)[0] in "LM" else letter
    return match["written"] or (" " if "\u2800" in match[0] else "")
