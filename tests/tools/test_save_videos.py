"""The tool `save_videos`: what it saves, what it answers, and how long it takes."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from mcp import Client
from mcp_types import CallToolResult

from hailuo_tasks_mcp.messages import Reader
from hailuo_tasks_mcp.sandbox.app import SANDBOX_TOKEN, create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import (
    DOCUMENTED_TASK_ID,
    FAILED_H3_TASK_ID,
    NO_URL_H3_TASK_ID,
    QUEUED_H3_TASK_ID,
    RUNNING_H3_TASK_ID,
    SUCCEEDED_H3_TASK_ID,
)
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks_extension import TASKS_EXTENSION
from helpers import (
    TOKEN,
    HailuoAlone,
    Json,
    ScriptedApi,
    clock,
    data_of,
    ended,
    error_of,
    settings,
    succeeded,
    text_of,
    video,
)
from saving import contents
from stdio_process import declaring, envelope, message, server_process
from video_files import mp4

TOOL = "save_videos"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
START = 1_795_341_600.0


def now() -> float:
    return START + clock()


class Counted(httpx.AsyncBaseTransport):
    """A sandbox, and what is asked of it."""

    def __init__(self, **options: Any) -> None:
        self.inner = httpx.ASGITransport(create_sandbox(now=now, **options))
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return await self.inner.handle_async_request(request)

    @property
    def fetched(self) -> list[str]:
        return [request.url.path for request in self.requests if request.method == "GET"]


class Faulty(Counted):
    """A sandbox whose videos are another server's."""

    def __init__(self, respond: Callable[[], Any]) -> None:
        super().__init__()
        self.respond = respond

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            return await super().handle_async_request(request)
        self.requests.append(request)
        response: httpx.Response = await self.respond()
        return response


def saving_settings(folder: Path, **changes: Any) -> Settings:
    sandbox = {"api_token": SANDBOX_TOKEN, "api_base_url": "http://localhost"}
    return settings(save_dir=str(folder), **(sandbox | changes))


async def call(
    folder: Path,
    arguments: Json,
    transport: httpx.AsyncBaseTransport | None = None,
    reports: list[tuple[float, str | None]] | None = None,
    **changes: Any,
) -> CallToolResult:
    server = create_server(
        saving_settings(folder, **changes),
        transport=transport or Counted(),
        now=now,
    )

    async def on_progress(
        progress: float,
        total: float | None,  # noqa: ARG001 - there is none
        message: str | None,
    ) -> None:
        if reports is not None:
            reports.append((progress, message))

    async with Client(server) as client:
        result = await client.call_tool(TOOL, arguments, progress_callback=on_progress)
        (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == TOOL]
    if not result.is_error:
        assert tool.output_schema
        jsonschema.validate(result.structured_content, tool.output_schema)
    return result


async def save(folder: Path, task_ids: list[str], **options: Any) -> Json:
    return data_of(await call(folder, {"task_ids": task_ids, **options}))


async def test_a_video_is_saved_and_the_answer_says_where(tmp_path: Path) -> None:
    answer = await save(tmp_path / "videos", [SUCCEEDED_H3_TASK_ID])

    path = tmp_path / "videos" / f"{SUCCEEDED_H3_TASK_ID}.mp4"
    size = path.stat().st_size
    assert answer == {
        "saved": [{"task_id": SUCCEEDED_H3_TASK_ID, "path": str(path), "bytes": size}],
        "not_saved": [],
        "final": True,
    }


async def test_saving_twice_changes_nothing(tmp_path: Path) -> None:
    transport = Counted()
    arguments = {"task_ids": [SUCCEEDED_H3_TASK_ID]}

    await call(tmp_path, arguments, transport)
    before = contents(tmp_path)
    (saved,) = data_of(await call(tmp_path, arguments, transport))["saved"]

    assert saved["already_there"] is True
    assert contents(tmp_path) == before
    assert len(transport.fetched) == 1


async def test_each_task_without_a_file_has_its_state_and_why(tmp_path: Path) -> None:
    ids = [FAILED_H3_TASK_ID, NO_URL_H3_TASK_ID, QUEUED_H3_TASK_ID, UNKNOWN_ID, "no id!"]
    answer = await save(tmp_path, [*ids, SUCCEEDED_H3_TASK_ID])

    entries = {entry["task_id"]: entry for entry in answer["not_saved"]}
    assert [entries[task_id]["state"] for task_id in ids] == [
        *("failed", "failed", "pending", "not_found", "not_found")
    ]
    assert "sensitive content" in entries[FAILED_H3_TASK_ID]["reason"]
    assert "ended without a video" in entries[NO_URL_H3_TASK_ID]["reason"]
    assert "check the task id" in entries[UNKNOWN_ID]["next_step"]
    assert entries["no id!"]["next_step"].startswith("This is no task id")
    assert len(answer["saved"]) == 1
    assert answer["final"] is False
    assert answer["next_step"] == (
        f'1 not saved yet: call save_videos(task_ids=["{QUEUED_H3_TASK_ID}"], wait_seconds=50), '
        "which goes on where it stopped; if that brings nothing more, tell the user."
    )


