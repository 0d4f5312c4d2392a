"""Saves videos from the little server, as the tool and the command do."""

import os
from pathlib import Path
from typing import Any

from hailuo_tasks_mcp.downloads.download import Downloader
from hailuo_tasks_mcp.downloads.part_files import Write
from hailuo_tasks_mcp.downloads.save import Video, VideoSave, save_videos
from hailuo_tasks_mcp.errors import HailuoTasksError
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings
from helpers import TOKEN

NAME = "58cc618b-9639-4ee7-add2-d2fcf260d9a3"
ON_THIS_MACHINE = "http://127.0.0.1:1"


def downloader(write: Write = os.write, **settings: Any) -> Downloader:
    return Downloader(
        Settings(**({"api_base_url": ON_THIS_MACHINE} | settings)),
        Redactor(TOKEN).redact,
        write=write,
    )


async def save(link: str, folder: Path, write: Write = os.write, **settings: Any) -> VideoSave:
    """Save one video."""
    video = Video(NAME, NAME, link)
    (result,) = await save_videos(downloader(write, **settings), [video], folder)
    return result


def saved(result: VideoSave) -> Path:
    """Return where a video is that was saved."""
    assert result.failure is None, result.failure
    assert result.file
    assert result.file.bytes == result.file.path.stat().st_size
    return result.file.path


def failure(result: VideoSave, kind: type[HailuoTasksError]) -> str:
    """Return why a video was not saved."""
    assert result.file is None
    assert result.failure
    assert result.failure.kind is kind, result.failure
    return result.failure.message


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, in any depth."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
