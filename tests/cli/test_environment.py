"""Each command, as a process, with an environment that holds what no text can be."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE

import pytest

from helpers import TIMEOUT_SECONDS, TOKEN
from stdio_process import envelope, message

pytestmark = pytest.mark.real_time

COMMANDS: tuple[tuple[str, ...], ...] = (
    (),
    ("check",),
    ("check", "--json"),
    ("retrieve", "t"),
    ("config", "cursor"),
)
CALL = envelope(name="retrieve_task", arguments={"task_id": "t"})


async def run(*command: str, **environ: bytes) -> tuple[int | None, bytes, bytes]:
    # As bytes, because that is what an environment holds.
    inherited = {os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hailuo_tasks_mcp", *command),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=inherited | {os.fsencode(name): value for name, value in environ.items()},
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        out, err = await process.communicate(message(1, "tools/call", CALL))
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ACEDATACLOUD_API_BASE_URL", b"http://xn--"),
        ("ACEDATACLOUD_API_BASE_URL", "http://[::1%ä]".encode()),
        ("HTTPS_PROXY", b"http://\xffsecret:secret@127.0.0.1:9"),
        ("SSLKEYLOGFILE", b"/secret/\xff"),
    ],
)
async def test_no_command_fails_for_a_value_but_names_its_variable(
    variable: str, value: bytes
) -> None:
    environ = {"ACEDATACLOUD_API_TOKEN": TOKEN.encode(), variable: value}

    results = await asyncio.gather(*(run(*command, **environ) for command in COMMANDS))

    told = dict(zip(COMMANDS, results, strict=True))
    assert [told[command][0] for command in COMMANDS] == [0, 1, 1, 1, 0]
    (response,) = map(json.loads, told[()][1].splitlines())
    assert response["result"]["content"][0]["text"].startswith(variable)
    assert variable in told["check",][1].decode()
    assert variable in str(json.loads(told["check", "--json"][1])["checks"])
    assert variable in told["retrieve", "t"][2].decode()
    for _, out, err in results:
        assert b"secret" not in out + err
        assert b"Traceback" not in err
