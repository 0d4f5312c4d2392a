"""`hailuo-tasks-mcp retrieve --save`: what is saved, what a person reads, and the exit codes."""

import asyncio
import io
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx
import pytest

from file_server import Act, FileServer, answers, file_server, hangs, serve
from hailuo_tasks_mcp.cli.main import main
from hailuo_tasks_mcp.cli.retrieve import run_retrieve
from hailuo_tasks_mcp.cli.save_progress import SaveProgress
from hailuo_tasks_mcp.downloads.part_files import SavedFile
from hailuo_tasks_mcp.downloads.save import Video, VideoSave
from hailuo_tasks_mcp.sandbox.app import SANDBOX_TOKEN, create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import (
    DOCUMENTED_TASK_ID,
    FAILED_H3_TASK_ID,
    QUEUED_H3_TASK_ID,
    RUNNING_H3_TASK_ID,
    SUCCEEDED_H3_TASK_ID,
)
from helpers import TIMEOUT_SECONDS, clock, startup
from saving import NAME, contents
from stdio_process import environment
from video_files import mp4

LARGE = mp4(1_000_000)
NOW = 1_795_341_600.0


async def save(task_ids: list[str], folder: Path, **options: Any) -> int:
    app = create_sandbox(now=lambda: NOW + clock(), h3_running_since_seconds=90)
    start = startup(
        httpx.ASGITransport(app), api_token=SANDBOX_TOKEN, api_base_url="http://localhost"
    )
    given: dict[str, Any] = {"wait_seconds": 0, "as_json": False, "save_in": str(folder)} | options
    return await run_retrieve(start, task_ids, **given)


@pytest.mark.parametrize(
    ("task_ids", "code"),
    [
        ([SUCCEEDED_H3_TASK_ID], 0),
        ([SUCCEEDED_H3_TASK_ID, FAILED_H3_TASK_ID], 1),
        ([SUCCEEDED_H3_TASK_ID, DOCUMENTED_TASK_ID], 1),
        ([SUCCEEDED_H3_TASK_ID, QUEUED_H3_TASK_ID], 3),
        ([FAILED_H3_TASK_ID], 1),
    ],
)
async def test_the_exit_code_says_whether_all_videos_are_there(
    task_ids: list[str], code: int, tmp_path: Path
) -> None:
    assert await save(task_ids, tmp_path) == code

    saved = [f"{task_id}.mp4" for task_id in task_ids if task_id == SUCCEEDED_H3_TASK_ID]
    assert list(contents(tmp_path)) == saved


async def test_a_person_reads_where_a_video_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await save([SUCCEEDED_H3_TASK_ID, DOCUMENTED_TASK_ID], tmp_path)
    first = capsys.readouterr()
    await save([SUCCEEDED_H3_TASK_ID], tmp_path)
    second = capsys.readouterr()

    path = tmp_path / f"{SUCCEEDED_H3_TASK_ID}.mp4"
    assert f"\nsaved: {path} (0.002 MB)\n" in first.out
    assert (
        f"\nnot saved: {DOCUMENTED_TASK_ID}: The server of the file answered HTTP 404. Links live "
        "30 days, so this one has probably run out.\n1 of 2 videos are there.\n"
    ) in first.out
    assert f"of 2: {SUCCEEDED_H3_TASK_ID}: saved\n" in first.err
    assert f"of 2: {DOCUMENTED_TASK_ID}: not saved\n" in first.err
    assert second.out.endswith(f"\nthere before: {path} (0.002 MB)\n")
    assert second.err == ""


async def test_where_nothing_succeeded_there_is_nothing_to_save(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await save([FAILED_H3_TASK_ID], tmp_path / "new")

    assert capsys.readouterr().out.endswith("\n\nThere is no video to save.\n")
    assert not (tmp_path / "new").exists()


async def test_a_script_gets_what_a_model_gets_and_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await save([SUCCEEDED_H3_TASK_ID, DOCUMENTED_TASK_ID], tmp_path, as_json=True)

    answer = json.loads(capsys.readouterr().out)
    path = tmp_path / f"{SUCCEEDED_H3_TASK_ID}.mp4"
    assert answer["counts"] == {"succeeded": 2}
    assert answer["saved"] == [
        {"task_id": SUCCEEDED_H3_TASK_ID, "path": str(path), "bytes": path.stat().st_size}
    ]
    assert answer["not_saved"] == [
        {
            "task_id": DOCUMENTED_TASK_ID,
            "reason": "The server of the file answered HTTP 404",
            "remedy": "Links live 30 days, so this one has probably run out.",
        }
    ]


async def test_a_running_task_is_waited_for_and_then_saved(tmp_path: Path) -> None:
    assert await save([RUNNING_H3_TASK_ID], tmp_path, wait_seconds=60) == 0
    assert list(contents(tmp_path)) == [f"{RUNNING_H3_TASK_ID}.mp4"]


def test_a_folder_is_made_in_the_one_that_the_command_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["retrieve", SUCCEEDED_H3_TASK_ID, "--sandbox", "--save", "a/b"]) == 0

    assert list(contents(tmp_path)) == [f"a/b/{SUCCEEDED_H3_TASK_ID}.mp4"]
    assert f"saved: {tmp_path}/a/b/" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["", " ", "a\nb", "a\x00", "~nobody-of-this-name/x", "x" * 1001])
