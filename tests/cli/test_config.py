"""`hailuo-tasks-mcp config`: what to paste for a host starts this installation, without a token."""

import json
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hailuo_tasks_mcp import __version__, installation
from hailuo_tasks_mcp.cli.main import HOSTS, main
from hailuo_tasks_mcp.errors import TokenPlaceholderError
from hailuo_tasks_mcp.settings import read_settings
from helpers import TOKEN

TOKEN_VARIABLE = "ACEDATACLOUD_API_TOKEN"
COMMAND_LINES = ("claude-code", "gemini")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    assert main(["config", *arguments]) == 0
    out, err = capsys.readouterr()
    return out, err


def entry(host: str, block: str) -> dict[str, Any]:
    """Return what a block says of the server: `command`, `args` and, if there is any, `env`."""
    if host in COMMAND_LINES:
        return entry_of_command(block)
    if host == "codex":
        servers = tomllib.loads(block)["mcp_servers"]
    else:
        servers = json.loads(block)["servers" if host == "vscode" else "mcpServers"]
    ((name, found),) = servers.items()
    assert name == "hailuo-tasks"
    return dict(found)


def entry_of_command(block: str) -> dict[str, Any]:
    words = shlex.split(block.replace("\\\n", ""))
    assert words[1:3] == ["mcp", "add"]
    assert words[words.index("--scope") + 1] == "user"
    env = {}
    if "--env" in words:
        name, _, value = words[words.index("--env") + 1].partition("=")
        env = {"env": {name: value}}
    # Gemini CLI has the program after the name, Claude Code after the dashes.
    if words[0] == "claude":
        command, *args = words[words.index("--") + 1 :]
    else:
        command, *rest = words[words.index("hailuo-tasks") + 1 :]
        args = [word for word in rest if word != "--"]
    return {"command": command, "args": args, **env}


@pytest.fixture
def spaced_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have this installation's command in a folder that a shell, JSON and TOML must quote."""
    scripts = tmp_path / "my 'own' \"tools\" 海螺 $HOME"
    scripts.mkdir()
    command = scripts / "hailuo-tasks-mcp"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m hailuo_tasks_mcp "$@"\n')
    command.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(scripts))
    return command


