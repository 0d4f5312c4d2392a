"""The repository, for the tests of what is published from it."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from hailuo_tasks_mcp.settings import read_settings

ROOT = Path(__file__).parent.parent

# What running and checking leave behind, and what would be costly to copy.
_NOT_COPIED = (
    *(".git", ".venv", ".bench", ".conformance", ".view", ".packages", "dist"),
    *(".hypothesis", "__pycache__", ".*_cache"),
)


class Strict(BaseModel):
    """The fields of a file that others read, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


def project() -> dict[str, Any]:
    """Return the project's table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def copy_with_stray_files(folder: Path) -> Path:
    """Copy the repository and add files to the copy that must not be published."""
    copy = folder / "repository"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    for stray_file in (
        ".env",
        "server/.env",
        "server/notes.txt",
        "server/hailuo_tasks_mcp/key.pem",
        "server/hailuo_tasks_mcp/.env",
        "server/hailuo_tasks_mcp/__pycache__/server.cpython-311.pyc",
        "server/hailuo_tasks_mcp/api/key.pem",
        "server/hailuo_tasks_mcp/api/.env",
        "server/hailuo_tasks_mcp/api/__pycache__/client.cpython-311.pyc",
        "server/hailuo_tasks_mcp/.mypy_cache/missing_stubs",
        "server/hailuo_tasks_mcp/view/key.pem",
        "server/hailuo_tasks_mcp/view/draft.txt",
        "server/hailuo_tasks_mcp/api/draft.html",
        "tests/__pycache__/helpers.cpython-311.pyc",
        ".venv/pyvenv.cfg",
        ".bench/ours/pyvenv.cfg",
        ".view/host.js",
        "dist/old.whl",
        "notes.txt",
    ):
        (copy / stray_file).parent.mkdir(parents=True, exist_ok=True)
        (copy / stray_file).write_text("not for others")
    return copy


class _Environ(dict[str, str]):
    """Remembers which variables were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        self.read.append(key)
        return super().get(key, default)


def variables_that_are_read() -> list[str]:
    """Return the names of the environment variables that the settings are read from."""
    environ = _Environ()
    read_settings(environ)
    return environ.read
