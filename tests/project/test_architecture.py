"""The map of the modules in docs/architecture.md is true: imports run down it, one way."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from repository import ROOT

PACKAGE = ROOT / "server" / "hailuo_tasks_mcp"
ENTRY_POINTS = {"__init__", "__main__"}


def mapped_modules() -> list[str]:
    section = (ROOT / "docs" / "architecture.md").read_text().partition("## The modules")[2]
    return re.findall(r"^\| `([\w/]+)` \|", section, re.MULTILINE)


def modules() -> dict[str, Path]:
    """Return the files of all modules, by the name that the map has for them."""
    paths = {path.relative_to(PACKAGE).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    return {name.as_posix(): path for name, path in paths.items() if name.name not in ENTRY_POINTS}


def imported_modules(path: Path) -> set[str]:
    """Return what a file imports of this package, however it spells that."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    own = {name.removeprefix("hailuo_tasks_mcp.").replace(".", "/") for name in names}
    return own & modules().keys()


def importers_of(subpackage: str) -> set[str]:
    return {
        name
        for name, path in modules().items()
        if any(imported.startswith(f"{subpackage}/") for imported in imported_modules(path))
    }


def test_the_map_has_every_module_once() -> None:
    assert sorted(mapped_modules()) == sorted(modules())


def test_a_module_imports_only_what_stands_below_it() -> None:
    order = mapped_modules()
    upward = {
        (name, imported)
        for position, name in enumerate(order)
        for imported in imported_modules(modules()[name])
        if imported in order[: position + 1]
    }

    assert upward == set()


def test_a_package_imports_none_of_its_modules() -> None:
    # Else importing one module would import all of its subpackage, below it or not.
    for path in PACKAGE.rglob("__init__.py"):
        assert imported_modules(path) == set(), path


def test_each_subpackage_imports_only_the_libraries_it_may() -> None:
    foreign = {
        "api": ("mcp", "mcp_types"),
        "tasks": ("mcp", "mcp_types", "httpx"),
        "downloads": ("mcp", "mcp_types"),
        "tools": ("mcp", "httpx"),
        "view": ("mcp", "httpx", "pydantic"),
    }
    for subpackage, packages in foreign.items():
        for path in (PACKAGE / subpackage).glob("*.py"):
            imports = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
            assert not set(imports) & set(packages), path


def test_tools_and_the_view_lie_side_by_side() -> None:
    assert importers_of("view") == {"ui_extension"}
    assert "view" not in {name.partition("/")[0] for name in importers_of("tools")}


def test_the_sandbox_is_imported_by_the_cli_alone() -> None:
    subpackages = {name.partition("/")[0] for name in importers_of("sandbox")}

    assert subpackages == {"cli", "sandbox"}


def test_the_cli_is_imported_by_nothing_else() -> None:
    assert {name.partition("/")[0] for name in importers_of("cli")} == {"cli"}


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("subpackage", "foreign"),
    [
        ("api", ["mcp", "mcp_types"]),
        ("downloads", ["mcp", "mcp_types"]),
        ("tasks", ["mcp", "mcp_types", "httpx"]),
    ],
)
def test_importing_a_subpackage_loads_nothing_that_it_must_not_know(
    subpackage: str, foreign: list[str]
) -> None:
    names = [name.replace("/", ".") for name in modules() if name.startswith(f"{subpackage}/")]
    imports = "; ".join(f"import hailuo_tasks_mcp.{name}" for name in names)
    code = f"import sys; {imports}; print(set({foreign}) & sys.modules.keys())"

    result = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )

    assert (result.stdout, result.stderr) == ("set()\n", "")