async def test_a_link_that_has_run_out_is_told_so(tmp_path: Path) -> None:
    async def respond() -> httpx.Response:
        return httpx.Response(403, text="<html>expired</html>")

    answer = data_of(await call(tmp_path, {"task_ids": [DOCUMENTED_TASK_ID]}, Faulty(respond)))

    assert answer == {
        "saved": [],
        "not_saved": [
            {
                "task_id": DOCUMENTED_TASK_ID,
                "state": "succeeded",
                "reason": "The server of the file answered HTTP 403",
            }
        ],
        "final": True,
        "next_step": "Links live 30 days, so this one has probably run out; tell the user.",
    }


async def test_a_running_task_is_waited_for_and_then_saved(tmp_path: Path) -> None:
    transport = Counted(h3_running_since_seconds=90)
    progress: list[tuple[float, str | None]] = []
    arguments = {"task_ids": [RUNNING_H3_TASK_ID], "wait_seconds": 50}

    answer = data_of(await call(tmp_path, arguments, transport, progress))

    assert [saved["task_id"] for saved in answer["saved"]] == [RUNNING_H3_TASK_ID]
    assert 10 <= clock() <= 14
    assert progress[0][1] == "processing, 90 s; usually up to 7 min"


async def test_a_wait_leaves_time_to_save(tmp_path: Path) -> None:
    arguments = {"task_ids": [RUNNING_H3_TASK_ID, SUCCEEDED_H3_TASK_ID], "wait_seconds": 50}

    answer = data_of(await call(tmp_path, arguments))

    assert clock() == 35
    assert len(answer["saved"]) == 1
    assert "wait_seconds=50" in answer["next_step"]


