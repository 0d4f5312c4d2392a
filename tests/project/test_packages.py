"""The wheel and the sdist: what is in them, and that the command works where only they are."""

import json
import subprocess
import sys
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from hailuo_tasks_mcp import __version__
from repository import ROOT, copy_with_stray_files
from stdio_process import envelope, message

# In one worker, which builds once.
pytestmark = [pytest.mark.real_time, pytest.mark.xdist_group("packages")]

NAME = f"hailuo_tasks_mcp-{__version__}"
# Building takes a second; installing has to fetch all that the package depends on.
TIMEOUT_SECONDS = 180
PIP = (sys.executable, "-m", "pip", "-q", "--disable-pip-version-check")


def run_unchecked(
    *command: str, folder: Path | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - the command is ours
        command,
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        cwd=folder,
    )


def run(
    *command: str, folder: Path | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    result = run_unchecked(*command, folder=folder, stdin=stdin)
    assert result.returncode == 0, result.stderr.decode()
    return result


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a repository with stray files; return the folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("packages")
    copy = copy_with_stray_files(folder)
    run(sys.executable, "-m", "hatchling", "build", "-d", str(folder), folder=copy)
    return folder


def modules() -> set[str]:
    """Return the files of all modules of the package, as the wheel has them."""
    server = ROOT / "server"
    return {str(path.relative_to(server)) for path in server.rglob("hailuo_tasks_mcp/**/*.py")}


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())

    info = f"{NAME}.dist-info"
    assert names == modules() | {
        "hailuo_tasks_mcp/py.typed",
        "hailuo_tasks_mcp/view/task.html",
        "hailuo_tasks_mcp/sandbox/video.mp4",
        f"{info}/METADATA",
        f"{info}/RECORD",
        f"{info}/WHEEL",
        f"{info}/entry_points.txt",
        f"{info}/licenses/LICENSE",
    }


def test_the_wheel_names_its_entry_in_the_registry(built: Path) -> None:
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        metadata = Parser().parsestr(wheel.read(f"{NAME}.dist-info/METADATA").decode())

    entry = json.loads((ROOT / "server.json").read_text())
    assert metadata["Name"] == entry["packages"][0]["identifier"]
    assert metadata["Version"] == entry["packages"][0]["version"]
    assert f"mcp-name: {entry['name']}" in metadata.get_payload()


def test_the_sdist_holds_what_it_takes_to_build_test_and_bundle(built: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as sdist:
        names = {name.removeprefix(f"{NAME}/") for name in sdist.getnames()}

    assert names >= {f"server/{module}" for module in modules()}
    assert names >= {
        "README.md",
        "README.zh-CN.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        ".ci/run",
        "manifest.json",
        "server.json",
        ".mcpbignore",
        "bundle-requirements.txt",
        "icon.png",
        "docs/architecture.md",
        "docs/conversation.svg",
        "AGENTS.md",
        "SECURITY.md",
        "server/main.py",
        "server/hailuo_tasks_mcp/py.typed",
        "server/hailuo_tasks_mcp/view/task.html",
        "server/hailuo_tasks_mcp/sandbox/video.mp4",
        "tests/helpers.py",
        "tests/examples/retrieve.json",
        "tests/snapshots/tools.json",
        "tests/view/host/host.js",
        "tests/view/host/sandbox.html",
        "tests/view/video.mp4",
        "docs/view-light.png",
    }
    for stray in (
        ".env",
        "__pycache__",
        "_cache",
        ".venv",
        ".bench",
        ".view",
        "dist/",
        "notes.txt",
    ):
        assert [name for name in names if stray in name] == []


@pytest.fixture(scope="module")
def installed(built: Path) -> Path:
    """Install the wheel where nothing else is; return the folder of its commands."""
    environment = built / "environment"
    # With the pip that is here, and without compiling modules that no command imports: half the
    # time, the same files.
    venv.create(environment)
    wheel = str(built / f"{NAME}-py3-none-any.whl")
    result = run_unchecked(*PIP, "--python", str(environment), "install", "--no-compile", wheel)
    if result.returncode and has_no_index(result.stderr):
        pytest.skip("pip could not connect to the package index, where the dependencies are")
    assert result.returncode == 0, result.stderr.decode()
    return environment / ("Scripts" if sys.platform == "win32" else "bin")


def has_no_index(stderr: bytes) -> bool:
    """Return whether pip found nothing because it could not connect, going by its stderr."""
    return b"connection broken by" in stderr and b"(from versions: none)" in stderr


def test_the_command_works_where_only_the_wheel_is(installed: Path, tmp_path: Path) -> None:
    """Needs a package index; all other tests do without the network."""
    command = str(installed / "hailuo-tasks-mcp")

    version = run(command, "--version", folder=tmp_path).stdout.decode()
    checked = run(command, "check", "--sandbox", "--json", folder=tmp_path).stdout
    listed = run(
        command,
        "--sandbox",
        folder=tmp_path,
        stdin=message(1, "tools/list", envelope())
        + message(2, "resources/read", envelope(uri="ui://hailuo-tasks/task")),
    )

    assert version.split() == ["hailuo-tasks-mcp", __version__]
    assert json.loads(checked)["ok"]
    results = {
        response["id"]: response["result"]
        for response in map(json.loads, listed.stdout.splitlines())
    }
    assert [tool["name"] for tool in results[1]["tools"]] == [
        "retrieve_task",
        "retrieve_tasks_batch",
        "list_recent_tasks",
    ]
    assert results[2]["contents"][0]["text"].startswith("<!doctype html>")
    assert listed.stderr == b""
