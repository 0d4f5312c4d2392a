"""How this installation is started, from wherever a host or a person does it."""

import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMAND = "hailuo-tasks-mcp"
WINDOWS = "win32"
# In a variable, so that a test can be on another one.
PLATFORM: str = sys.platform


def own_command() -> list[str]:
    """Return the command of this installation with its absolute path, as words.

    Where none is installed beside this Python, it is the Python with the module.
    """
    command = shutil.which(COMMAND, path=sysconfig.get_path("scripts"))
    return [command] if command else [sys.executable, "-m", "hailuo_tasks_mcp"]


def is_temporary() -> bool:
    """Return whether this installation is in uv's cache, as that of `uvx` is."""
    return any(
        re.fullmatch(r"(archive|environments)-v\d+", part) for part in Path(sys.prefix).parts
    )


def quoted(words: Sequence[str]) -> str:
    """Return words as a shell takes them; on Windows both PowerShell and cmd."""
    if PLATFORM != WINDOWS:
        return shlex.join(words)
    # No path has a quote in it there.
    return " ".join(w if re.fullmatch(r"[\w\\:./=-]+", w) else f'"{w}"' for w in words)


def shell_command(words: Sequence[str], variables: Mapping[str, str]) -> str:
    """Return a line that starts a command with variables; on Windows one for PowerShell."""
    if PLATFORM == WINDOWS:
        given = [f'$env:{name} = "{value}";' for name, value in variables.items()]
        # A quoted path is a mere string there, unless it is called.
        return " ".join([*given, "&", quoted(words)])
    given = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return " ".join([*given, quoted(words)])
