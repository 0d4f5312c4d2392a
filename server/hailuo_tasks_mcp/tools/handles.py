"""The ids of MCP tasks, which hold all that the wait needs, so that nothing is stored.

They are no secret and give no right: whatever is in one, a caller can only have it looked up with
their own token. So they are not signed, and what they hold is checked as arguments are.
"""

import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from hailuo_tasks_mcp.tasks.next_steps import RETRIEVE_TASK, RETRIEVE_TASKS_BATCH

# Some clients want no longer one, and it travels in a header.
MAX_HANDLE_LENGTH = 128
NONCE_BYTES = 8

# By their places here; a new one goes to the end, because handles outlive a version.
_TOOLS = (RETRIEVE_TASK, RETRIEVE_TASKS_BATCH)
_UUIDS, _TEXTS = 1, 2
# What differs comes first, because hosts show people the beginning of an id: the nonce, then the
# form of the ids, the tool, and when the wait began.
_HEAD = struct.Struct(f">{NONCE_BYTES}sBBI")
_UUID_BYTES = 16
_ALPHABET = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_HANDLE_LENGTH}}}")


class NotAHandleError(ValueError):
    """A text is none of the handles that this server gives out."""


class Handle(NamedTuple):
    """What the id of an MCP task holds.

    Attributes:
        tool: the name of the tool that was called.
        task_ids: the ids that it looks up.
        started_at: when the wait began, in Unix seconds.
        nonce: makes it another than all others, and hard to guess.

    """

    tool: str
    task_ids: Sequence[str]
    started_at: int
    nonce: bytes


def encode(handle: Handle) -> str:
    """Return a handle as the id of an MCP task; one that is too long is no id."""
    ids, form = _uuid_bytes(handle.task_ids), _UUIDS
    if ids is None:
        ids, form = " ".join(handle.task_ids).encode(), _TEXTS
    head = _HEAD.pack(handle.nonce, form, _TOOLS.index(handle.tool), handle.started_at)
    return urlsafe_b64encode(head + ids).decode().rstrip("=")


def decode(text: str) -> Handle:
    """Return what the id of an MCP task holds; whether that makes sense is left to the caller.

    Raises:
        NotAHandleError: it is not what `encode` returns.

    """
    if not _ALPHABET.fullmatch(text):
        raise NotAHandleError
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        nonce, form, tool, started_at = _HEAD.unpack_from(data)
        handle = Handle(_TOOLS[tool], _read_ids(form, data[_HEAD.size :]), started_at, nonce)
    except (ValueError, IndexError, struct.error):
        raise NotAHandleError from None
    # Not where the last character has bits that are no part of the data.
    if encode(handle) != text:
        raise NotAHandleError
    return handle


def _uuid_bytes(task_ids: Sequence[str]) -> bytes | None:
    """Return ids in the fewest bytes, if all of them are UUIDs as they are usually written."""
    try:
        uuids = [UUID(task_id) for task_id in task_ids]
    except ValueError:
        return None
    if [str(uuid) for uuid in uuids] != list(task_ids):
        return None
    return b"".join(uuid.bytes for uuid in uuids)


def _read_ids(form: int, data: bytes) -> Sequence[str]:
    if form == _TEXTS:
        return data.decode("ascii").split(" ")
    if form != _UUIDS:
        raise NotAHandleError
    places = range(0, len(data), _UUID_BYTES)
    return [str(UUID(bytes=data[place : place + _UUID_BYTES])) for place in places]
