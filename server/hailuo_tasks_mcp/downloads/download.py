"""One video into a folder: attempts, resumption and bounds.

Nothing is kept beside the `.part` file. Whether the server still has the same file shows in its
last bytes, which are fetched again and compared.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from hailuo_tasks_mcp.api.records import Redact
from hailuo_tasks_mcp.downloads.disk_thread import DiskThread
from hailuo_tasks_mcp.downloads.part_files import PartFile, SavedFile, Write, find_saved
from hailuo_tasks_mcp.downloads.responses import (
    Body,
    check_head,
    is_chunked,
    length_of,
    status_error,
    total_of_range,
)
from hailuo_tasks_mcp.downloads.signatures import HEAD_BYTES
from hailuo_tasks_mcp.downloads.sources import Download, FileServers
from hailuo_tasks_mcp.errors import (
    DownloadInterruptedError,
    HailuoTasksError,
    NotAVideoError,
    VideoGoneError,
    VideoTooLargeError,
)
from hailuo_tasks_mcp.settings import Settings

MAX_AT_ONCE = 2
# Before each further attempt: three of them, after the one that every download has.
PAUSES_SECONDS = (2.0, 4.0, 8.0)
# A longer `Retry-After` is not waited for.
_MAX_RETRY_AFTER_SECONDS = 30.0
OVERLAP_BYTES = 64_000
"""How much of the end of a `.part` file is fetched again, to be compared."""
# What is written at once.
_BLOCK_BYTES = 256_000
_MB = 1_000_000

_OK, _PARTIAL, _RANGE_NOT_SATISFIABLE = 200, 206, 416

OnProgress = Callable[[int, int | None], None]
"""Called while a video comes: how many bytes of it there are, of how many, if that is known."""


class Result(NamedTuple):
    """A video that is in its folder.

    Attributes:
        file: where it is, and its size.
        was_there: whether it was before, so that nothing was fetched.

    """

    file: SavedFile
    was_there: bool


class Downloader:
    """Downloads videos, a few at once.

    Args:
        settings: where the API is, how large a file may be, and when a download has stalled.
        redact: returns a text without the tokens in use.
        transport: carries the requests in place of the network.
        write: writes to a descriptor.

    """

    def __init__(
        self,
        settings: Settings,
        redact: Redact,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        write: Write = os.write,
    ) -> None:
        self._servers = FileServers(settings.api_base_url, redact, transport=transport)
        self._max_bytes = settings.max_video_mb * _MB
        self._stall_seconds = settings.stall_seconds
        self._write = write
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._closing: set[asyncio.Future[None]] = set()

    async def download(self, link: str, folder: Path, stem: str, on_progress: OnProgress) -> Result:
        """Return a video once it is in a folder, which exists, under its final name.

        Cancelled, it returns at once; what came stays in the `.part` file, to be taken up.

        Args:
            link: the URL as the API has it.
            folder: where to save it.
            stem: the name without its ending.
            on_progress: called while it comes.

        Raises:
            HailuoTasksError: it could not be saved.

        """
        async with self._slots:
            transfer = _Transfer(link, self._servers, self._max_bytes, self._stall_seconds)
            disk = transfer.disk
            try:
                result = await transfer.run(folder, stem, self._write, on_progress)
            except asyncio.CancelledError:
                # Not waited for here: a disk can take any time.
                loop = asyncio.get_running_loop()
                closing = loop.run_in_executor(disk, transfer.close, True)
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
                raise
            except BaseException as error:
                resumable = not isinstance(
                    error, NotAVideoError | VideoTooLargeError | VideoGoneError
                )
                await disk.run(transfer.close, resumable)
                raise
            else:
                return result
            finally:
                disk.stop()

    async def settle(self, within_seconds: float) -> None:
        """Wait until what was cancelled is on the disk, or for so long."""
        if self._closing:
            _, pending = await asyncio.wait(self._closing, timeout=within_seconds)
            for future in pending:
                future.cancel()


class _Transfer:
    """One video on its way, with the thread that writes it."""

    def __init__(
        self, link: str, servers: FileServers, max_bytes: int, stall_seconds: float
    ) -> None:
        self.disk = DiskThread()
        self._link = link
        self._servers = servers
        self._max_bytes = max_bytes
        self._stall_seconds = stall_seconds
        self._clock = asyncio.get_running_loop().time
        self._part: PartFile | None = None
        self._entity_tag = ""
        # What is known of the server: that it has no ranges, or may have ended too early.
        self._has_no_ranges = False
        self._is_doubtful = False

    async def run(self, folder: Path, stem: str, write: Write, on_progress: OnProgress) -> Result:
        """Return the video, by as many attempts as it takes and there may be."""
        saved = await self.disk.run(find_saved, folder, stem)
        if saved is None:
            await self.disk.run(self._open, folder, stem, write)
            # Another process may have finished it before it was locked here.
            saved = await self.disk.run(find_saved, folder, stem)
        if saved is not None:
            # What is left of it has no use any more.
            await self.disk.run(self.close, False)
            return Result(saved, was_there=True)
        for pause_seconds in PAUSES_SECONDS:
            try:
                return Result(await self._attempt(on_progress), was_there=False)
            except DownloadInterruptedError as error:
                asked_seconds = error.failure.retry_after_seconds or 0.0
                if asked_seconds > _MAX_RETRY_AFTER_SECONDS:
                    raise
            await asyncio.sleep(max(pause_seconds, asked_seconds))
        return Result(await self._attempt(on_progress), was_there=False)

    def close(self, may_resume: bool) -> None:
        """Close the `.part` file, which is left in the folder only if it can be taken up."""
        if self._part is not None:
            useful = may_resume and not self._has_no_ranges and not self._is_doubtful
            self._part.close(keep=useful and self._part.size > OVERLAP_BYTES)

    def _open(self, folder: Path, stem: str, write: Write) -> None:
        # Kept here and not returned, because nobody may be waiting for it any more.
        self._part = PartFile(folder, stem, write)

    @property
    def _opened(self) -> PartFile:
        assert self._part is not None  # noqa: S101 - before every attempt
        return self._part

    async def _attempt(self, on_progress: OnProgress) -> SavedFile:
        """Return the video once all of it has come.

        Raises:
            DownloadInterruptedError: it broke off, so that another attempt may help.
            HailuoTasksError: another one would not.

        """
        part = self._opened
        start = 0 if self._has_no_ranges else max(0, part.size - OVERLAP_BYTES)
        if start and await self.disk.run(part.kind) is None:
            # Something else has this name.
            start = 0
        if not await self._fetch(start, on_progress):
            await self._fetch(0, on_progress)
        try:
            return await self.disk.run(part.finish)
        except NotAVideoError as error:
            if not self._is_doubtful:
                raise
            message = "The connection ended before the video did"
            raise DownloadInterruptedError(message) from error

    async def _fetch(self, start: int, on_progress: OnProgress) -> bool:
        """Fetch all from a place on; return False if the file must be fetched from its beginning.

        Raises:
            HailuoTasksError: it did not all come.

        """
        headers = {}
        if start:
            headers["range"] = f"bytes={start}-"
            if self._entity_tag:
                headers["if-range"] = self._entity_tag
        async with self._get(headers) as download:
            response = download.response
            if start and response.status_code == _RANGE_NOT_SATISFIABLE:
                return False
            if start and response.status_code == _PARTIAL:
                total = total_of_range(response, start)
                if total is None:
                    return False
            elif response.status_code == _OK:
                # Unless it is another file by now, for which a range was not asked for.
                tag_asked_for = headers.get("if-range")
                same = tag_asked_for in {None, response.headers.get("etag")}
                if start:
                    self._has_no_ranges = same
                start, total = 0, length_of(response)
            else:
                raise status_error(response)
            encoding = response.headers.get("content-encoding", "identity").strip().lower()
            if encoding not in {"", "identity"}:
                raise NotAVideoError("It came compressed, though that was not asked for")
            total = total or None
            if total is not None and total > self._max_bytes:
                raise self._too_large()
            tag = response.headers.get("etag", "")
            # A weak one says nothing of single bytes.
            self._entity_tag = tag if tag.startswith('"') and tag.isascii() else ""
            body = Body(download, self._clock, self._stall_seconds)
            return await self._receive(body, start, total, on_progress)

    @asynccontextmanager
    async def _get(self, headers: dict[str, str]) -> AsyncIterator[Download]:
        try:
            async with asyncio.timeout(self._stall_seconds):
                download = await self._servers.get(self._link, headers)
        except TimeoutError as error:
            message = f"The server of the file did not answer in {self._stall_seconds:g} s"
            raise DownloadInterruptedError(message) from error
        try:
            yield download
        finally:
            await download.aclose()

    async def _receive(
        self, body: Body, start: int, total: int | None, on_progress: OnProgress
    ) -> bool:
        """Write a body behind what is there from its place on; return False if that is another."""
        part, disk = self._opened, self.disk
        ends_itself = length_of(body.response) is not None or is_chunked(body.response)
        self._is_doubtful = total is None and not ends_itself
        if start:
            expected = await disk.run(part.read, start, part.size)
            if await body.read(len(expected)) != expected:
                return False
            head = b""
        else:
            head = await body.read(HEAD_BYTES)
            check_head(head)
            await disk.run(part.empty)
        block = bytearray(head)

        async def flush() -> None:
            written_from = self._clock()
            # Taken out first: once it is being written, it must not be written again.
            data = bytes(block)
            block.clear()
            await disk.run(part.append, data)
            body.not_counted(self._clock() - written_from)

        try:
            while chunk := await body.next_chunk():
                block += chunk
                if part.size + len(block) > self._max_bytes:
                    raise self._too_large()
                on_progress(part.size + len(block), total)
                if len(block) >= _BLOCK_BYTES:
                    await flush()
            await flush()
        except asyncio.CancelledError:
            disk.submit(part.append, bytes(block))
            raise
        except DownloadInterruptedError:
            await flush()
            raise
        if total is not None and part.size < total:
            message = f"The download broke off after {part.size} of {total} bytes"
            raise DownloadInterruptedError(message)
        on_progress(part.size, total)
        return True

    def _too_large(self) -> HailuoTasksError:
        return VideoTooLargeError(f"It has more than {self._max_bytes // _MB} MB")
