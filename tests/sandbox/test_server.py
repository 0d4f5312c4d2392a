"""What the sandbox prints when it is served."""

import re
import shlex
from pathlib import Path

import httpx

from hailuo_tasks_mcp.sandbox import tasks
from hailuo_tasks_mcp.sandbox.app import create_sandbox
from hailuo_tasks_mcp.sandbox.server import how_to_use

# The longest that a base URL of the sandbox can be.
URL = "http://127.0.0.1:65535"


def test_it_names_every_task_that_it_starts_with() -> None:
    ids = {value for name, value in vars(tasks).items() if name.endswith("TASK_ID")}

    assert set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", how_to_use(URL))) == ids


def test_it_fits_eighty_columns_but_for_the_command_that_starts_the_server() -> None:
    wide = [line for line in how_to_use(URL).splitlines() if len(line) > 80]

    assert [Path(line.split()[-1]).name for line in wide] == ["hailuo-tasks-mcp"]


async def test_the_requests_that_it_prints_make_tasks() -> None:
    transport = httpx.ASGITransport(create_sandbox())
    told = how_to_use(URL).replace("\\\n", "")
    commands = re.findall(r"^  curl .*?'$", told, re.MULTILINE | re.DOTALL)
    made = []
    async with httpx.AsyncClient(transport=transport) as client:
        for command in commands:
            _, url, _, header, _, body = shlex.split(command)
            name, _, value = header.partition(": ")
            response = await client.post(url, headers={name: value}, content=body)
            made.append((response.request.url.path, "task_id" in response.json()))

    assert made == [("/hailuo/videos", True), ("/minimax/videos", True)]
