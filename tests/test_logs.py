"""The log: one clean line for each record, whoever logs, and nobody waits for its reader."""

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hailuo_tasks_mcp.logs import (
    MAX_EXCEPTION_LENGTH,
    MAX_MESSAGE_LENGTH,
    MAX_QUEUED_LINES,
    RedactingFormatter,
)
from hailuo_tasks_mcp.redaction import Redactor
from helpers import TIMEOUT_SECONDS, TOKEN
from stdio_process import measured_command

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: [^\x00-\x1f\x7f-\x9f]+")


def line_of(message: object, *args: object, error: BaseException | None = None) -> str:
    """Return the line of a record, after the time, the level and the logger."""
    record = logging.LogRecord(
        *("library", logging.WARNING, __file__, 1, message, args),
        exc_info=(type(error), error, error.__traceback__) if error else None,
    )
    line = RedactingFormatter(Redactor(TOKEN)).format(record)
    assert LINE.fullmatch(line)
    return line.partition("library: ")[2]


def raised(error: BaseException) -> BaseException:
    """Return an error with a traceback."""
    try:
        raise error  # noqa: TRY301 - to be caught here
    except BaseException as caught:  # noqa: BLE001 - of any kind
        return caught


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("a\x1b[2J\x1b]0;title\x07b\x9b31m", "a[2J]0;titleb31m"),
        ("first\r\nsecond\u2028third\x0bfourth", "first second third fourth"),
        ("\u202egnitfihs", "gnitfihs"),
        (f"Bearer {TOKEN}", "Bearer [token]"),
        (f"Bearer {TOKEN[:5]}\u200b\x00{TOKEN[5:]}", "Bearer [token]"),
        ("half \ud800", "half"),
    ],
)
def test_a_record_is_one_line_without_controls_and_tokens(message: str, line: str) -> None:
    assert line_of(message) == line


@pytest.mark.parametrize("filler", ["x", "x ", "\x1b", "\n", "一", "\u200b"])
def test_a_line_is_of_bounded_length_and_holds_no_part_of_a_token(filler: str) -> None:
    for length in range(MAX_MESSAGE_LENGTH - 40, MAX_MESSAGE_LENGTH):
        line = line_of(filler * (length // len(filler)) + TOKEN + filler * 1_000_000)

        assert len(line) <= MAX_MESSAGE_LENGTH
        assert TOKEN[:8] not in line


def test_an_exception_is_told_with_its_innermost_frames_in_the_same_line() -> None:
    line = line_of("%s failed", "it", error=raised(ValueError(f"bad\n{TOKEN}")))

    where = rf"tests/test_logs\.py:{raised.__code__.co_firstlineno + 3}"
    assert re.fullmatch(rf"it failed: ValueError at {where}: bad \[token\]", line)


def test_a_deep_exception_and_a_group_are_told_short() -> None:
    def deep(depth: int) -> None:
        if depth == 0:
            raise ExceptionGroup("several", [ExceptionGroup("inner", [KeyError("x" * 10_000)])])
        deep(depth - 1)

    with pytest.raises(ExceptionGroup) as caught:
        deep(50)
    (inner,) = caught.value.exceptions
    line = line_of("failed", error=caught.value)

    assert line.startswith("failed: KeyError: 'xxx")
    assert isinstance(inner, ExceptionGroup)
    assert len(line) <= len("failed: ") + MAX_EXCEPTION_LENGTH


@pytest.mark.parametrize("args", [(), (1, 2, 3), ("x",)])
def test_a_record_that_cannot_be_formatted_is_still_one_line(args: tuple[Any, ...]) -> None:
    class Raises:
        def __str__(self) -> str:
            raise ValueError(TOKEN)

    message = "%d" if args else Raises()

    assert line_of(message, *args).startswith("a record that cannot be formatted (")


EVERYTHING = f"""
import asyncio, gc, logging, sys, threading, warnings
from hailuo_tasks_mcp.logs import log_to_stderr
from hailuo_tasks_mcp.redaction import Redactor

log_to_stderr("INFO", Redactor("{TOKEN}"))
log_to_stderr("DEBUG", Redactor())
BAD = "{TOKEN} \\x1b[2J\\n" * 1000

def fail():
    raise ValueError(BAD)

class Unraisable:
    def __del__(self):
        fail()

async def never_retrieved():
    asyncio.create_task(asyncio.to_thread(fail))
    await asyncio.sleep(0.05)
    gc.collect()

logging.getLogger("library").warning(BAD)
logging.getLogger("library").debug("below the level")
warnings.warn(BAD)
asyncio.run(never_retrieved())
thread = threading.Thread(target=fail)
thread.start()
thread.join()
Unraisable()
fail()
"""


@pytest.mark.real_time
def test_whatever_fails_is_one_line_of_the_log(tmp_path: Path) -> None:
    script = tmp_path / "everything.py"
    script.write_text(EVERYTHING)
    result = subprocess.run(  # noqa: S603 - ours
        [sys.executable, *measured_command(str(script))],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )

    lines = result.stderr.splitlines()
    sources = [line.split()[2:4] for line in lines]
    assert sources == [
        ["WARNING", "library:"],
        ["WARNING", "py.warnings:"],
        ["ERROR", "asyncio:"],
        ["ERROR", "hailuo_tasks_mcp.logs:"],
        ["ERROR", "hailuo_tasks_mcp.logs:"],
        ["CRITICAL", "hailuo_tasks_mcp.logs:"],
    ]
    assert all(LINE.fullmatch(line) and len(line) <= 2_000 for line in lines)
    assert TOKEN not in result.stderr
    assert result.returncode == 1


FLOOD = """
import logging, sys
from hailuo_tasks_mcp.logs import log_to_stderr
from hailuo_tasks_mcp.redaction import Redactor

log_to_stderr("INFO", Redactor())
for number in range(3000):
    logging.warning("line %s", "x" * 500)
print("logged", flush=True)
sys.stdin.read()
logging.warning("the last one")
logging.shutdown()
"""


@pytest.mark.real_time
@pytest.mark.parametrize("is_read", [True, False])
def test_lines_that_nobody_reads_are_dropped_and_counted(tmp_path: Path, is_read: bool) -> None:
    script = tmp_path / "flood.py"
    script.write_text(FLOOD)
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, *measured_command(str(script))],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        # It comes although nobody has read a line.
        assert process.stdout.readline() == "logged\n"
        lines = [process.stderr.readline() for _ in range(MAX_QUEUED_LINES * is_read)]
        process.stdin.close()
        if not is_read:
            # Nor does the end wait for a reader.
            assert process.wait(TIMEOUT_SECONDS) == 0
        lines += process.stderr.read().splitlines()

    told = re.findall(r"(\d+) lines dropped, because nobody read stderr", "\n".join(lines))
    kept = sum(" line x" in line for line in lines)
    assert kept > 0
    if is_read:
        assert kept + sum(map(int, told)) == 3000
        assert lines[-1].endswith("the last one")
    else:
        assert kept < 3000
        assert "the last one" not in "".join(lines)
