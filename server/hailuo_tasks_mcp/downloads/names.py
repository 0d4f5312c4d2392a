"""The names of files, made of task ids, so that none leaves its folder or means something else."""

import hashlib
import re

PART_SUFFIX = ".part"
"""What ends the name of a file that is not complete yet."""

# What an id can be, checked again here: it becomes a part of a path.
_TASK_ID = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_.:-]{1,128}")
# Ids in any other form get a digest, so that no two of them share a name. Without capitals, because
# many file systems do not tell them from small letters.
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]*")
# It could be the second video of a task whose id is the rest.
_NUMBERED = re.compile(r".*-[0-9]{1,3}")
# On Windows these are devices, in every folder and with every ending.
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9])", re.IGNORECASE)
_DIGEST_LENGTH = 8
# No id holds it, and it means nothing to a file system or, within a word, to a shell.
_BEFORE_DIGEST = "~"


def file_stem(task_id: str, number: int | None = None) -> str:
    """Return the name of a task's video without its ending; no other video has the same.

    Args:
        task_id: the id, as the tools take it.
        number: which of several videos it is, from 1 on; None if it is the only one.

    Raises:
        ValueError: this is no task id.

    """
    if not _TASK_ID.fullmatch(task_id):
        raise ValueError("no task id")
    stem = task_id
    if not _PLAIN.fullmatch(stem) or _NUMBERED.fullmatch(stem) or _RESERVED.fullmatch(stem):
        digest = hashlib.sha256(task_id.encode("ascii")).hexdigest()[:_DIGEST_LENGTH]
        # A dot at the beginning would hide it, a dash could be an option of a command.
        stem = re.sub(r"^[.-]+", "_", task_id).replace(":", "_").replace(".", "_")
        stem = f"{stem}{_BEFORE_DIGEST}{digest}"
    return stem if number is None else f"{stem}-{number}"
