"""The documents: what they print can be pasted, what they show is what the server answers."""

import asyncio
import json
import os
import re
import runpy
import tomllib
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree as ET

import httpx
import pytest

from documents import RUNNER, blocks, commands, own_command, serving_http, text_of, words
from hailuo_tasks_mcp.cli.list import LISTED, NOT_LISTED
from hailuo_tasks_mcp.cli.main import DEFAULT_HTTP_PORT
from hailuo_tasks_mcp.cli.retrieve import ALL_SUCCEEDED, NOT_ALL_SUCCEEDED, STILL_RUNNING, USAGE
from hailuo_tasks_mcp.cli.terminal import INTERRUPTED
from hailuo_tasks_mcp.downloads.answers import SaveSummary
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.sandbox.app import SANDBOX_TOKEN, create_sandbox
from hailuo_tasks_mcp.sandbox.server import bind_sandbox, sandbox_server, url_of
from hailuo_tasks_mcp.sandbox.tasks import SUCCEEDED_H3_TASK_ID
from hailuo_tasks_mcp.settings import VARIABLES, Settings
from hailuo_tasks_mcp.tasks.answers import ListedTask, RecentTasks, TaskSummary
from hailuo_tasks_mcp.tasks.states import State
from hailuo_tasks_mcp.tools.catalog import tools_for
from hailuo_tasks_mcp.tools.tool import check_arguments
from helpers import TIMEOUT_SECONDS
from repository import ROOT, variables_that_are_read

READMES = ("README.md", "README.zh-CN.md")
DOCUMENTS = (
    *READMES,
    *("CONTRIBUTING.md", "SECURITY.md", "AGENTS.md", "CHANGELOG.md", "benchmarks/README.md"),
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
)

# Commands that a test cannot run: they install, they need a host, Node.js or a cluster, or they are
# the tests. What curl is to send is sent.
NOT_RUN = {
    "make",
    "python3",
    "claude",
    "codex",
    "gemini",
    "pre-commit",
    ".venv/bin/pytest",
    ".venv/bin/python",
    "/opt/hailuo-tasks-mcp/bin/pip",
    "curl",
    "docker",
    "kubectl",
}

# Where documents have a server over HTTP.
URL = "https://tasks.example.com/mcp"

# What README.zh-CN.md has and README.md has not: a mirror of PyPI, which is slow or out of reach
# for many of its readers. Exactly this, and each as often as it stands here.
MIRROR = "https://mirrors.tuna.tsinghua.edu.cn/pypi/web/simple"
ONLY_IN_CHINESE: dict[str, list[Any]] = {
    "commands": [
        ({}, ["export", f"PIP_INDEX_URL={MIRROR}"]),
        ({}, ["export", f"UV_DEFAULT_INDEX={MIRROR}"]),
    ],
    "urls": [MIRROR, MIRROR],
    "variables": ["PIP_INDEX_URL", "UV_DEFAULT_INDEX"],
}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_fenced_block_is_of_a_language_that_is_tested(document: str) -> None:
    fences = re.findall(r"^```(.*)$", text_of(document), re.MULTILINE)

    assert set(fences[::2]) <= {"sh", "json", "toml"}
    assert set(fences[1::2]) <= {""}


def server_entries(document: str) -> list[Any]:
    """Return the entries of this server in the blocks for hosts."""
    entries = []
    for block in blocks(document, "json"):
        config = json.loads(block)
        for key in config.keys() & {"mcpServers", "servers"}:
            entries.extend(config[key].values())
    entries.extend(
        entry
        for block in blocks(document, "toml")
        for entry in tomllib.loads(block)["mcp_servers"].values()
    )
    for command in commands(document):
        _, (program, *arguments) = words(command)
        if program == "claude" and "add-json" in arguments:
            entries.append(json.loads(arguments[-1]))
    return entries


@pytest.mark.parametrize(
    ("document", "count"),
    [
        ("README.md", 1),
        ("README.zh-CN.md", 1),
        # Claude Code, Claude Desktop, Codex CLI, Cursor, VS Code.
        ("docs/hosts.md", 5),
    ],
)
def test_every_host_starts_the_same_command_with_the_token(document: str, count: int) -> None:
    entries = [entry for entry in server_entries(document) if "url" not in entry]

    assert len(entries) == count
    for entry in entries:
        assert [entry["command"], *entry["args"]] == RUNNER
        assert entry["env"].keys() == {"ACEDATACLOUD_API_TOKEN"}


