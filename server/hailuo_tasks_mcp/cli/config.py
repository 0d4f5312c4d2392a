"""`hailuo-tasks-mcp config`: what to paste so that a host starts this installation.

No token is in it: whoever reads along, in a terminal or its history, has none then.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hailuo_tasks_mcp import installation
from hailuo_tasks_mcp.installation import is_temporary, own_command, quoted
from hailuo_tasks_mcp.settings import TOKEN_VARIABLE

NAME = "hailuo-tasks"
# The server calls this a placeholder if it is left.
TOKEN_PLACEHOLDER = "YOUR-TOKEN"  # noqa: S105 - no token at all
_PUT_TOKEN = f", with your token in place of {TOKEN_PLACEHOLDER}"
_INPUT_ID = "acedatacloud-token"
# Where programs keep their settings, and where users have theirs.
_FOLDERS = {
    "win32": ("%APPDATA%", "%USERPROFILE%"),
    "darwin": ("~/Library/Application Support", "~"),
    "linux": ("~/.config", "~"),
}

Block = Callable[[Sequence[str], bool], str]
"""Makes what is to be pasted of the server's command, with a token or, for the sandbox, without."""


@dataclass(frozen=True, slots=True)
class _Host:
    """One host.

    Attributes:
        block: makes what is to be pasted.
        where: where it goes; `{settings}` and `{home}` stand for folders, `{token}` for the next.
        token: how the token gets there.

    """

    block: Block
    where: str
    token: str = _PUT_TOKEN


def run(options: argparse.Namespace) -> int:
    """Print the block on stdout and where it goes on stderr; return the exit code."""
    print(block_for(options.host, sandbox=options.sandbox))
    print(where_for(options.host, sandbox=options.sandbox), file=sys.stderr)
    if is_temporary():
        print(
            "This path is in uv's cache, which may be emptied: `uv tool install` makes one that "
            "stays.",
            file=sys.stderr,
        )
    return 0


def block_for(host: str, *, sandbox: bool = False) -> str:
    """Return what is to be pasted for a host."""
    command = [*own_command(), *(["--sandbox"] if sandbox else [])]
    return _HOSTS[host].block(command, not sandbox)


def where_for(host: str, *, sandbox: bool = False) -> str:
    """Return in one line where the block of a host goes, on this platform."""
    settings, home = _FOLDERS.get(installation.PLATFORM, _FOLDERS["linux"])
    known = _HOSTS[host]
    where = known.where.format(settings=settings, home=home, token="" if sandbox else known.token)
    return where.replace("/", "\\") if installation.PLATFORM == installation.WINDOWS else where


def _claude_code(command: Sequence[str], with_token: bool) -> str:
    token = [["--env", f"{TOKEN_VARIABLE}={TOKEN_PLACEHOLDER}"]] if with_token else []
    return _wrapped(["claude", "mcp", "add", NAME, "--scope", "user"], *token, ["--", *command])


def _gemini(command: Sequence[str], with_token: bool) -> str:
    token = [["--env", f"{TOKEN_VARIABLE}={TOKEN_PLACEHOLDER}"]] if with_token else []
    # Gemini CLI wants the program before the dashes, and dashes only before further words.
    program, *arguments = command
    rest = [NAME, program, *(["--", *arguments] if arguments else [])]
    return _wrapped(["gemini", "mcp", "add", "--scope", "user"], *token, rest)


def _wrapped(*parts: Sequence[str]) -> str:
    """Return a command with a line for each part, as far as a shell can be told so.

    On Windows it is one line, because PowerShell and cmd have different words for that.
    """
    one_line = installation.PLATFORM == installation.WINDOWS
    return (" " if one_line else " \\\n  ").join(map(quoted, parts))


def _codex(command: Sequence[str], with_token: bool) -> str:
    program, *arguments = map(_toml_string, command)
    lines = [
        f"[mcp_servers.{NAME}]",
        f"command = {program}",
        f"args = [{', '.join(arguments)}]",
    ]
    if with_token:
        token = f"{TOKEN_VARIABLE} = {_toml_string(TOKEN_PLACEHOLDER)}"
        lines += ["", f"[mcp_servers.{NAME}.env]", token]
    return "\n".join(lines)


def _toml_string(text: str) -> str:
    # A JSON string is a basic string of TOML, as long as no surrogate pairs are in it.
    return json.dumps(text, ensure_ascii=False)


def _mcp_servers(command: Sequence[str], with_token: bool, token: str = TOKEN_PLACEHOLDER) -> str:
    return _json({"mcpServers": {NAME: _entry(command, with_token, token)}})


def _cursor(command: Sequence[str], with_token: bool) -> str:
    return _mcp_servers(command, with_token, f"${{env:{TOKEN_VARIABLE}}}")


def _vscode(command: Sequence[str], with_token: bool) -> str:
    entry = {"type": "stdio", **_entry(command, with_token, f"${{input:{_INPUT_ID}}}")}
    asked = {
        "type": "promptString",
        "id": _INPUT_ID,
        "description": "API token of Ace Data Cloud",
        "password": True,
    }
    inputs = {"inputs": [asked]} if with_token else {}
    return _json({**inputs, "servers": {NAME: entry}})


def _entry(command: Sequence[str], with_token: bool, token: str) -> dict[str, Any]:
    program, *arguments = command
    environment = {"env": {TOKEN_VARIABLE: token}} if with_token else {}
    return {"command": program, "args": arguments, **environment}


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2)


_HOSTS = {
    "claude-code": _Host(
        _claude_code, "Run it in a terminal{token}; Claude Code keeps it in {home}/.claude.json."
    ),
    "claude-desktop": _Host(
        _mcp_servers,
        "Merge it into {settings}/Claude/claude_desktop_config.json{token}, and restart Claude "
        "Desktop.",
    ),
    "cursor": _Host(
        _cursor,
        "Merge it into {home}/.cursor/mcp.json{token}.",
        f", and start Cursor from where {TOKEN_VARIABLE} is set",
    ),
    "vscode": _Host(
        _vscode,
        "Merge it into {settings}/Code/User/mcp.json, or .vscode/mcp.json of a workspace{token}.",
        "; VS Code asks for the token when it starts the server",
    ),
    "codex": _Host(_codex, "Append it to {home}/.codex/config.toml{token}."),
    "gemini": _Host(
        _gemini, "Run it in a terminal{token}; Gemini CLI keeps it in {home}/.gemini/settings.json."
    ),
    "cherry-studio": _Host(
        _mcp_servers,
        "Paste it in Settings > MCP Servers > Add Server > Import from JSON{token}.",
    ),
}
