"""The task ids that a command is given: as arguments, in a file, or on stdin."""

import codecs
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from hailuo_tasks_mcp.errors import InvalidArgumentsError

STDIN = "-"
# A `#` within a word is none: it may be part of a URL.
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)
_ID = re.compile(r"[^\s,;]+")
MAX_IDS = 10_000
# Twice what so many take in UTF-16, so that there is room for comments.
MAX_BYTES = 8_000_000


def read_ids(arguments: Sequence[str], file: str | None) -> list[str]:
    """Return the ids that are given, those of a file after those of the arguments.

    Args:
        arguments: ids, or `-` alone for those on stdin.
        file: the path of a file with ids, `-` for stdin; None if there is none.

    Raises:
        InvalidArgumentsError: there are none, more than `MAX_IDS`, or they cannot be read.

    """
    ids = list(islice(arguments, MAX_IDS + 1))
    if ids == [STDIN] and file is None:
        ids, file = [], STDIN
    if STDIN in ids:
        raise _refused(f"{STDIN} stands for the ids on stdin, and must be the only ID")
    if file is not None:
        ids += islice(_ids_in(_decoded(_contents(file))), MAX_IDS + 1 - len(ids))
    if len(ids) > MAX_IDS:
        raise _refused(f"at most {MAX_IDS} ids are taken at once")
    if not ids:
        source = "on stdin" if file == STDIN else f"in {file}"
        raise _refused("no task id is given" if file is None else f"there is no task id {source}")
    return ids


def _contents(file: str) -> bytes:
    try:
        if file == STDIN:
            # None where a daemon has closed it.
            contents = b"" if sys.stdin is None else sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                contents = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise _refused(f"{file}: {reason}") from None
    if len(contents) > MAX_BYTES:
        raise _refused(f"{file}: more than {MAX_BYTES // 1_000_000} MB are no list of ids")
    return contents


def _decoded(contents: bytes) -> str:
    """Return text in UTF-8, or in what PowerShell writes into a file."""
    wide = contents.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return contents.decode("utf-16" if wide else "utf-8-sig", "replace")


def _ids_in(text: str) -> Iterable[str]:
    """Yield the ids of a text, one or many in a line, without comments."""
    return (match[0] for match in _ID.finditer(_COMMENT.sub("", text)))


def _refused(problem: str) -> InvalidArgumentsError:
    return InvalidArgumentsError(
        f"Nothing was looked up: {problem}", usage="retrieve takes ids, --file PATH or -"
    )