@pytest.mark.parametrize("host", HOSTS)
def test_the_block_of_each_host_starts_this_installation_by_its_path(
    host: str, spaced_scripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = printed(capsys, host)

    found = entry(host, out)
    assert [found["command"], *found["args"]] == [str(spaced_scripts)]


@pytest.mark.real_time
@pytest.mark.parametrize("host", HOSTS)
def test_what_the_block_of_each_host_starts_is_the_server(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = entry(host, printed(capsys, host)[0])

    result = subprocess.run(  # noqa: S603 - the command is ours
        [found["command"], *found["args"], "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={},
    )

    assert result.stdout == f"hailuo-tasks-mcp {__version__}\n"


@pytest.mark.parametrize("host", HOSTS)
def test_without_an_installed_command_it_is_this_python_with_the_module(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))

    found = entry(host, printed(capsys, host)[0])

    assert [found["command"], *found["args"]] == [sys.executable, "-m", "hailuo_tasks_mcp"]


@pytest.mark.parametrize("host", HOSTS)
def test_no_token_is_printed_and_what_is_left_in_its_place_is_recognised(
    host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)

    out, err = printed(capsys, host)

    assert TOKEN not in out + err
    env = entry(host, out)["env"]
    assert env.keys() == {TOKEN_VARIABLE}
    if env[TOKEN_VARIABLE] == "YOUR-TOKEN":
        with pytest.raises(TokenPlaceholderError):
            read_settings(env)
        assert "with your token in place of YOUR-TOKEN" in err
    else:
        assert read_settings(env).api_token is None


def test_cursor_takes_the_token_from_its_environment(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = printed(capsys, "cursor")

    assert entry("cursor", out)["env"] == {TOKEN_VARIABLE: "${env:ACEDATACLOUD_API_TOKEN}"}
    assert "start Cursor from where ACEDATACLOUD_API_TOKEN is set" in err


def test_vs_code_asks_for_the_token_and_hides_it(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = printed(capsys, "vscode")

    (asked,) = json.loads(out)["inputs"]
    assert (asked["type"], asked["password"]) == ("promptString", True)
    assert entry("vscode", out)["env"] == {TOKEN_VARIABLE: f"${{input:{asked['id']}}}"}
    assert "VS Code asks for the token" in err


@pytest.mark.parametrize("host", HOSTS)
def test_for_the_sandbox_no_token_is_asked_for(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = printed(capsys, host, "--sandbox")

    found = entry(host, out)
    assert found["args"] == ["--sandbox"]
    assert "env" not in found
    assert "token" not in (out + err).lower()


@pytest.mark.real_time
@pytest.mark.parametrize("host", COMMAND_LINES)
@pytest.mark.parametrize("arguments", [[], ["--sandbox"]])
def test_a_shell_passes_the_printed_command_on_as_it_is_meant(
    host: str,
    arguments: list[str],
    spaced_scripts: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, _ = printed(capsys, host, *arguments)
    host_command = shlex.split(out.replace("\\\n", ""))[0]

    told = subprocess.run(  # noqa: S603 - the script is ours
        ["/bin/sh", "-c", f"{host_command}() {{ printf '%s\\n' \"$@\"; }}\n{out}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert str(spaced_scripts) in told.stdout.splitlines()
    assert told.stdout.splitlines() == shlex.split(out.replace("\\\n", ""))[1:]


FILES = {
    "claude-code": ("~/.claude.json", "~/.claude.json", "%USERPROFILE%\\.claude.json"),
    "claude-desktop": (
        "~/.config/Claude/claude_desktop_config.json",
        "~/Library/Application Support/Claude/claude_desktop_config.json",
        "%APPDATA%\\Claude\\claude_desktop_config.json",
    ),
    "cursor": ("~/.cursor/mcp.json", "~/.cursor/mcp.json", "%USERPROFILE%\\.cursor\\mcp.json"),
    "vscode": (
        "~/.config/Code/User/mcp.json",
        "~/Library/Application Support/Code/User/mcp.json",
        "%APPDATA%\\Code\\User\\mcp.json",
    ),
    "codex": ("~/.codex/config.toml", "~/.codex/config.toml", "%USERPROFILE%\\.codex\\config.toml"),
    "gemini": (
        "~/.gemini/settings.json",
        "~/.gemini/settings.json",
        "%USERPROFILE%\\.gemini\\settings.json",
    ),
    "cherry-studio": ("Import from JSON",) * 3,
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(("number", "platform"), [(0, "linux"), (1, "darwin"), (2, "win32")])
def test_one_line_says_where_it_goes_on_this_platform(
    host: str,
    number: int,
    platform: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(installation, "PLATFORM", platform)

    _, err = printed(capsys, host)

    (line,) = err.splitlines()
    assert FILES[host][number] in line


@pytest.mark.parametrize("host", COMMAND_LINES)
def test_on_windows_a_command_is_one_line_with_the_quotes_of_its_shells(
    host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "C:\\Program Files (x86)\\Python\\Scripts\\hailuo-tasks-mcp.exe"
    monkeypatch.setattr(installation, "PLATFORM", "win32")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: path)

    out, _ = printed(capsys, host)

    assert f'"{path}"' in out
    assert "--env ACEDATACLOUD_API_TOKEN=YOUR-TOKEN" in out
    assert len(out.splitlines()) == 1


def test_on_windows_a_command_with_variables_is_for_powershell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installation, "PLATFORM", "win32")

    line = installation.shell_command(["C:\\my tools\\a.exe", "-m", "b"], {"X": "1", "Y": "2"})

    assert line == '$env:X = "1"; $env:Y = "2"; & "C:\\my tools\\a.exe" -m b'


def test_a_path_in_uvs_cache_is_told_to_be_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/me/.cache/uv/archive-v0/x1")

    _, err = printed(capsys, "cursor")

    assert "uv tool install" in err.splitlines()[1]


def test_another_host_is_wrong_usage_that_names_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["config", "emacs"])

    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert all(host in err for host in HOSTS)
