"""What a file is, by its own bytes, and whether it is whole."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailuo_tasks_mcp.downloads.signatures import HEAD_BYTES, KINDS, is_html, is_whole, kind_of
from video_files import box, mov, mp4, webm

FTYP, MOOV = box(b"ftyp", b"isom0000"), box(b"moov", bytes(20))
LARGE_MDAT = struct.pack(">I4sQ", 1, b"mdat", 26) + bytes(10)
TO_THE_END = struct.pack(">I4s", 0, b"mdat") + bytes(10)
OLD_MOV = box(b"wide") + box(b"mdat", bytes(9)) + MOOV
UNSIZED_WEBM = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm\x18\x53\x80\x67\x01" + b"\xff" * 7 + bytes(50)


def whole(content: bytes) -> bool:
    kind = kind_of(content[:HEAD_BYTES])
    assert kind
    return is_whole(io.BytesIO(content), kind, len(content))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (mp4(), "mp4"),
        (mov(), "mov"),
        (webm(), "webm"),
        (OLD_MOV, "mov"),
        (mp4(brand=b"M4A "), None),
        (mp4(brand=b"heic"), None),
        (b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska" + bytes(90), None),
        (b"RIFF0000AVI LIST", None),
        (b"", None),
        (b"\x00\x00\x00\x20ftyp", None),
        (b"GIF89a", None),
    ],
)
def test_a_kind_is_told_by_the_first_bytes(content: bytes, kind: str | None) -> None:
    assert kind_of(content[:HEAD_BYTES]) == kind


@pytest.mark.parametrize(
    "content",
    [
        *(mp4(), mov(), webm(), OLD_MOV, UNSIZED_WEBM, mp4() + b"\n", mp4() + bytes(100)),
        *(FTYP + MOOV + LARGE_MDAT, FTYP + MOOV + TO_THE_END, FTYP + box(b"mdat", b"1") + MOOV),
    ],
)
def test_a_whole_video_is_told_from_a_part(content: bytes) -> None:
    assert whole(content)


@pytest.mark.parametrize(
    "content",
    [
        *(mp4()[:-1], mp4()[:500], mov()[:70], webm()[:-1], webm()[:20], webm()[:14]),
        *(UNSIZED_WEBM[:20], webm().replace(b"\x18\x53", b"\x18\x54")),
        *(FTYP, FTYP + MOOV, FTYP + box(b"mdat", bytes(40)), FTYP + MOOV + LARGE_MDAT[:-1]),
        *(FTYP + MOOV + LARGE_MDAT[:12], FTYP + struct.pack(">I4s", 4, b"free") + MOOV),
        *(FTYP + MOOV + b"\x00\x00\x00", FTYP + MOOV + box(b"mdat") + b"what is this?"),
        FTYP + MOOV + box(b"free") * 20_000 + box(b"mdat", b"1"),
    ],
)
def test_a_part_of_a_video_is_no_whole_one(content: bytes) -> None:
    assert not whole(content)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(content: bytes) -> None:
    kind_of(content)
    for kind in KINDS:
        for begin in (b"", mp4()[:60], webm()[:20]):
            is_whole(io.BytesIO(begin + content), kind, len(begin + content))


@pytest.mark.parametrize("content", [b"<html>", b"\xef\xbb\xbf\r\n <!doctype html>", b"<?xml?>"])
def test_a_web_page_is_told_by_its_beginning(content: bytes) -> None:
    assert is_html(content)
    assert not is_html(mp4())
