"""The bundle for Claude Desktop and other hosts: its manifest, its icon, and what goes into it."""

import json
import re
import struct
from pathlib import Path
from typing import Any, Literal

from pathspec import GitIgnoreSpec

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.settings import VARIABLES, Settings, read_settings
from hailuo_tasks_mcp.tools.catalog import tools_for
from repository import ROOT, Strict, copy_with_stray_files, project, variables_that_are_read

# Of it 16 kB are the icon, 12 kB the view, and 45 kB the hashes of the dependencies on every
# platform; packed it is about a third.
MAX_BUNDLE_BYTES = 645_000


class Author(Strict):
    name: str


class McpConfig(Strict):
    command: str
    args: list[str]
    env: dict[str, str]


class ServerOfManifest(Strict):
    type: Literal["python", "node", "binary", "uv"]
    entry_point: str
    mcp_config: McpConfig


class ToolOfManifest(Strict):
    name: str
    description: str


class Option(Strict):
    type: Literal["string", "number", "boolean", "directory", "file"]
    title: str
    description: str
    required: bool = False
    default: str | int | None = None
    sensitive: bool = False
    min: int | None = None
    max: int | None = None


class Runtimes(Strict):
    python: str


class Compatibility(Strict):
    platforms: list[Literal["darwin", "win32", "linux"]]
    runtimes: Runtimes


class Manifest(Strict):
    """What version 0.4 of the manifest allows, limited to what this one uses."""

    manifest_version: Literal["0.4"]
    name: str
    display_name: str
    version: str
    description: str
    long_description: str
    author: Author
    license: str
    keywords: list[str]
    icon: str
    server: ServerOfManifest
    tools: list[ToolOfManifest]
    # Whether there may be more, as there are where a folder for videos is set.
    tools_generated: Literal[True]
    user_config: dict[str, Option]
    compatibility: Compatibility


MANIFEST = Manifest.model_validate_json((ROOT / "manifest.json").read_text())


def filled_in(values: dict[str, Any]) -> dict[str, str]:
    """Return the environment that a host makes of a user's values, or of the defaults."""
    given = {
        name: values.get(name, option.default) for name, option in MANIFEST.user_config.items()
    }

    def fill_in(match: re.Match[str]) -> str:
        # What was left empty stays as it stands in the manifest.
        value = given[match[1]]
        return match[0] if value is None else str(value)

    env = MANIFEST.server.mcp_config.env
    return {name: re.sub(r"\$\{user_config\.(\w+)\}", fill_in, text) for name, text in env.items()}


def test_the_manifest_says_what_the_package_says() -> None:
    assert MANIFEST.name == project()["name"]
    assert MANIFEST.version == __version__
    assert MANIFEST.display_name == create_server(Settings()).title
    assert MANIFEST.compatibility.platforms == ["darwin", "win32", "linux"]
    assert MANIFEST.license == project()["license"]
    assert MANIFEST.compatibility.runtimes.python == project()["requires-python"] == ">=3.11"


def test_the_manifest_names_the_tools_and_begins_to_describe_them_as_the_server_does() -> None:
    described = {tool.name: tool.description for tool in MANIFEST.tools}

    assert list(described) == [tool.name for tool in tools_for(Settings())]
    for tool in tools_for(Settings()):
        assert (tool.definition.description or "").startswith(described[tool.name] + " ")


def test_the_entry_point_is_there_and_is_what_is_run() -> None:
    server = MANIFEST.server

    assert server.type == "uv"
    assert (ROOT / server.entry_point).is_file()
    assert server.mcp_config.command == "uv"
    assert server.mcp_config.args == [
        *("run", "--no-project", "--python", MANIFEST.compatibility.runtimes.python),
        *("--directory", "${__dirname}", server.entry_point),
    ]


def test_every_option_reaches_the_server_and_nothing_else_does() -> None:
    text = json.dumps(MANIFEST.server.model_dump())

    used = re.findall(r"\$\{user_config\.(\w+)\}", text)
    assert sorted(used) == sorted(MANIFEST.user_config)
    assert set(re.findall(r"\$\{(\w+)", text)) == {"user_config", "__dirname"}
    assert MANIFEST.server.mcp_config.env.keys() <= set(variables_that_are_read())


def test_the_manifest_asks_for_each_variable_that_has_a_title() -> None:
    """To correct it: python scripts/write_docs.py."""
    expected = {name: variable for name, variable in VARIABLES.items() if variable.title}

    assert list(MANIFEST.user_config) == list(expected)
    assert MANIFEST.server.mcp_config.env == {
        variable.name: f"${{user_config.{name}}}" for name, variable in expected.items()
    }
    for name, variable in expected.items():
        option = MANIFEST.user_config[name]
        assert option.title == variable.title
        assert option.description == variable.hint or variable.meaning
        assert (option.required, option.sensitive) == (variable.required, variable.secret)
        assert option.default == variable.default
        is_number = isinstance(variable.default, int)
        text = "directory" if variable.is_folder else "string"
        assert option.type == ("number" if is_number else text)
        bounds = (variable.minimum, variable.maximum) if is_number else (None, None)
        assert (option.min, option.max) == bounds


def test_the_defaults_are_those_of_the_server() -> None:
    assert read_settings(filled_in({})) == Settings()


def test_what_the_user_enters_is_what_the_server_reads() -> None:
    environ = filled_in(
        {"api_token": "abc", "api_base_url": "https://api.test", "max_wait_seconds": 3600}
    )

    assert read_settings(environ) == Settings(
        api_token="abc", api_base_url="https://api.test", max_wait_seconds=3600
    )


def test_the_icon_is_a_png_square_of_512_pixels() -> None:
    head = (ROOT / MANIFEST.icon).read_bytes()[:24]

    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (512, 512)


def packed_files(folder: Path) -> set[str]:
    """Return what the packer packs.

    It walks down from the top and matches each file and folder, by its name without a slash at the
    end, against .mcpbignore. Patterns for folders alone never match.
    """
    patterns = [".env*", *(folder / ".mcpbignore").read_text().splitlines()]
    ignored = GitIgnoreSpec.from_lines(patterns)
    packed, folders = set(), [folder]
    while folders:
        for path in folders.pop().iterdir():
            name = path.relative_to(folder).as_posix()
            if ignored.match_file(name):
                continue
            if path.is_dir():
                folders.append(path)
            else:
                packed.add(name)
    return packed


def test_the_bundle_holds_what_runs_and_nothing_else(tmp_path: Path) -> None:
    copy = copy_with_stray_files(tmp_path)

    packed = packed_files(copy)

    code = {str(path.relative_to(ROOT)) for path in (ROOT / "server").rglob("*.py")}
    for_http = {
        name for name in code if re.search(r"/(streamable_http/|http_worker|serve_http)", name)
    }
    assert packed == (code - for_http) | {
        "LICENSE",
        "README.md",
        "bundle-requirements.txt",
        "icon.png",
        "manifest.json",
        "pyproject.toml",
        "server/hailuo_tasks_mcp/py.typed",
        "server/hailuo_tasks_mcp/view/task.html",
        "server/hailuo_tasks_mcp/sandbox/video.mp4",
    }
    assert sum((copy / name).stat().st_size for name in packed) < MAX_BUNDLE_BYTES
