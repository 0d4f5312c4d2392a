"""A process that is killed in the middle of a file, again and again."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from file_server import file_server, hangs, serve
from hailuo_tasks_mcp.downloads.download import OVERLAP_BYTES
from hailuo_tasks_mcp.errors import DownloadInterruptedError
from helpers import TIMEOUT_SECONDS
from saving import NAME, contents, failure, save, saved
from stdio_process import environment
from video_files import mp4

pytestmark = pytest.mark.real_time

TESTS = Path(__file__).parent.parent
CONTENT = mp4(3_000_000)

# Saves one video, and prints how many bytes of it are on the disk.
SAVE = """
import asyncio, os, sys
from pathlib import Path
from saving import save

def write(descriptor, data):
    written = os.write(descriptor, data)
    print(os.fstat(descriptor).st_size, flush=True)
    return written

asyncio.run(save(sys.argv[1], Path(sys.argv[2]), write))
print("ended", flush=True)
"""


@asynccontextmanager
async def saving_process(link: str, folder: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SAVE, link, str(folder)),
        cwd=TESTS,
        stdout=PIPE,
        env=environment({}),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def reach(process: Process, size: int) -> None:
    """Wait until so many bytes are on the disk."""
    assert process.stdout
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while int(await process.stdout.readline()) < size:
            pass


async def test_nothing_is_half_nothing_is_lost_and_nothing_is_outside_the_folder(
    tmp_path: Path,
) -> None:
    folder, sizes = tmp_path / "folder", []
    places = [1_000_000, 2_000_000]
    async with file_server() as files:
        link = files.link("/v", *(hangs(CONTENT, place) for place in places), serve(CONTENT))
        for place in places:
            async with saving_process(link, folder) as process:
                await reach(process, place - 400_000)
            left = contents(tmp_path)
            assert list(left) == [f"folder/{NAME}.part"]
            (part,) = left.values()
            assert CONTENT.startswith(part)
            sizes.append(len(part))
        async with saving_process(link, folder) as process:
            assert process.stdout
            output = await process.stdout.read()

    assert output.split()[-1] == b"ended"
    assert contents(tmp_path) == {f"folder/{NAME}.mp4": CONTENT}
    # Each took up what the one before had on the disk.
    starts = [request.start for request in files.requests]
    assert starts == [0, *(size - OVERLAP_BYTES for size in sizes)]


async def test_two_processes_do_not_write_into_the_same_file(tmp_path: Path) -> None:
    async with file_server() as files:
        link = files.link("/v", hangs(CONTENT, 1_000_000), serve(CONTENT))
        async with saving_process(link, tmp_path) as process:
            await reach(process, 200_000)
            message = failure(await save(link, tmp_path), DownloadInterruptedError)
        saved(await save(link, tmp_path))

    assert message == "Another process is saving the same video there"
    assert contents(tmp_path) == {f"{NAME}.mp4": CONTENT}
