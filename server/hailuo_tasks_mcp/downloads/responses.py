"""What servers of files answer: the parts of a body in time, and what a head says."""

import asyncio
import re
from collections.abc import Callable

import httpx

from hailuo_tasks_mcp.api.http import retry_after_seconds
from hailuo_tasks_mcp.downloads.signatures import is_html, kind_of
from hailuo_tasks_mcp.downloads.sources import Download
from hailuo_tasks_mcp.errors import (
    DownloadInterruptedError,
    DownloadRefusedError,
    HailuoTasksError,
    NotAVideoError,
    VideoGoneError,
)

# Fewer bytes in the time of a stall are none.
_STALL_BYTES = 1_000
_GONE = frozenset({401, 403, 404, 410})
_TRANSIENT = frozenset({408, 429})
_FIRST_SERVER_ERROR = 500
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)")
_LENGTH = re.compile(r"[0-9]{1,15}")


class Body:
    """The body of a response, read within the time of a stall.

    Args:
        download: the response.
        clock: that of the event loop.
        stall_seconds: how long it may bring next to nothing.

    Attributes:
        response: the response.

    """

    def __init__(
        self, download: Download, clock: Callable[[], float], stall_seconds: float
    ) -> None:
        self.response = download.response
        self._download = download
        self._chunks = download.chunks()
        self._clock = clock
        self._stall_seconds = stall_seconds
        self._give_up_at = clock() + stall_seconds
        self._bytes = 0
        self._left = b""

    async def read(self, length: int) -> bytes:
        """Return so many bytes; fewer only at the end."""
        data = b""
        while len(data) < length and (chunk := await self.next_chunk()):
            data += chunk
        data, self._left = data[:length], data[length:]
        return data

    async def next_chunk(self) -> bytes:
        """Return what comes next; nothing at the end.

        Raises:
            HailuoTasksError: it broke off, or next to nothing came for too long.

        """
        if self._left:
            chunk, self._left = self._left, b""
            return chunk
        try:
            async with asyncio.timeout_at(self._give_up_at):
                chunk = b""
                # Not an empty one before the end, of which a transport may have some.
                while not chunk:
                    chunk = await anext(self._chunks)
        except StopAsyncIteration:
            return b""
        except TimeoutError as error:
            message = f"Next to nothing came for {self._stall_seconds:g} s"
            raise DownloadInterruptedError(message) from error
        except httpx.RequestError as error:
            raise self._download.interrupted(error) from error
        self._bytes += len(chunk)
        if self._bytes >= _STALL_BYTES:
            self._bytes = 0
            self._give_up_at = self._clock() + self._stall_seconds
        return chunk

    def not_counted(self, seconds: float) -> None:
        """Leave a time in which nothing was read out of that of a stall."""
        self._give_up_at += seconds


def length_of(response: httpx.Response) -> int | None:
    """Return how many bytes a body has, as its head says; None if it does not."""
    text = response.headers.get("content-length", "")
    # Beside chunks a length means nothing: RFC 9112, 6.3.
    return int(text) if _LENGTH.fullmatch(text) and not is_chunked(response) else None


def is_chunked(response: httpx.Response) -> bool:
    """Return whether a body says itself where it ends."""
    return "chunked" in response.headers.get("transfer-encoding", "").lower()


def total_of_range(response: httpx.Response, start: int) -> int | None:
    """Return how long the file is of which a part came, 0 if unknown; None for another part."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if found is None or int(found[1]) != start:
        return None
    if found[3] == "*":
        return 0
    return int(found[3]) if int(found[2]) < int(found[3]) else None


def status_error(response: httpx.Response) -> HailuoTasksError:
    """Return what a status means that brings no video."""
    status = response.status_code
    message = f"The server of the file answered HTTP {status}"
    if status in _GONE:
        return VideoGoneError(message)
    if status in _TRANSIENT or status >= _FIRST_SERVER_ERROR:
        return DownloadInterruptedError(message, retry_after_seconds=retry_after_seconds(response))
    return DownloadRefusedError(message)


def check_head(head: bytes) -> None:
    """Raise an error unless a file that begins so is a video.

    Raises:
        NotAVideoError: it is none.

    """
    if kind_of(head) is None:
        what = "a web page" if is_html(head) else "no video (MP4, MOV or WebM)"
        raise NotAVideoError(f"What came is {what if head else 'an empty file'}")
