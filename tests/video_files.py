"""Videos as files: small ones of each kind, with content of which no two parts are alike."""

import random
import struct


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def mp4(size: int = 1_000, *, seed: int = 1, brand: bytes = b"isom") -> bytes:
    """Return an MP4 of so many bytes: its index, then as much data as there is room for."""
    head = box(b"ftyp", brand + bytes(4) + brand) + box(b"moov", bytes(92))
    data = random.Random(seed).randbytes(size - len(head) - 8)  # noqa: S311 - no secret
    return head + box(b"mdat", data)


def mov(size: int = 1_000) -> bytes:
    return mp4(size, brand=b"qt  ")


def webm(size: int = 1_000) -> bytes:
    """Return a WebM of so many bytes, whose one segment says how long it is."""
    header = b"\x1a\x45\xdf\xa3\x87" + b"\x42\x82\x84webm"
    left = size - len(header) - 12
    return header + b"\x18\x53\x80\x67" + (1 << 56 | left).to_bytes(8) + bytes(left)
