"""The folder: what is in the way there, what cannot be written, and who else writes."""

import asyncio
import errno
import os
import sys
from pathlib import Path
from threading import Event

import pytest

from file_server import file_server, serve
from hailuo_tasks_mcp.downloads.download import OVERLAP_BYTES
from hailuo_tasks_mcp.downloads.part_files import PartFile
from hailuo_tasks_mcp.downloads.save import Video, VideoSave, save_videos
from hailuo_tasks_mcp.errors import (
    DiskFullError,
    DownloadInterruptedError,
    FolderError,
    HailuoTasksError,
)
from helpers import TIMEOUT_SECONDS
from saving import NAME, contents, downloader, failure, save, saved
from video_files import mp4

pytestmark = pytest.mark.real_time

LARGE = mp4(600_000)
AS_ROOT = os.name == "posix" and os.geteuid() == 0
OUTSIDE = b"not for this server"


async def saved_into(folder: Path) -> Path:
    async with file_server() as files:
        return saved(await save(files.link("/v", serve(LARGE)), folder))


async def failure_in(
    folder: Path, kind: type[HailuoTasksError] = FolderError, *, expect_requests: bool = False
) -> str:
    async with file_server() as files:
        message = failure(await save(files.link("/v", serve(LARGE)), folder), kind)
    assert bool(files.requests) == expect_requests
    return message


async def test_a_folder_that_is_not_there_is_made_with_its_parents(tmp_path: Path) -> None:
    path = await saved_into(tmp_path / "a" / "b")

    assert contents(tmp_path) == {f"a/b/{path.name}": LARGE}


@pytest.mark.parametrize("folder", ["file", "file/below"])
async def test_a_file_in_the_place_of_the_folder_is_an_error(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OUTSIDE)

    message = await failure_in(tmp_path / folder)

    assert message == f"{tmp_path / folder}: a file is where a folder should be"
    assert contents(tmp_path) == {"file": OUTSIDE}


