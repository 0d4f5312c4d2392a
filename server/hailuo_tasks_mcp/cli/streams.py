"""The standard streams of every command: closed ones, their encoding, and output that fails."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}


def open_closed_streams() -> list[str]:
    """Put the null device in place of each standard stream that is closed; return their names.

    Otherwise the next file or socket that is opened would get its descriptor, and what is printed
    or logged.
    """
    closed = [name for name in _MODES if getattr(sys, name) is None]
    # The lowest descriptor that is free is opened.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < len(_MODES):
        pass
    os.close(descriptor)
    for name in closed:
        number = list(_MODES).index(name)
        setattr(sys, name, os.fdopen(number, _MODES[name], encoding="utf-8", closefd=False))
    return closed


def take_any_text() -> None:
    """Make stdout and stderr take any text, line by line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Prompts are in any script, which neither a terminal nor, on Windows, a pipe need have.
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace", line_buffering=True)


@contextmanager
def output_errors_told() -> Iterator[None]:
    """End the block without a traceback when what it prints cannot be written.

    Quietly when the reader is gone, as `head` may be; otherwise with a line on stderr, if it can
    still be written.
    """
    try:
        try:
            yield
        finally:
            # Here, because at the interpreter's end it would be too late to tell of it.
            sys.stdout.flush()
            sys.stderr.flush()
    except* OSError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        with suppress(OSError):
            if not isinstance(error, BrokenPipeError):
                print(f"hailuo-tasks-mcp: {error}", file=sys.stderr, flush=True)
        # What is still in their buffers goes there, or it would fail again at the end.
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(null, stream.fileno())
