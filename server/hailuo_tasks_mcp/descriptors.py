"""Blocking reads and writes of file descriptors, for threads that do nothing else.

Not through `sys.stdin` and the like: a thread that blocks there holds a lock, for which the
interpreter's end would wait.
"""

import os
import select

STDIN, STDOUT, STDERR = range(3)
_CHUNK_BYTES = 1 << 16


def read_chunk(descriptor: int) -> bytes:
    """Return what can be read, or wait for it; nothing at the end of the file.

    Raises:
        OSError: it cannot be read.

    """
    while True:
        try:
            return os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            # Whoever shares the descriptor with us has made it non-blocking.
            select.select([descriptor], [], [])


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`, however long that takes.

    Raises:
        OSError: it cannot be written.

    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
