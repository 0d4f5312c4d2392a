"""`server.json`, by which the MCP registry knows the server."""

import json
import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.settings import PLATFORM_URL, VARIABLES, Settings, read_settings
from repository import ROOT, Strict, project, variables_that_are_read

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"


class Variable(Strict):
    name: str
    description: str
    is_required: Annotated[bool, Field(alias="isRequired")] = False
    is_secret: Annotated[bool, Field(alias="isSecret")] = False
    format: Literal["string", "number", "boolean", "filepath"] = "string"
    choices: list[str] | None = None
    default: str | None = None


class StdioTransport(Strict):
    type: Literal["stdio"]


class Package(Strict):
    registry_type: Annotated[Literal["pypi"], Field(alias="registryType")]
    identifier: str
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    runtime_hint: Annotated[Literal["uvx"], Field(alias="runtimeHint")]
    transport: StdioTransport
    environment_variables: Annotated[list[Variable], Field(alias="environmentVariables")]


class ServerEntry(Strict):
    """What the schema and the registry allow, limited to what this entry uses."""

    schema_: Annotated[str, Field(alias="$schema")]
    name: Annotated[
        str,
        StringConstraints(
            min_length=3, max_length=200, pattern=r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$"
        ),
    ]
    title: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    description: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    version: Annotated[str, StringConstraints(max_length=255)]
    packages: Annotated[list[Package], Field(min_length=1, max_length=1)]


ENTRY = ServerEntry.model_validate_json((ROOT / "server.json").read_text())
(PACKAGE,) = ENTRY.packages


def test_the_entry_says_what_the_package_says() -> None:
    assert ENTRY.schema_ == SCHEMA
    assert ENTRY.version == PACKAGE.version == __version__
    assert PACKAGE.identifier == project()["name"]
    # The runner starts the command that has the package's name.
    assert PACKAGE.identifier in project()["scripts"]


def test_both_readmes_carry_the_registrys_ownership_marker() -> None:
    for readme in ("README.md", "README.zh-CN.md"):
        marker = re.findall(r"mcp-name: (\S+)", (ROOT / readme).read_text(encoding="utf-8"))
        assert marker == [ENTRY.name]


def test_the_entry_describes_every_variable_that_is_read() -> None:
    """To correct it: python scripts/write_docs.py."""
    described = {variable.name: variable for variable in PACKAGE.environment_variables}

    assert list(described) == variables_that_are_read()
    for variable in VARIABLES.values():
        entry = described[variable.name]
        assert (entry.description, entry.default) == (variable.meaning, variable.default_text)
        assert (entry.is_required, entry.is_secret) == (variable.required, variable.secret)
        assert entry.choices == (list(variable.choices) if variable.choices else None)
        assert (entry.format == "number") == isinstance(variable.default, int | float)
    defaults = {entry.name: entry.default for entry in described.values() if entry.default}
    assert read_settings(defaults) == Settings()


def test_no_url_is_given_that_does_not_exist() -> None:
    text = json.dumps(json.loads((ROOT / "server.json").read_text()))

    urls = re.findall(r"https?://[^\s\"]+", text)
    assert set(urls) == {SCHEMA, Settings().api_base_url, f"{PLATFORM_URL}/console/applications"}
