"""The videos of tasks into a folder: which ones, how far they are, and what came of each."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.downloads.disk_thread import DiskThread
from hailuo_tasks_mcp.downloads.download import MAX_AT_ONCE, Downloader
from hailuo_tasks_mcp.downloads.names import file_stem
from hailuo_tasks_mcp.downloads.part_files import SavedFile, find_saved, make_folder
from hailuo_tasks_mcp.errors import DiskFullError, Failure, FolderError, HailuoTasksError
from hailuo_tasks_mcp.tasks.states import classify, usable_urls


@dataclass(frozen=True, slots=True)
class Video:
    """A video that can be saved.

    Attributes:
        task_id: whose it is.
        stem: the name of its file without an ending.
        link: the URL as the API has it.

    """

    task_id: str
    stem: str
    link: str


@dataclass(slots=True)
class VideoSave:
    """A video that is being saved; what is not known yet is None.

    Attributes:
        video: which one.
        done_bytes: how many bytes of it there are.
        total_bytes: of how many.
        file: where it is, once it is there.
        was_there: whether it was there before.
        failure: why it could not be saved.

    """

    video: Video
    done_bytes: int = 0
    total_bytes: int | None = None
    file: SavedFile | None = None
    was_there: bool = False
    failure: Failure | None = None

    @property
    def ended(self) -> bool:
        """Whether it is there, or will not come."""
        return self.file is not None or self.failure is not None


OnChange = Callable[[VideoSave], None]
"""Called whenever something of a video has changed; must be quick."""


def videos_of(task_ids: Iterable[str], records: Mapping[str, TaskRecord]) -> list[Video]:
    """Return the videos of those tasks that succeeded, in the order of the tasks."""
    videos = []
    for task_id in task_ids:
        record = records.get(task_id)
        if record is None or classify(record) != "succeeded":
            continue
        links = usable_urls(record.videos)
        several = len(links) > 1 or record.response.unread_videos > 0
        for number, link in enumerate(links, start=1):
            stem = file_stem(task_id, number if several else None)
            videos.append(Video(task_id, stem, link))
    return videos


async def save_videos(
    downloader: Downloader,
    videos: Sequence[Video],
    folder: Path,
    *,
    on_change: OnChange = lambda _: None,
    within_seconds: float | None = None,
) -> list[VideoSave]:
    """Save videos into a folder, which is made if it is not there.

    Args:
        downloader: fetches and writes them, a few at once.
        videos: which ones.
        folder: its absolute path.
        on_change: told of what each has come to.
        within_seconds: how long it may take; what is not there by then has not ended.

    Returns:
        What came of each, in the same order.

    """
    saves = [VideoSave(video) for video in videos]
    if not saves:
        return saves
    try:
        async with asyncio.timeout(within_seconds):
            await _make(folder)
            await _save_all(downloader, saves, folder, on_change)
    except FolderError as error:
        for save in saves:
            save.failure = error.failure
            on_change(save)
    except TimeoutError:
        # The rest has not ended; what has come of it is taken up by the next call.
        pass
    return saves


async def _make(folder: Path) -> None:
    disk = DiskThread()
    try:
        await disk.run(make_folder, folder)
    finally:
        disk.stop()


async def _save_all(
    downloader: Downloader, saves: Sequence[VideoSave], folder: Path, on_change: OnChange
) -> None:
    left = iter(saves)
    # Found out once, not by each video again.
    full: list[Failure] = []

    async def work() -> None:
        for save in left:
            if full:
                # What is there already needs no room.
                save.file = await _found(folder, save.video.stem)
                save.was_there = save.file is not None
                save.failure = None if save.was_there else full[0]
            else:
                await _save(downloader, save, folder, on_change)
            if save.failure is not None and save.failure.kind is DiskFullError and not full:
                _, _, words = save.failure.message.rpartition(": ")
                full.append(Failure(DiskFullError, f"{folder}: {words}"))
            on_change(save)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(MAX_AT_ONCE, len(saves))):
            tasks.create_task(work())


async def _found(folder: Path, stem: str) -> SavedFile | None:
    disk = DiskThread()
    try:
        return await disk.run(find_saved, folder, stem)
    except FolderError:
        return None
    finally:
        disk.stop()


async def _save(downloader: Downloader, save: VideoSave, folder: Path, on_change: OnChange) -> None:
    def on_progress(done_bytes: int, total_bytes: int | None) -> None:
        save.done_bytes, save.total_bytes = done_bytes, total_bytes
        on_change(save)

    video = save.video
    try:
        result = await downloader.download(video.link, folder, video.stem, on_progress)
    except HailuoTasksError as error:
        save.failure = error.failure
    else:
        save.file, save.was_there = result