def test_every_host_sends_a_server_on_the_web_the_token() -> None:
    entries = [entry for entry in server_entries("docs/hosts.md") if "url" in entry]

    # Codex CLI, Cursor, VS Code, Cherry Studio.
    assert len(entries) == 4
    for entry in entries:
        (header,) = (entry.get("http_headers") or entry["headers"]).items()
        assert entry["url"] == URL
        assert re.fullmatch(r"Bearer (YOUR-TOKEN|\$\{\w+:[\w-]+\})", header[1])
        assert header[0] == "Authorization"


def test_the_command_lines_of_hosts_add_a_server_on_the_web_with_the_token() -> None:
    added = [words(command)[1] for command in commands("docs/hosts.md") if URL in command]

    assert [host for host, *_ in added] == ["claude", "gemini", "codex"]
    for host, *arguments in added:
        if host == "codex":
            assert arguments[arguments.index("--url") + 1] == URL
            variable = arguments[arguments.index("--bearer-token-env-var") + 1]
            assert variable == "ACEDATACLOUD_API_TOKEN"
        else:
            assert arguments[arguments.index("--transport") + 1] == "http"
            header = arguments[arguments.index("--header") + 1]
            assert header == "Authorization: Bearer YOUR-TOKEN"


def test_vs_code_asks_for_the_token_and_hides_it() -> None:
    configs = [json.loads(block) for block in blocks("docs/hosts.md", "json")]
    local, remote = [config for config in configs if "inputs" in config]

    for config in (local, remote):
        (prompt,) = config["inputs"]
        assert (prompt["type"], prompt["password"]) == ("promptString", True)
    (prompt,) = local["inputs"]
    token = local["servers"]["hailuo-tasks"]["env"]["ACEDATACLOUD_API_TOKEN"]
    assert token == f"${{input:{prompt['id']}}}"
    (prompt,) = remote["inputs"]
    header = remote["servers"]["hailuo-tasks"]["headers"]["Authorization"]
    assert header == f"Bearer ${{input:{prompt['id']}}}"


@pytest.mark.parametrize("document", [*READMES, "docs/hosts.md"])
def test_the_command_lines_of_hosts_add_the_same_command_with_the_token(document: str) -> None:
    added = [
        words(command)[1]
        for command in commands(document)
        if " mcp add " in command and URL not in command
    ]

    assert [host for host, *_ in added] == ["claude", "codex", "gemini"]
    for _, *arguments in added:
        assert arguments[arguments.index("--env") + 1] == "ACEDATACLOUD_API_TOKEN=YOUR-TOKEN"
        before, after = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
        # Gemini CLI wants the program before the dashes.
        program = ["uvx"] if before[-1] == "uvx" else []
        assert program + after == RUNNER


@pytest.fixture
async def sandbox() -> AsyncIterator[str]:
    """Serve the sandbox on a loopback port, for the commands that send requests to an API."""
    with bind_sandbox(0) as listener:
        server = sandbox_server(create_sandbox(videos_url=url_of(listener)))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield url_of(listener)
        server.should_exit = True
        await serving


