"""The command line."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE

import httpx
import pytest

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.cli.main import main
from hailuo_tasks_mcp.sandbox.server import bind_sandbox
from helpers import DOCUMENTED_ID, TIMEOUT_SECONDS
from repository import variables_that_are_read
from stdio_process import measured_command

HEAVY = ("mcp", "mcp_types", "pydantic", "httpx", "starlette", "uvicorn")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the command is ours
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.real_time
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_help_and_version_load_nothing_heavy(option: str) -> None:
    code = (
        "import sys, hailuo_tasks_mcp.cli.main as cli\n"
        f"try: cli.main(['{option}'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"assert not set({HEAVY!r}) & sys.modules.keys()"
    )

    result = run("-c", code)

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.real_time
def test_the_version_is_printed() -> None:
    assert run("-m", "hailuo_tasks_mcp", "--version").stdout == f"hailuo-tasks-mcp {__version__}\n"


def test_help_names_every_variable_that_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    named = re.findall(r"[A-Z]+(?:_[A-Z]+)+", capsys.readouterr().out)
    assert named == variables_that_are_read()


@pytest.mark.real_time
def test_garbage_collection_is_enabled_once_the_server_has_started() -> None:
    code = (
        "import gc; from hailuo_tasks_mcp.cli.main import main; main(['--sandbox']); "
        "print(gc.isenabled())"
    )

    assert run("-c", code).stdout == "True\n"


@pytest.mark.parametrize("arguments", [["nope"], ["--nope"], ["sandbox", "--port", "65536"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert "usage: hailuo-tasks-mcp" in capsys.readouterr().err


@pytest.mark.real_time
def test_a_port_that_is_taken_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["sandbox", "--port", str(port)]) == 1

    assert f"hailuo-tasks-mcp: port {port}: Address already in use" in capsys.readouterr().err


@pytest.mark.real_time
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--sandbox"],
        ["retrieve", "--sandbox", DOCUMENTED_ID],
        ["demo"],
        ["sandbox", "--port", "0"],
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
async def test_closed_stdout_exits_quietly(arguments: list[str], unbuffered: str) -> None:
    command = ("-m", "hailuo_tasks_mcp", *arguments)
    if arguments[0] == "sandbox":
        command = measured_command(*command)
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command),
        stdout=writing,
        stderr=PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(writing)

    async with asyncio.timeout(TIMEOUT_SECONDS):
        _, err = await process.communicate()

    assert (process.returncode, err) == (1, b"")


def run_in_shell(redirections: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with its streams redirected as a shell does it."""
    command = (sys.executable, *measured_command("-m", "hailuo_tasks_mcp"), *arguments)
    return subprocess.run(  # noqa: S603 - the command is ours
        ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", *command],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
        # Otherwise argparse passes over what it cannot write.
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )


LOOK_UP = ("retrieve", "--sandbox", DOCUMENTED_ID)
FULL = "hailuo-tasks-mcp: [Errno 28] No space left on device\n"


@pytest.mark.real_time
@pytest.mark.parametrize(
    "arguments",
    [("check", "--sandbox"), LOOK_UP, ("config", "cursor"), ("--help",), ("--version",)],
)
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_works_with_closed_streams(arguments: tuple[str, ...], closed: str) -> None:
    result = run_in_shell(closed, *arguments)

    assert result.returncode == 0
    assert (result.stdout == "") == (">&-" in closed.split())
    assert arguments[0] == "config" or result.stderr == ""


@pytest.mark.real_time
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--sandbox"),
        ("check", "--sandbox", "--json"),
        LOOK_UP,
        ("config", "cursor"),
        ("demo",),
        ("sandbox", "--port", "0"),
        ("--help",),
        ("--version",),
    ],
)
def test_output_to_a_full_disk_ends_a_command_with_the_reason(arguments: tuple[str, ...]) -> None:
    result = run_in_shell(">/dev/full", *arguments)

    assert (result.returncode, result.stderr) == (1, FULL)


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("redirections", "arguments", "code"),
    [
        (">/dev/full 2>/dev/full", LOOK_UP, 1),
        (">/dev/full 2>&-", ("--version",), 1),
        ("2>/dev/full", LOOK_UP, 0),
        ("2>/dev/full", ("config", "cursor"), 1),
        ("2>/dev/full", ("nope",), 1),
        ("<&-", ("retrieve", "--sandbox", "-"), 2),
    ],
)
def test_output_that_cannot_be_written_shows_in_the_exit_code(
    redirections: str, arguments: tuple[str, ...], code: int
) -> None:
    result = run_in_shell(redirections, *arguments)

    assert result.returncode == code
    assert "Traceback" not in result.stderr


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("closed", "names"),
    [("<&-", "stdin"), (">&-", "stdout"), ("<&- >&-", "stdin and stdout"), ("<&- >&- 2>&-", "")],
)
def test_the_server_says_which_stream_is_closed(closed: str, names: str) -> None:
    result = run_in_shell(closed, "--sandbox")

    assert result.returncode == 1
    assert result.stderr.startswith(f"hailuo-tasks-mcp: {names} closed." if names else "")
    assert len(result.stderr.splitlines()) == bool(names)


@pytest.mark.real_time
def test_the_server_works_with_a_closed_stderr() -> None:
    result = run_in_shell("2>&-")

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.real_time
def test_the_sandbox_listens_on_this_machine_only() -> None:
    with bind_sandbox(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.real_time
async def test_the_sandbox_is_served_and_prints_how_to_use_it() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hailuo_tasks_mcp", "sandbox", "--port", "0", stdout=PIPE, stderr=PIPE
    )
    assert process.stdout
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            printed = (await process.stdout.readuntil(b"Ctrl-C")).decode()
            url = next(word for word in printed.split() if word.startswith("http")).rstrip(":")
            async with httpx.AsyncClient(trust_env=False) as client:
                response = await client.post(
                    f"{url}/hailuo/tasks",
                    json={"action": "retrieve", "id": DOCUMENTED_ID},
                    headers={"authorization": "Bearer sandbox"},
                )
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    (command,) = re.findall(r"^  (ACEDATACLOUD_API_BASE_URL=.*)$", printed, re.MULTILINE)
    assert f"={url} ACEDATACLOUD_API_TOKEN=sandbox /" in command
    # Wherever it is pasted, and whatever is on the path there.
    shell = ("/bin/sh", "-c", f"{command} --version")
    pasted = subprocess.run(  # noqa: S603, ASYNC221 - the command is ours, and nothing else runs
        shell, capture_output=True, text=True, check=True, cwd="/", env={"PATH": "/bin"}
    )
    assert pasted.stdout == f"hailuo-tasks-mcp {__version__}\n"
    assert DOCUMENTED_ID in printed
    assert response.json()["id"] == DOCUMENTED_ID
    assert (err, process.returncode) == (b"", -signal.SIGINT)