class Drip(httpx.AsyncByteStream):
    """A video of which 100 kB come every second."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> Any:
        for place in range(0, len(self._content), 100_000):
            await asyncio.sleep(1)
            yield self._content[place : place + 100_000]


async def drip() -> httpx.Response:
    content = mp4(20_000_000)
    return httpx.Response(200, headers={"content-length": "20000000"}, stream=Drip(content))


async def test_what_takes_too_long_for_a_host_is_left_to_the_next_call(tmp_path: Path) -> None:
    progress: list[tuple[float, str | None]] = []
    arguments = {"task_ids": [SUCCEEDED_H3_TASK_ID]}

    answer = data_of(await call(tmp_path, arguments, Faulty(drip), progress))

    assert clock() == 50
    assert answer["not_saved"] == [
        {
            "task_id": SUCCEEDED_H3_TASK_ID,
            "state": "succeeded",
            "reason": "There was no time left",
        }
    ]
    assert answer["next_step"].startswith("1 not saved yet: call save_videos(task_ids=[")
    assert answer["final"] is False
    # Progress grows, and says how much there is.
    done = [each for each, _ in progress]
    assert len(done) >= 45
    assert done == sorted(set(done))
    assert progress[-1][1] is not None
    assert progress[-1][1].startswith("0 of 1 videos saved, 4.")


async def test_a_call_that_is_cancelled_stops_at_once(tmp_path: Path) -> None:
    server = create_server(saving_settings(tmp_path), transport=Faulty(drip), now=now)
    async with Client(server) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await client.call_tool(TOOL, {"task_ids": [SUCCEEDED_H3_TASK_ID]})
        assert clock() == 5
        await client.list_tools()

    assert list(contents(tmp_path)) in ([], [f"{SUCCEEDED_H3_TASK_ID}.part"])


class Several(httpx.AsyncBaseTransport):
    """A task with several videos, at the API and at a server of files."""

    def __init__(self, data: list[Json]) -> None:
        record = ended(success=True, data=data) | {"id": "t"}
        self.api = HailuoAlone(ScriptedApi(httpx.Response(200, json=record)))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, content=mp4(seed=len(request.url.path)))
        return await self.api.handle_async_request(request)


async def test_each_of_several_videos_is_a_file_of_its_own(tmp_path: Path) -> None:
    data = [video(url="https://cdn.test/a"), video("failed"), video(url="https://cdn.test/bb")]

    answer = data_of(await call(tmp_path, {"task_ids": ["t"]}, Several(data)))

    assert [Path(saved["path"]).name for saved in answer["saved"]] == ["t-1.mp4", "t-2.mp4"]
    assert contents(tmp_path) == {"t-1.mp4": mp4(seed=2), "t-2.mp4": mp4(seed=3)}
    assert answer["not_saved"] == [
        {"task_id": "t", "state": "succeeded", "reason": "1 of its videos failed and will not come"}
    ]
    assert answer["final"] is True


async def test_videos_that_could_not_be_read_are_counted(tmp_path: Path) -> None:
    data = [video(url=f"https://cdn.test/{number}") for number in range(53)]

    answer = data_of(await call(tmp_path, {"task_ids": ["t"]}, Several(data)))

    assert len(answer["saved"]) == 50
    assert answer["not_saved"][0]["reason"] == "3 more of its videos could not be read"


async def test_a_hundred_saved_videos_are_a_short_answer(tmp_path: Path) -> None:
    class Hundred(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "GET":
                return httpx.Response(200, content=mp4())
            ids = json.loads(request.content)["ids"]
            items = [succeeded(task_id) for task_id in ids]
            return httpx.Response(200, json={"items": items, "count": len(items)})

    ids = [f"{number:08x}-5eed-4000-8000-000000000000" for number in range(100)]
    result = await call(tmp_path, {"task_ids": ids}, HailuoAlone(Hundred()))

    assert len(data_of(result)["saved"]) == 100
    per_video = len(str(tmp_path)) + 160
    assert len(text_of(result)) < 100 * per_video


async def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    ids = [SUCCEEDED_H3_TASK_ID, RUNNING_H3_TASK_ID]
    transport = Counted(h3_running_since_seconds=100)

    answer = data_of(await call(tmp_path / "file", {"task_ids": ids}, transport))

    reason = f"{tmp_path / 'file'}: a file is where a folder should be"
    assert [entry["reason"] for entry in answer["not_saved"]] == [reason, reason]
    assert answer["next_step"] == "Ask the user to correct that; then call again."
    assert answer["final"] is False
    assert transport.fetched == []


async def test_no_answer_holds_the_token_or_the_bytes(tmp_path: Path) -> None:
    async def respond() -> httpx.Response:
        return httpx.Response(302, headers={"location": f"ftp://{TOKEN}.test/"})

    result = await call(tmp_path, {"task_ids": [SUCCEEDED_H3_TASK_ID, TOKEN]}, Faulty(respond))
    saved = await call(tmp_path, {"task_ids": [SUCCEEDED_H3_TASK_ID]})

    assert TOKEN not in json.dumps(data_of(result)["not_saved"][0])
    assert len(json.dumps(data_of(saved))) < 600


@pytest.mark.parametrize(
    "arguments",
    [{}, {"task_ids": []}, {"task_ids": ["a"] * 1_001}, {"task_ids": ["a"], "wait_seconds": 51}],
)
async def test_bad_arguments_save_nothing(arguments: Json, tmp_path: Path) -> None:
    error = error_of(await call(tmp_path, arguments))

    assert error.startswith("Nothing was saved: ")
    assert error.endswith("save_videos takes `task_ids`, `wait_seconds`.")
    assert contents(tmp_path) == {}


async def test_an_api_that_fails_is_an_error_and_may_be_asked_again(tmp_path: Path) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(500))

    error = error_of(await call(tmp_path, {"task_ids": ["t"]}, transport))

    assert "Ask again in about 30 seconds" in error


async def test_without_a_folder_there_is_no_such_tool() -> None:
    async with Client(create_server(settings())) as client:
        assert TOOL not in [tool.name for tool in (await client.list_tools()).tools]
        assert "It does not start, cancel or save videos." in (client.instructions or "")


REMOTE_READERS: list[Reader] = ["remote", "remote_shared"]


@pytest.mark.parametrize("reader", REMOTE_READERS)
async def test_callers_from_elsewhere_cannot_save_here(reader: Reader, tmp_path: Path) -> None:
    server = create_server(settings(save_dir=str(tmp_path)), reader=reader)
    async with Client(server) as client:
        assert TOOL not in [tool.name for tool in (await client.list_tools()).tools]


async def test_the_tool_says_what_it_is(tmp_path: Path) -> None:
    async with Client(create_server(settings(save_dir=str(tmp_path)))) as client:
        tool = (await client.list_tools()).tools[-1]
        instructions = client.instructions or ""

    assert tool.annotations is not None
    assert tool.annotations.model_dump(exclude_none=True) == {
        "read_only_hint": False,
        "destructive_hint": False,
        "idempotent_hint": True,
        "open_world_hint": True,
    }
    assert "save_videos saves videos as files" in instructions
    assert "It does not start or cancel videos." in instructions


@pytest.mark.real_time
async def test_a_process_saves_the_videos_of_its_sandbox(tmp_path: Path) -> None:
    arguments = {"task_ids": [SUCCEEDED_H3_TASK_ID]}
    request = message(1, "tools/call", envelope(name=TOOL, arguments=arguments))

    async with server_process("--sandbox", HAILUO_SAVE_DIR=str(tmp_path)) as server:
        response = await server.request(request)

    (saved,) = response["result"]["structuredContent"]["saved"]
    assert saved["path"] == str(tmp_path / f"{SUCCEEDED_H3_TASK_ID}.mp4")
    assert saved["bytes"] == len(contents(tmp_path)[f"{SUCCEEDED_H3_TASK_ID}.mp4"])


@pytest.mark.real_time
async def test_a_client_with_mcp_tasks_gets_an_ordinary_answer(tmp_path: Path) -> None:
    arguments = {"task_ids": [RUNNING_H3_TASK_ID], "wait_seconds": 1}
    params = declaring(envelope(name=TOOL, arguments=arguments), TASKS_EXTENSION)

    async with server_process("--sandbox", HAILUO_SAVE_DIR=str(tmp_path)) as server:
        response = await server.request(message(1, "tools/call", params))

    (entry,) = response["result"]["structuredContent"]["not_saved"]
    assert entry == {"task_id": RUNNING_H3_TASK_ID, "state": "processing"}
