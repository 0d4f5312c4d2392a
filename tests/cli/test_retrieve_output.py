"""What `hailuo-tasks-mcp retrieve` prints besides the tasks, and how it ends, by Ctrl-C too."""

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.cli import retrieve
from hailuo_tasks_mcp.cli.main import main
from hailuo_tasks_mcp.cli.retrieve import run_retrieve
from hailuo_tasks_mcp.cli.terminal import ProgressLine
from hailuo_tasks_mcp.errors import TokenMissingError
from helpers import TIMEOUT_SECONDS, http_response, raw_server, read_request, startup
from two_services import TwoServices

RUNNING = {"created_at": 1736863661.511, "started_at": 1736863662}
SANDBOX_LINE = "SANDBOX: these tasks and videos are made up."


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> TwoServices:
    """Stand in for the platform of every look-up of the command."""
    api = TwoServices()
    monkeypatch.setattr(retrieve, "start", lambda *, sandbox: startup(api, sandbox=sandbox))
    return api


def test_several_tasks_end_with_a_line_of_counts(
    api: TwoServices, capsys: pytest.CaptureFixture[str]
) -> None:
    api.know("hailuo", "a", "c")
    api.know("hailuo", "b", **RUNNING)

    assert main(["retrieve", "b", "a", "c"]) == 3

    assert capsys.readouterr().out.endswith("\n\n3 tasks: 2 succeeded, 1 processing\n")


def test_a_person_is_shown_all_videos_that_were_read_and_the_number_of_the_others(
    api: TwoServices, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = [f"https://cdn.test/{number}/{'x' * 500}.mp4" for number in range(60)]
    response = {"success": True, "data": [{"video_url": url} for url in urls]}
    api.know("hailuo", "a", response=response)

    assert main(["retrieve", "a"]) == 0
    printed = capsys.readouterr().out
    assert main(["retrieve", "--json", "a"]) == 0
    answer = json.loads(capsys.readouterr().out)

    assert [url in printed for url in urls] == [True] * 50 + [False] * 10
    assert "  more     10 more videos\n" in printed
    assert answer["more_videos"] == 60 - len(answer["video_urls"]) > 40


def test_one_task_has_no_line_of_counts(
    api: TwoServices, capsys: pytest.CaptureFixture[str]
) -> None:
    api.know("hailuo", "a")

    assert main(["retrieve", "a", "a"]) == 0

    assert " tasks: " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            httpx.Response(401, json={"error": {"code": "invalid_token"}, "trace_id": "abc-1"}),
            {
                "message": "The API rejected the token (HTTP 401, invalid_token)",
                "remedy": "Set ACEDATACLOUD_API_TOKEN to a token that is valid; create "
                "one at https://platform.acedata.cloud.",
                "trace_id": "abc-1",
            },
        ),
        (
            httpx.Response(403, json={"error": {"code": "used_up"}}),
            {
                "message": "The account's balance is used up (HTTP 403, used_up)",
                "remedy": "Top it up at https://platform.acedata.cloud.",
            },
        ),
    ],
)
@pytest.mark.parametrize("ids", [["a"], ["a", "b"]])
def test_as_json_an_error_is_an_object_on_stdout_in_words_for_a_person(
    ids: list[str],
    answer: httpx.Response,
    error: dict[str, str],
    api: TwoServices,
    capsys: pytest.CaptureFixture[str],
) -> None:
    api.fail(answer)

    assert main(["retrieve", "--json", *ids]) == 1

    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": error}
    assert err == ""


def test_as_json_a_setting_that_cannot_be_used_is_an_object_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACEDATACLOUD_API_TOKEN", "YOUR-TOKEN")

    assert main(["retrieve", "--json", "a"]) == 1

    message = "ACEDATACLOUD_API_TOKEN holds a placeholder, not a token"
    assert json.loads(capsys.readouterr().out)["error"]["message"] == message


@pytest.mark.parametrize("ids", [["a"], ["a", "b"]])
def test_what_comes_from_the_sandbox_says_so(
    ids: list[str], api: TwoServices, capsys: pytest.CaptureFixture[str]
) -> None:
    api.know("hailuo", "a", "b")

    main(["retrieve", "--sandbox", *ids])
    assert capsys.readouterr().out.splitlines()[-1] == SANDBOX_LINE
    main(["retrieve", "--sandbox", "--json", *ids])
    assert json.loads(capsys.readouterr().out)["sandbox"] is True
    main(["retrieve", "--sandbox", "--json", "no id"])
    assert json.loads(capsys.readouterr().out)["sandbox"] is True