def test_what_can_be_no_folder_is_wrong_usage(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retrieve", SUCCEEDED_H3_TASK_ID, "--sandbox", "--save", folder]) == 2

    assert capsys.readouterr().err == (
        "hailuo-tasks-mcp: Nothing was saved: --save names no folder. See hailuo-tasks-mcp "
        "retrieve --help.\n"
    )


async def test_a_file_in_the_place_of_the_folder_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")

    assert await save([SUCCEEDED_H3_TASK_ID], tmp_path / "file") == 1

    assert (
        f"not saved: {SUCCEEDED_H3_TASK_ID}: {tmp_path / 'file'}: a file is where a folder should "
        "be. Correct that, or name another folder.\n"
    ) in capsys.readouterr().out


def test_where_there_is_no_terminal_a_long_download_has_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moments = iter(range(0, 100, 4))
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    save_ = VideoSave(Video("a", "a", ""))
    with SaveProgress(1) as progress:
        for done, total in [(1, 9), (2, 9), (3, 9), (4, 9), (5, 9), (6, None), (7, None)]:
            save_.done_bytes = done * 1_000_000
            save_.total_bytes = total and total * 1_000_000
            progress.show(save_)

    assert capsys.readouterr().err == "a: 4.0 of 9.0 MB\na: 7.0 MB\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_for_each_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "90")
    first, second = (VideoSave(Video(name, name, "https://cdn.test/v")) for name in ("a", "b"))
    with SaveProgress(2) as progress:
        for save_, done, total in [
            *((first, 500_000, 2_000_000), (second, 1_000, None), (first, 1_500_000, 2_000_000)),
            *((second, 3_000_000, None), (first, 100_000, 2_000_000)),
        ]:
            save_.done_bytes, save_.total_bytes = done, total
            progress.show(save_)
        first.file = SavedFile(tmp_path / "a.mp4", 2_000_000)
        progress.show(first)
        third = VideoSave(Video("c", "c", ""), file=first.file)
        progress.show(third)

    shown = terminal.getvalue()
    assert "\ra:  25%" in shown
    assert "500k/2.00M [00:00<?, ?B/s]" in shown
    assert "b: 1.00kB [00:00, ?B/s]" in shown
    # Nothing of the bars is left.
    assert shown.rsplit("\r", 2)[1].strip() == ""
    assert "c" not in shown


def know(files: FileServer, *acts: Act) -> dict[str, str]:
    """Have the server be the API too, which knows one task; return the environment for that."""
    link = files.link("/v", *acts)
    task = {"id": NAME, "status": "succeeded", "content": {"url": link}, "model": "MiniMax-H3"}
    files.link("/minimax/tasks", answers("200 OK", json.dumps({"task": task}).encode()))
    files.link("/hailuo/tasks", answers("200 OK", b"{}"))
    return {
        "ACEDATACLOUD_API_BASE_URL": files.url,
        "ACEDATACLOUD_API_TOKEN": "planted-token-0123456789",
        "COLUMNS": "100",
    }


@pytest.mark.real_time
@pytest.mark.skipif(sys.platform == "win32", reason="there is no such terminal")
async def test_ctrl_c_at_a_terminal_leaves_what_came_and_the_same_command_goes_on(
    tmp_path: Path,
) -> None:
    command = ["-m", "hailuo_tasks_mcp", "retrieve", NAME, "--save", str(tmp_path)]
    code = f"import os; os.login_tty(0); os.execv({sys.executable!r}, {[sys.executable, *command]})"
    ours, theirs = os.openpty()
    written = b""
    async with file_server() as files:
        environ = environment(know(files, hangs(LARGE, 600_000), serve(LARGE)))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdin=theirs, env=environ
        )
        os.close(theirs)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while b"/1.00M" not in written or b"B/s" not in written:
                written += await asyncio.to_thread(os.read, ours, 1000)
            while (tmp_path / f"{NAME}.part").stat().st_size < 500_000:  # noqa: ASYNC110
                await asyncio.sleep(0)
            os.write(ours, b"\x03")
            await process.wait()
            left = contents(tmp_path)
            again = await asyncio.create_subprocess_exec(
                sys.executable, *command, stdout=PIPE, stderr=PIPE, env=environ
            )
            out, err = await again.communicate()
    written += os.read(ours, 10_000)
    os.close(ours)

    assert process.returncode == -signal.SIGINT
    assert b"Interrupted: 0 of 1 videos are there; the same command goes on" in written
    assert b"Traceback" not in written
    assert list(left) == [f"{NAME}.part"]
    assert LARGE.startswith(left[f"{NAME}.part"])
    assert again.returncode == 0
    assert f"\nsaved: {tmp_path}/{NAME}.mp4 (1.0 MB)\n" in out.decode()
    assert f"1 of 1: {NAME}: saved\n" in err.decode()
    assert b"\r" not in err
    assert contents(tmp_path) == {f"{NAME}.mp4": LARGE}
    downloads = [request for request in files.requests if request.target == "/v"]
    assert downloads[1].start > 0
    assert not any("planted" in request.head for request in downloads)


@pytest.mark.real_time
@pytest.mark.parametrize("as_json", [True, False])
async def test_ctrl_c_says_what_is_done(
    as_json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with file_server() as files:
        environ = know(files, hangs(LARGE, 300_000))
        changes: Any = {"api_base_url": environ["ACEDATACLOUD_API_BASE_URL"]}
        saving = asyncio.create_task(
            run_retrieve(
                startup(**changes), [NAME], wait_seconds=0, as_json=as_json, save_in=str(tmp_path)
            )
        )
        while not (tmp_path / f"{NAME}.part").exists():  # noqa: ASYNC110 - the disk tells nobody
            await asyncio.sleep(0)
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving

    out = capsys.readouterr().out
    if as_json:
        answer = json.loads(out)
        assert (answer["saved"], answer["not_saved"]) == ([], [])
    else:
        assert "Interrupted: 0 of 1 videos are there" in out
    assert not (tmp_path / f"{NAME}.mp4").exists()
