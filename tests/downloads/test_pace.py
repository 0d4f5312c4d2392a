"""How long a download takes that does not go well; time is simulated."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx

from hailuo_tasks_mcp.downloads.download import Downloader
from hailuo_tasks_mcp.downloads.save import Video, VideoSave, save_videos
from hailuo_tasks_mcp.errors import DownloadInterruptedError
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings
from helpers import ScriptedApi, clock
from saving import NAME, contents, failure, saved
from video_files import mp4

LINK = "https://cdn.test/v"
CONTENT = mp4(10_000)


class Drip(httpx.AsyncByteStream):
    """Yields so many bytes of a file every second."""

    def __init__(self, content: bytes, step: int) -> None:
        self._content, self._step = content, step

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for place in range(0, len(self._content), self._step):
            await asyncio.sleep(1)
            yield self._content[place : place + self._step]


class Files(httpx.AsyncBaseTransport):
    """Answers every request in the same way."""

    def __init__(self, respond: Callable[[], Any]) -> None:
        self._respond = respond
        self.times: list[float] = []

    async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
        self.times.append(clock())
        response: httpx.Response = await self._respond()
        return response


async def save(
    transport: httpx.AsyncBaseTransport, folder: Path, within_seconds: float | None = None
) -> VideoSave:
    downloads = Downloader(Settings(), Redactor().redact, transport=transport)
    video = Video(NAME, NAME, LINK)
    (result,) = await save_videos(downloads, [video], folder, within_seconds=within_seconds)
    return result


async def test_the_pauses_grow(tmp_path: Path) -> None:
    async def respond() -> httpx.Response:
        return httpx.Response(503)

    files = Files(respond)
    failure(await save(files, tmp_path), DownloadInterruptedError)

    assert files.times == [0, 2, 6, 14]


async def test_a_server_that_names_a_time_is_given_it(tmp_path: Path) -> None:
    api = ScriptedApi(
        httpx.Response(429, headers={"retry-after": "20"}), httpx.Response(200, content=CONTENT)
    )

    saved(await save(api, tmp_path))

    assert clock() == 20


async def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    async def respond() -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    message = failure(await save(Files(respond), tmp_path), DownloadInterruptedError)

    assert message == "The server of the file did not answer in 30 s"
    assert clock() == 4 * 30 + 14


async def test_a_drip_has_stalled(tmp_path: Path) -> None:
    async def respond() -> httpx.Response:
        return httpx.Response(200, headers={"content-length": "10000"}, stream=Drip(CONTENT, 30))

    message = failure(await save(Files(respond), tmp_path), DownloadInterruptedError)

    assert message == "Next to nothing came for 30 s"
    assert clock() == 4 * 30 + 14
    assert contents(tmp_path) == {}


async def test_a_slow_download_has_not(tmp_path: Path) -> None:
    async def respond() -> httpx.Response:
        return httpx.Response(200, headers={"content-length": "10000"}, stream=Drip(CONTENT, 50))

    path = saved(await save(Files(respond), tmp_path))

    assert clock() == 200
    assert path.read_bytes() == CONTENT


async def test_what_is_not_there_in_time_has_not_ended(tmp_path: Path) -> None:
    async def respond() -> httpx.Response:
        return httpx.Response(200, headers={"content-length": "10000"}, stream=Drip(CONTENT, 50))

    result = await save(Files(respond), tmp_path, within_seconds=15)

    assert clock() == 15
    assert not result.ended
    assert result.done_bytes > 500
