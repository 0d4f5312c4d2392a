"""What a file is, by its own bytes: MP4, MOV or WebM, and whether it is whole."""

import struct
from typing import BinaryIO, Literal

Kind = Literal["mp4", "mov", "webm"]
KINDS: tuple[Kind, ...] = ("mp4", "mov", "webm")

HEAD_BYTES = 64
"""How many bytes of the beginning tell what a file is."""

_QUICKTIME_BRAND = b"qt  "
# Brands of pictures and of sound alone, which are in the same container.
_OTHER_BRANDS = frozenset(
    {b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis", b"crx "}
    | {b"M4A ", b"M4B ", b"M4P "}
)
# With what QuickTime began before it had brands.
_QUICKTIME_BOXES = frozenset({b"moov", b"mdat", b"wide", b"pnot"})
_EBML = b"\x1a\x45\xdf\xa3"
_WEBM_DOCUMENT = b"\x42\x82\x84webm"
_SEGMENT = b"\x18\x53\x80\x67"

_BOX_HEAD = struct.Struct(">I4s")
_LARGE_SIZE = struct.Struct(">Q")
# No video of some seconds has as many; more are not walked through.
_MAX_BOXES = 10_000
_NEEDED_BOXES = frozenset({b"moov", b"mdat"})


def kind_of(head: bytes) -> Kind | None:
    """Return what a file is that begins so; None if it is no video of a known kind.

    Args:
        head: its first `HEAD_BYTES`, or all of it if it has fewer.

    """
    box = head[4:8]
    if box == b"ftyp" and len(head) >= 12:  # noqa: PLR2004 - where the brand ends
        brand = head[8:12]
        if brand == _QUICKTIME_BRAND:
            return "mov"
        return None if brand in _OTHER_BRANDS else "mp4"
    if box in _QUICKTIME_BOXES:
        return "mov"
    if head.startswith(_EBML) and _WEBM_DOCUMENT in head[:HEAD_BYTES]:
        return "webm"
    return None


def is_html(head: bytes) -> bool:
    """Return whether a file that begins so is a web page, or XML."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def is_whole(file: BinaryIO, kind: Kind, size: int) -> bool:
    """Return whether a file is all of a video, as far as it says how long it is.

    Args:
        file: the file, opened for reading; its position changes.
        kind: what it is.
        size: how many bytes it has.

    """
    return _is_whole_webm(file, size) if kind == "webm" else _has_whole_boxes(file, size)


def _has_whole_boxes(file: BinaryIO, size: int) -> bool:
    """Return whether the boxes of an MP4 or MOV end within it, those that play it among them."""
    position = 0
    found: set[bytes] = set()
    for _ in range(_MAX_BOXES):
        file.seek(position)
        head = file.read(_BOX_HEAD.size)
        if len(head) < _BOX_HEAD.size:
            # Some bytes behind the last box do no harm.
            return found >= _NEEDED_BOXES
        length, kind = _BOX_HEAD.unpack(head)
        least = _BOX_HEAD.size
        if length == 1:
            large = file.read(_LARGE_SIZE.size)
            if len(large) < _LARGE_SIZE.size:
                return False
            (length,) = _LARGE_SIZE.unpack(large)
            least += _LARGE_SIZE.size
        elif length == 0:
            # To the end of the file, so that nothing tells whether it is whole but the other boxes.
            length = size - position
        if length < least or length > size - position:
            # Or some bytes behind the last box, of which these are no box.
            return False
        found.add(kind)
        position += length
        if position == size:
            return found >= _NEEDED_BOXES
    return False


def _is_whole_webm(file: BinaryIO, size: int) -> bool:
    """Return whether the one segment of a WebM ends within it; it may say nothing of its end."""
    file.seek(0)
    head = file.read(1024)
    end_of_header = _element_end(head, len(_EBML))
    if end_of_header is None or head[end_of_header : end_of_header + 4] != _SEGMENT:
        return False
    end = _element_end(head, end_of_header + len(_SEGMENT))
    if end is None:
        # Of unknown length, as a recording has it; there is something of it, at least.
        return size > end_of_header + 2 * len(_SEGMENT)
    return end <= size


def _element_end(data: bytes, place: int) -> int | None:
    """Return where an element of EBML ends whose length is at a place; None if it is unknown."""
    first = data[place] if place < len(data) else 0
    width = 9 - first.bit_length()
    if not first or place + width > len(data):
        return None
    length = int.from_bytes(data[place : place + width]) & ~(1 << (7 * width))
    is_unknown = length == (1 << (7 * width)) - 1
    return None if is_unknown else place + width + length
