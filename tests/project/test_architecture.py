"""The map of the modules in the README is true: imports run down it, one way."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "server" / "hailuo_tasks_mcp"


def mapped_modules() -> list[str]:
    section = (ROOT / "README.md").read_text().partition("## The code")[2]
    first_cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]


def imported_modules(module: str) -> set[str]:
    """Return what a module imports of this package, however it spells that."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    own = (name.split(".") for name in names)
    return {parts[1] for parts in own if parts[0] == "hailuo_tasks_mcp" and len(parts) > 1}


def test_the_map_has_every_module() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}

    assert sorted(mapped_modules()) == sorted(modules)


def test_a_module_imports_only_what_stands_below_it() -> None:
    order = mapped_modules()
    upward = {
        (module, imported)
        for position, module in enumerate(order)
        for imported in imported_modules(module)
        if imported in order[: position + 1]
    }

    assert upward == set()


def test_sandbox_and_demo_are_imported_by_nothing_but_the_command() -> None:
    beside = {"demo", "sandbox", "sandbox_http"}
    importers = {module for module in mapped_modules() if imported_modules(module) & beside}

    assert importers <= {"cli"} | beside