def test_what_does_not_come_from_the_sandbox_does_not_say_so(
    api: TwoServices, capsys: pytest.CaptureFixture[str]
) -> None:
    api.know("hailuo", "a")

    main(["retrieve", "a"])
    main(["retrieve", "a", "--json"])

    assert "sandbox" not in capsys.readouterr().out.lower()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def waited(api: TwoServices, monkeypatch: pytest.MonkeyPatch, **options: Any) -> str:
    """Return what a wait for the task `a` writes to a terminal."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    given = {"wait_seconds": 20, "as_json": False} | options
    await run_retrieve(startup(api), ["a"], **given)
    return terminal.getvalue()


async def test_the_bell_rings_at_the_end_of_a_wait(
    api: TwoServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.know("hailuo", "a", **RUNNING)

    assert (await waited(api, monkeypatch)).endswith("\r\a")


async def test_the_bell_rings_where_the_wait_ends_with_an_error(
    api: TwoServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.fail(httpx.Response(503))

    assert "\a" in await waited(api, monkeypatch)


@pytest.mark.parametrize(
    ("running", "options"), [(False, {}), (True, {"wait_seconds": 0}), (False, {"as_json": True})]
)
async def test_no_bell_rings_where_nothing_was_waited_for(
    running: bool,
    options: dict[str, Any],
    api: TwoServices,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api.know("hailuo", "a", **(RUNNING if running else {}))

    assert "\a" not in await waited(api, monkeypatch, **options)


async def test_no_bell_rings_where_there_is_no_terminal(
    api: TwoServices, capsys: pytest.CaptureFixture[str]
) -> None:
    api.know("hailuo", "a", **RUNNING)

    await run_retrieve(startup(api), ["a"], wait_seconds=20, as_json=False)

    out, err = capsys.readouterr()
    assert ("\a" in out, err) == (False, "")


@pytest.fixture
def interrupted_after_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def report(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressLine, "report", report)


@pytest.mark.usefixtures("interrupted_after_the_first_answer")
@pytest.mark.parametrize("disposition", [signal.default_int_handler, signal.SIG_DFL])
def test_ctrl_c_during_a_wait_prints_the_last_state_known(
    disposition: Any, api: TwoServices, capsys: pytest.CaptureFixture[str]
) -> None:
    api.know("hailuo", "a", **RUNNING)
    before = signal.signal(signal.SIGINT, disposition)
    try:
        assert main(["retrieve", "a", "b", "--wait", "600"]) == 130
        # Whatever comes afterwards is ended as before.
        assert signal.getsignal(signal.SIGINT) is disposition
    finally:
        signal.signal(signal.SIGINT, before)

    out, err = capsys.readouterr()
    assert out.startswith("a: processing\n")
    assert out.endswith("\n\n2 tasks: 1 processing, 1 not_found\n")
    assert err == ""


@pytest.mark.usefixtures("interrupted_after_the_first_answer")
def test_ctrl_c_during_a_wait_prints_the_last_state_known_as_json(
    api: TwoServices, capsys: pytest.CaptureFixture[str]
) -> None:
    api.know("hailuo", "a", **RUNNING)

    assert main(["retrieve", "a", "--wait", "600", "--json"]) == 130

    assert json.loads(capsys.readouterr().out)["state"] == "processing"


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_before_the_first_answer_says_that_nothing_was_learned(
    as_json: bool,
    api: TwoServices,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def interrupt(*_: object) -> httpx.Response:
        signal.raise_signal(signal.SIGINT)
        return await asyncio.Future()

    monkeypatch.setattr(api, "handle_async_request", interrupt)

    assert main(["retrieve", "a", "--wait", "600", *(["--json"] if as_json else [])]) == 130

    out, err = capsys.readouterr()
    message = "Interrupted before anything was learned"
    if as_json:
        assert json.loads(out)["error"] == {"message": message, "remedy": "Try again."}
    else:
        assert (out, err) == ("", f"hailuo-tasks-mcp: {message}.\n")


async def test_whoever_cancels_a_look_up_is_not_kept(
    api: TwoServices, capsys: pytest.CaptureFixture[str]
) -> None:
    api.know("hailuo", "a", **RUNNING)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await run_retrieve(startup(api), ["a"], wait_seconds=60, as_json=False)

    assert capsys.readouterr().out.startswith("a: processing\n")


def shown(written: str) -> list[str]:
    """Return the lines that a terminal shows of what was written to it."""
    lines = []
    for line in written.split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        lines.append("".join(cells).rstrip())
    return lines


@asynccontextmanager
async def platform_where_a_task_runs() -> AsyncIterator[str]:
    """Serve both services on a loopback port; yield the base URL."""

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            known = request.startswith(b"POST /hailuo/tasks ")
            writer.write(http_response({"id": "a", **RUNNING} if known else {}))
            await writer.drain()

    async with raw_server(on_connection) as address:
        yield f"http://{address}"


@pytest.mark.real_time
@pytest.mark.skipif(not hasattr(os, "login_tty"), reason="needs a terminal")
async def test_ctrl_c_at_a_terminal_leaves_a_clean_line_and_ends_the_process_by_the_signal() -> (
    None
):
    arguments = [sys.executable, "-m", "hailuo_tasks_mcp", "retrieve", "a", "--wait", "600"]
    code = f"import os; os.login_tty(0); os.execv({sys.executable!r}, {arguments!r})"
    ours, theirs = os.openpty()
    written = b""
    async with platform_where_a_task_runs() as url, asyncio.timeout(TIMEOUT_SECONDS):
        environ = {"ACEDATACLOUD_API_BASE_URL": url, "ACEDATACLOUD_API_TOKEN": "t"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code), stdin=theirs, env={**os.environ, **environ}
        )
        os.close(theirs)
        while b"processing" not in written:
            written += await asyncio.to_thread(os.read, ours, 1000)
        os.write(ours, b"\x03")
        await process.wait()
    while chunk := read_what_is_left(ours):
        written += chunk
    os.close(ours)

    assert b"^C" in written
    assert process.returncode == -signal.SIGINT
    lines = shown(written.decode().replace("\r\n", "\n"))
    assert lines[0] == "a: processing"
    assert "^C" not in "".join(lines)
    assert "of 600 s" not in "".join(lines)


def read_what_is_left(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1000)
    except OSError:
        # Linux has no other word for the end of a terminal.
        return b""


@pytest.mark.parametrize("ids", [["a"], ["a", "b"]])
async def test_without_a_token_a_person_is_told_in_words_for_a_person(
    ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    problem = TokenMissingError("No API token is set").failure

    code = await run_retrieve(startup(problem=problem), ids, wait_seconds=0, as_json=True)

    assert code == 1
    assert "Ask the user" not in capsys.readouterr().out