OWN = sorted(
    {command for document in DOCUMENTS for command in commands(document) if own_command(command)}
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_shell_command_is_run_or_known_to_need_more_than_this_machine(document: str) -> None:
    for command in commands(document):
        variables, parts = words(command)
        assert (
            own_command(command)
            or parts[0] in {*NOT_RUN, "echo"}
            or (variables, parts) in ONLY_IN_CHINESE["commands"]
        ), command


# Those that run until they are stopped.
SERVING = [command for command in OWN if "sandbox --port" in command or "serve --http" in command]


@pytest.mark.real_time
@pytest.mark.parametrize("command", [command for command in OWN if command not in SERVING])
async def test_the_packages_own_commands_run_as_printed(
    command: str, sandbox: str, tmp_path: Path
) -> None:
    own = own_command(command)
    assert own
    variables, parts = own
    environ = {
        **os.environ,
        "ACEDATACLOUD_API_BASE_URL": sandbox,
        "ACEDATACLOUD_API_TOKEN": SANDBOX_TOKEN,
        "HOME": str(tmp_path),
        "USERPROFILE": str(tmp_path),
    }
    (tmp_path / "ids.txt").write_text(SUCCEEDED_H3_TASK_ID)
    # The sandbox does not take the placeholder of a token.
    variables.pop("ACEDATACLOUD_API_TOKEN", None)

    process = await asyncio.create_subprocess_exec(
        *parts, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environ | variables, cwd=tmp_path
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        _, err = await process.communicate()

    # Nobody has the tasks that the placeholders stand for.
    assert process.returncode == (1 if "YOUR-TASK-ID" in command else 0)
    # What `config` says there is where its block goes; what `--save` does, how far it is.
    assert (err != b"") == (parts[1] == "config" or "--save" in parts)


@pytest.mark.real_time
@pytest.mark.parametrize("command", [command for command in OWN if "sandbox --port" in command])
async def test_the_sandbox_starts_as_printed(command: str) -> None:
    own = own_command(command.replace("8787", "0"))
    assert own

    process = await asyncio.create_subprocess_exec(*own[1], stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert process.stdout
        first = await process.stdout.readline()
        process.terminate()
        _, err = await process.communicate()

    assert first.startswith(b"SANDBOX of the Hailuo API at http://127.0.0.1:")
    assert err == b""


@pytest.mark.real_time
@pytest.mark.parametrize("command", [command for command in OWN if "serve --http" in command])
async def test_the_server_over_http_starts_as_printed(command: str, tmp_path: Path) -> None:
    own = own_command(command)
    assert own
    variables, (_, *arguments) = own
    if "ACEDATACLOUD_API_TOKEN" in variables:
        # The placeholder of a token is refused.
        variables["ACEDATACLOUD_API_TOKEN"] = SANDBOX_TOKEN
    (tmp_path / "access-tokens").write_text("an-access-token-of-a-caller\n")

    async with (
        serving_http(arguments, tmp_path, **variables) as url,
        httpx.AsyncClient() as client,
    ):
        response = await client.get(url.replace("/mcp", "/readyz"))

    assert response.text == "ready\n"


@pytest.mark.real_time
async def test_the_request_by_curl_is_answered() -> None:
    (command,) = [command for command in commands("docs/http.md") if command.startswith("curl")]
    _, printed, *options = words(command)[1]
    headers = [value.partition(": ") for flag, value in pairwise(options) if flag == "-H"]
    (body,) = [value for flag, value in pairwise(options) if flag == "-d"]

    async with serving_http(["serve", "--http", "--sandbox"]) as url, httpx.AsyncClient() as client:
        response = await client.post(
            url, content=body, headers={name: value for name, _, value in headers}
        )

    assert printed == f"http://127.0.0.1:{DEFAULT_HTTP_PORT}/mcp"
    assert response.json()["result"]["structuredContent"]["state"] == "succeeded"


@pytest.mark.real_time
async def test_the_request_by_hand_is_answered() -> None:
    (command,) = [command for command in commands("CONTRIBUTING.md") if command.startswith("echo")]
    request, _, server = command.partition(" | ")
    own = own_command(server)
    assert own

    process = await asyncio.create_subprocess_exec(*own[1], stdin=PIPE, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        out, err = await process.communicate(f"{words(request)[1][1]}\n".encode())

    assert [tool["name"] for tool in json.loads(out)["result"]["tools"]] == [
        tool.name for tool in tools_for(Settings())
    ]
    assert err == b""


WRITE_DOCS = runpy.run_path(str(ROOT / "scripts" / "write_docs.py"))


@pytest.mark.parametrize("document", WRITE_DOCS["DOCUMENTS"])
async def test_generated_parts_are_what_the_code_says(document: str) -> None:
    """To correct it: python scripts/write_docs.py."""
    assert await WRITE_DOCS["regenerate"](document, text_of(document)) == text_of(document)


def test_the_picture_shows_what_the_server_answers() -> None:
    """To correct it: python scripts/draw_conversation.py."""
    script = runpy.run_path(str(ROOT / "scripts" / "draw_conversation.py"))
    picture = text_of("docs/conversation.svg")

    assert picture == script["draw"]()
    ET.fromstring(picture)  # noqa: S314 - ours
    assert re.findall(r"(?:href|src|url)\b", picture) == []
    assert "](docs/conversation.svg)" in text_of("README.md")


@pytest.mark.parametrize("document", [*READMES, "docs/answers.md"])
def test_every_call_that_is_shown_is_one_that_the_server_accepts(document: str) -> None:
    tools = {tool.name: tool for tool in tools_for(Settings(save_dir="/videos"))}
    calls = re.findall(r"`((?:retrieve|list|save)_\w+) (\{.*\})`", text_of(document))

    assert calls
    for name, arguments in calls:
        check_arguments(tools[name], json.loads(arguments), Settings(), Redactor())


@pytest.mark.parametrize("document", [*READMES, "docs/command-line.md"])
def test_every_variable_is_listed_with_its_default(document: str) -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`|\S+) \|", text_of(document), re.MULTILINE)
    entry = json.loads(text_of("server.json"))["packages"][0]["environmentVariables"]
    # A README leaves out what is rarely set.
    rare = {variable.name for variable in VARIABLES.values() if variable.rarely_set}
    left_out = rare if document in READMES else set()

    assert [name for name, _ in rows] == [
        name for name in variables_that_are_read() if name not in left_out
    ]
    assert dict(rows) == {
        variable["name"]: variable.get("default", "")
        for variable in entry
        if variable["name"] not in left_out
    }


def listed_fields(text: str, section: str) -> list[str]:
    """Return what the table of a section has in its first column."""
    part = text.partition(f"\n{section}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return re.findall(r"`(\w+)`", " ".join(cells))


def test_every_field_state_and_exit_code_is_listed() -> None:
    answers, command_line = text_of("docs/answers.md"), text_of("docs/command-line.md")
    fields = listed_fields(answers, "## Fields of a task")
    (states,) = re.findall(r"^\| `state` \| .*$", answers, re.MULTILINE)
    codes = re.findall(r"^\| (\d+) \|", command_line, re.MULTILINE)

    assert fields == list(TaskSummary.model_fields)
    assert set(listed_fields(answers, "## A list of recent tasks")) == {
        *RecentTasks.model_fields,
        *ListedTask.model_fields,
    }
    assert listed_fields(answers, "## Saved videos") == list(SaveSummary.model_fields)
    assert re.findall(r"`(\w+)`", states)[1:] == list(get_args(State))
    assert [int(code) for code in codes] == [
        *(ALL_SUCCEEDED, NOT_ALL_SUCCEEDED, USAGE, STILL_RUNNING, INTERRUPTED),
        *(LISTED, NOT_LISTED, USAGE),
    ]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_inside_leads_somewhere(document: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text_of(document)):
        file, _, anchor = target.partition("#")
        path = (ROOT / document).parent / file if file else ROOT / document
        assert path.is_file(), target
        text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        headings = re.findall(r"^#+ (.*)$", text.lower(), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, target


def test_every_page_of_the_documents_is_linked_from_the_readme() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text_of("README.md"))

    assert {document for document in DOCUMENTS if document.startswith("docs/")} <= set(targets)


@pytest.mark.parametrize("readme", READMES)
def test_a_readme_is_under_200_lines(readme: str) -> None:
    assert len(text_of(readme).splitlines()) < 200


def shape(readme: str) -> dict[str, Any]:
    """Return what two READMEs that say the same have in common."""
    text = text_of(readme)
    return {
        "headings": [len(level) for level in re.findall(r"^(#+) ", text, re.MULTILINE)],
        "rows": len(re.findall(r"^\|", text, re.MULTILINE)),
        "items": len(re.findall(r"^- ", text, re.MULTILINE)),
        "folds": text.count("<details>"),
        "links inside": sorted(
            target.partition("#")[0]
            for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text)
            if not target.startswith("README")
        ),
        "json": blocks(readme, "json"),
        "commands": [words(command) for command in commands(readme)],
        "calls": re.findall(r"`retrieve_\w+ \{.*\}`", text),
        "urls": sorted(
            url.rstrip(".,;") for url in re.findall(r"https?://[^\s)>`\"，。；、）]+", text)
        ),
        "variables": sorted(set(re.findall(r"[A-Z]+(?:_[A-Z]+)+", text))),
    }


def test_both_readmes_say_the_same() -> None:
    chinese = shape("README.zh-CN.md")
    for what, additions in ONLY_IN_CHINESE.items():
        for addition in additions:
            chinese[what].remove(addition)

    assert chinese == shape("README.md")


def test_pre_commit_runs_what_ci_runs() -> None:
    hooks = re.findall(r"^ +entry: (.*)$", text_of(".pre-commit-config.yaml"), re.MULTILINE)
    recipe = re.search(r"^test: .*\n((?:\t.*\n)+)", text_of("Makefile"), re.MULTILINE)

    assert recipe
    assert hooks == [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    assert text_of(".ci/run").splitlines()[-1] == "make test"
    assert "make test" in {command.split("  ")[0] for command in commands("README.md")}
