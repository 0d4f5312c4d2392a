"""The repository as the tests of what is handed out see it."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from hailuo_tasks_mcp.settings import read_settings

ROOT = Path(__file__).parent.parent

# What running and checking leave behind, and what would be costly to copy.
_LEFT_BEHIND = (
    *(".git", ".venv", ".bench", "dist"),
    *(".hypothesis", "__pycache__", ".*_cache"),
)


class Strict(BaseModel):
    """What stands in a file that others read, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True)


def project() -> dict[str, Any]:
    """Return the project's table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def littered_copy(folder: Path) -> Path:
    """Copy the repository and leave in the copy what careless people leave in theirs."""
    copy = folder / "repository"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
    for litter in (
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
        "tests/__pycache__/helpers.cpython-311.pyc",
        ".venv/pyvenv.cfg",
        ".bench/ours/pyvenv.cfg",
        "dist/old.whl",
        "notes.txt",
    ):
        (copy / litter).parent.mkdir(parents=True, exist_ok=True)
        (copy / litter).write_text("not for others")
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
