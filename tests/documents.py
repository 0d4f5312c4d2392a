"""The documents, for the tests of what they print."""

import asyncio
import os
import re
import shlex
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from helpers import TIMEOUT_SECONDS
from repository import ROOT

RUNNER = ["uvx", "--from", "/path/to/hailuo-tasks-mcp", "hailuo-tasks-mcp"]
COMMAND = str(Path(sysconfig.get_path("scripts")) / "hailuo-tasks-mcp")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(document), re.MULTILINE | re.DOTALL)


def commands(document: str) -> list[str]:
    lines = [line for block in blocks(document, "sh") for line in block.splitlines()]
    return [line for line in lines if line]


def words(command: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables that a command is given, and its words."""
    parts = shlex.split(command, comments=True)
    given = 0
    while "=" in parts[given]:
        given += 1
    return dict(part.split("=", 1) for part in parts[:given]), parts[given:]


def own_command(command: str) -> tuple[dict[str, str], list[str]] | None:
    """Return a command of this package as it is run here; None for another program's."""
    variables, parts = words(command)
    for prefix in (RUNNER, ["hailuo-tasks-mcp"], [".venv/bin/hailuo-tasks-mcp"]):
        if parts[: len(prefix)] == prefix:
            return variables, [COMMAND, *parts[len(prefix) :]]
    return None


def table(document: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, without its head."""
    section = text_of(document).partition(f"## {heading}\n")[2]
    rows = re.search(r"^\|.*\n\|-.*\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert rows, heading
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[1].splitlines()]


@asynccontextmanager
async def serving_http(
    arguments: Sequence[str], folder: Path | None = None, **variables: str
) -> AsyncIterator[str]:
    """Serve as `hailuo-tasks-mcp` with these arguments does, but at any free port of loopback.

    Yield the URL. In the end it is stopped, which must succeed and say nothing.

    Args:
        arguments: of the command.
        folder: in which it is started.
        variables: of the environment.

    """
    loopback = ["127.0.0.1" if each == "0.0.0.0" else each for each in arguments]  # noqa: S104
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, *loopback, "--port", "0"),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=folder,
        env={**os.environ, **variables},
    )
    assert process.stdout
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            first = await process.stdout.readline()
        url = re.fullmatch(rb"Serving MCP at (http://127\.0\.0\.1:\d+/mcp)\n", first)
        assert url, first
        yield url[1].decode()
        process.terminate()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            _, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