@pytest.mark.skipif(AS_ROOT, reason="root may write anywhere")
async def test_a_folder_without_permission_is_told_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)  # noqa: ASYNC240 - nothing else runs yet

    assert "no permission" in await failure_in(tmp_path)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, DiskFullError, "the disk is full"),
        (errno.EDQUOT, DiskFullError, "the disk quota is used up"),
        (errno.EROFS, FolderError, "the disk is read-only"),
        (errno.EACCES, FolderError, "no permission to write there"),
        (errno.EIO, FolderError, os.strerror(errno.EIO)),
    ],
)
async def test_what_a_disk_refuses_is_told_and_what_is_there_is_taken_up(
    number: int, kind: type[FolderError], words: str, tmp_path: Path
) -> None:
    room = 300_000

    def write(descriptor: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(number, "refused")
        written = os.write(descriptor, data[: min(room, 7_000)])
        room -= written
        return written

    async with file_server() as files:
        link = files.link("/v", serve(LARGE))
        message = failure(await save(link, tmp_path, write), kind)
        left = contents(tmp_path)
        path = saved(await save(link, tmp_path))

    assert message == f"{tmp_path / NAME}.part: {words}"
    assert left == {f"{NAME}.part": LARGE[:300_000]}
    assert contents(tmp_path) == {path.name: LARGE}


async def test_a_file_that_comes_under_the_final_name_meanwhile_is_not_overwritten(
    tmp_path: Path,
) -> None:
    def write(descriptor: int, data: bytes) -> int:
        (tmp_path / f"{NAME}.mp4").write_bytes(OUTSIDE)
        return os.write(descriptor, data)

    async with file_server() as files:
        message = failure(await save(files.link("/v", serve(LARGE)), tmp_path, write), FolderError)

    assert "nothing is overwritten" in message
    assert (tmp_path / f"{NAME}.mp4").read_bytes() == OUTSIDE


@pytest.mark.parametrize("broken_too", ["fsync", "ftruncate"])
async def test_what_the_disk_may_have_lost_is_fetched_anew(
    broken_too: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truncate = os.ftruncate
    synced = False

    def fail(_: int) -> None:
        nonlocal synced
        synced = True
        raise OSError(errno.EIO, "lost")

    def fail_once_synced(descriptor: int, length: int) -> None:
        if synced and broken_too == "ftruncate":
            raise OSError(errno.EROFS, "read-only")
        truncate(descriptor, length)

    async with file_server() as files:
        link = files.link("/v", serve(LARGE))
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", fail)
            broken.setattr(os, "ftruncate", fail_once_synced)
            failure(await save(link, tmp_path), FolderError)
        left = contents(tmp_path)
        path = saved(await save(link, tmp_path))

    assert left == {}
    assert path.read_bytes() == LARGE
    assert files.ranges == [None, None]


async def test_videos_that_are_there_are_not_missing_once_the_disk_is_full(tmp_path: Path) -> None:
    def write(_: int, __: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    (tmp_path / "there.mp4").write_bytes(LARGE)
    async with file_server() as files:
        link = files.link("/v", serve(LARGE))
        videos = [Video(name, name, link) for name in ("a", "b", "c", "there")]
        results = await save_videos(downloader(write), videos, tmp_path)

    assert [result.file is not None for result in results] == [False, False, False, True]
    assert results[-1].was_there
    assert results[-1].failure is None


async def test_a_full_disk_is_found_out_once(tmp_path: Path) -> None:
    def write(_: int, __: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    async with file_server() as files:
        link = files.link("/v", serve(LARGE))
        videos = [Video(f"t{number}", f"t{number}", link) for number in range(20)]
        results = await save_videos(downloader(write), videos, tmp_path)

    assert {result.failure and result.failure.kind for result in results} == {DiskFullError}
    assert len(files.requests) <= 3
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("ending", ["mp4", "mov", "webm", "part"])
async def test_a_symbolic_link_is_not_followed(ending: str, tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    outside.write_bytes(LARGE if ending == "mp4" else OUTSIDE)
    before = outside.read_bytes()
    (folder / f"{NAME}.{ending}").symlink_to(outside)

    message = await failure_in(folder)

    assert message.endswith("it is a symbolic link, which is not followed")
    assert outside.read_bytes() == before
    assert [path.name for path in folder.iterdir()] == [f"{NAME}.{ending}"]


async def test_a_symbolic_link_to_nothing_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").symlink_to(tmp_path / "made")

    await failure_in(tmp_path)

    assert not (tmp_path / "made").exists()


async def test_a_file_that_has_another_name_elsewhere_is_not_written(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(OUTSIDE)
    (tmp_path / f"{NAME}.part").hardlink_to(outside)

    assert "no file of this folder alone" in await failure_in(tmp_path)
    assert outside.read_bytes() == OUTSIDE


@pytest.mark.parametrize("ending", ["mp4", "part"])
async def test_a_folder_under_the_name_of_the_file_is_an_error(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.{ending}").mkdir()

    await failure_in(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
@pytest.mark.parametrize("ending", ["mp4", "part"])
async def test_a_pipe_under_the_name_of_the_file_blocks_nothing(
    ending: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / f"{NAME}.{ending}")

    await failure_in(tmp_path)


@pytest.mark.parametrize("content", [b"", b"mine", LARGE[:-1]])
async def test_a_file_that_is_no_whole_video_is_not_overwritten(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / f"{NAME}.mp4").write_bytes(content)

    assert "nothing is overwritten" in await failure_in(tmp_path)
    assert contents(tmp_path) == {f"{NAME}.mp4": content}


async def test_two_at_once_do_not_write_into_the_same_file(tmp_path: Path) -> None:
    other = PartFile(tmp_path, NAME)
    other.append(LARGE[:100_000])

    message = await failure_in(tmp_path, DownloadInterruptedError)
    other.close(keep=True)

    assert message == "Another process is saving the same video there"
    assert contents(tmp_path) == {f"{NAME}.part": LARGE[:100_000]}
    await saved_into(tmp_path)


async def test_two_downloads_of_the_same_video_at_once_make_one_file(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", serve(LARGE))
        first, second = await asyncio.gather(save(link, tmp_path), save(link, tmp_path))

    assert first.file or second.file
    assert contents(tmp_path) == {f"{NAME}.mp4": LARGE}


async def test_fifty_videos_on_a_slow_disk_keep_nothing_else_waiting(tmp_path: Path) -> None:
    """A write that ends once the event loop has had a turn: one that waits for it never ends."""
    loop = asyncio.get_running_loop()
    under_way = most = 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        turned = Event()
        loop.call_soon_threadsafe(turned.set)
        assert turned.wait(TIMEOUT_SECONDS)
        under_way -= 1
        return os.write(descriptor, data[:100_000])

    content = mp4(250_000)
    async with file_server() as files:
        link = files.link("/v", serve(content))
        videos = [Video(f"t{number}", f"t{number}", link) for number in range(50)]
        results = await save_videos(downloader(write), videos, tmp_path)

    assert len([saved(result) for result in results]) == 50
    assert set(contents(tmp_path).values()) == {content}
    assert most <= 2


async def test_a_cancelled_download_ends_at_once_and_leaves_what_came(tmp_path: Path) -> None:
    """The disk is slow: it takes until the test ends to write the last block."""
    started, may_end = asyncio.Event(), Event()
    loop = asyncio.get_running_loop()

    def write(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_size > 2 * OVERLAP_BYTES:
            loop.call_soon_threadsafe(started.set)
            assert may_end.wait(TIMEOUT_SECONDS)
        return os.write(descriptor, data)

    async with file_server() as files:
        link = files.link("/v", serve(LARGE))
        saving = asyncio.create_task(save(link, tmp_path, write))
        await started.wait()
        saving.cancel()
        # Ended though the write has not.
        with pytest.raises(asyncio.CancelledError):
            await saving
        may_end.set()
        result = await _once_unlocked(link, tmp_path)

    assert saved(result).read_bytes() == LARGE
    assert contents(tmp_path) == {f"{NAME}.mp4": LARGE}
    assert files.requests[1].start > 0


async def _once_unlocked(link: str, folder: Path) -> VideoSave:
    """Save once the thread of a download that was cancelled has closed its file."""
    while True:
        result = await save(link, folder)
        if result.failure is None or "Another process" not in result.failure.message:
            return result


@pytest.mark.skipif(sys.platform == "win32", reason="locks are others there")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EIO])
async def test_a_file_system_without_locks_is_written_all_the_same(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr("fcntl.flock", flock)

    if number == errno.ENOLCK:
        await saved_into(tmp_path)
    else:
        assert os.strerror(errno.EIO) in await failure_in(tmp_path)


async def test_a_file_that_another_process_finishes_meanwhile_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is renamed after it was opened here, and before it is locked."""
    flock = "fcntl.flock"
    part, final = tmp_path / f"{NAME}.part", tmp_path / f"{NAME}.mp4"
    part.write_bytes(LARGE)

    def rename_once(*_: object) -> None:
        if part.exists() and not final.exists():
            part.rename(final)

    monkeypatch.setattr(flock, rename_once)
    async with file_server() as files:
        result = await save(files.link("/v", serve(LARGE)), tmp_path)

    assert (saved(result), result.was_there) == (final, True)
    assert contents(tmp_path) == {final.name: LARGE}


async def test_a_part_that_something_else_replaces_is_not_renamed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(OUTSIDE)
    folder = tmp_path / "folder"
    part = folder / f"{NAME}.part"

    def write(descriptor: int, data: bytes) -> int:
        if not part.is_symlink():
            part.unlink()
            part.symlink_to(outside)
        return os.write(descriptor, data)

    async with file_server() as files:
        message = failure(await save(files.link("/v", serve(LARGE)), folder, write), FolderError)

    assert message == f"{part}: something else took its place"
    assert outside.read_bytes() == OUTSIDE
    assert [path.name for path in folder.iterdir()] == [part.name]
