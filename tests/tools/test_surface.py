"""The tool surface: what every host lists, and every model reads before its first call."""

import json
import os
from typing import Any

import pytest
from mcp import Client
from mcp_types import Tool

from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.tasks.next_steps import (
    LIST_RECENT_TASKS,
    RETRIEVE_TASK,
    RETRIEVE_TASKS_BATCH,
    SAVE_VIDEOS,
)
from helpers import settings
from repository import ROOT

SNAPSHOT = ROOT / "tests" / "snapshots" / "tools.json"
SAVING_SNAPSHOT = SNAPSHOT.with_name("save_videos.json")
NOT_FLAT = {"anyOf", "oneOf", "allOf", "$ref", "$defs", "title"}


async def published(**changes: Any) -> list[Tool]:
    async with Client(create_server(settings(**changes))) as client:
        return (await client.list_tools()).tools


async def published_with_a_folder() -> list[Tool]:
    """Return the tools of a server that saves videos."""
    return await published(save_dir="/videos")


async def test_the_tool_surface_is_the_one_in_the_snapshot() -> None:
    """To accept a change: run once with UPDATE_SNAPSHOTS=1 and look at the diff."""
    tools = [tool.model_dump(by_alias=True, exclude_none=True) for tool in await published()]
    actual = json.dumps(tools, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(actual)

    assert actual == SNAPSHOT.read_text()


async def test_a_folder_for_videos_adds_the_tool_in_its_snapshot_and_changes_no_other() -> None:
    """To accept a change: run once with UPDATE_SNAPSHOTS=1 and look at the diff."""
    *others, tool = await published_with_a_folder()
    actual = json.dumps(tool.model_dump(by_alias=True, exclude_none=True), indent=2) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SAVING_SNAPSHOT.write_text(actual)

    assert tool.name == SAVE_VIDEOS
    assert others == await published()
    assert actual == SAVING_SNAPSHOT.read_text()


async def test_the_tools_have_the_names_that_next_steps_use() -> None:
    assert [tool.name for tool in await published()] == [
        RETRIEVE_TASK,
        RETRIEVE_TASKS_BATCH,
        LIST_RECENT_TASKS,
    ]


async def test_servers_with_different_maxima_publish_their_own() -> None:
    highest = []
    for most in (240, 50):
        async with Client(create_server(settings(max_wait_seconds=most))) as client:
            tools = (await client.list_tools()).tools
        properties = [tool.input_schema["properties"] for tool in tools]
        highest += [
            each["wait_seconds"]["maximum"] for each in properties if "wait_seconds" in each
        ]

    assert highest == [240, 240, 50, 50]


def seen_length(tools: list[Tool]) -> int:
    """Return how many characters a model sees of some tools."""
    seen = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        for tool in tools
    ]
    return len(json.dumps(seen))


async def test_all_that_a_model_sees_of_the_tools_is_short() -> None:
    assert seen_length(await published()) < 3000
    assert seen_length((await published())[-1:]) < 500
    assert seen_length(await published_with_a_folder()) < 3800
    assert seen_length((await published_with_a_folder())[-1:]) < 800


def nodes(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, dict):
        return [schema, *(node for value in schema.values() for node in nodes(value))]
    if isinstance(schema, list):
        return [node for value in schema for node in nodes(value)]
    return []


@pytest.mark.parametrize(
    "name", ["retrieve_task", "retrieve_tasks_batch", "list_recent_tasks", "save_videos"]
)
async def test_a_tool_is_flat_described_and_annotated(name: str) -> None:
    (tool,) = [tool for tool in await published_with_a_folder() if tool.name == name]

    assert tool.title
    assert tool.description
    assert tool.annotations is not None
    assert tool.annotations.model_dump(exclude_none=True) == {
        "read_only_hint": name != SAVE_VIDEOS,
        "destructive_hint": False,
        "idempotent_hint": True,
        "open_world_hint": True,
    }
    assert tool.input_schema["type"] == "object"
    assert tool.input_schema["additionalProperties"] is False
    assert tool.output_schema is not None
    for schema in (tool.input_schema, tool.output_schema):
        for node in nodes(schema):
            assert not NOT_FLAT & node.keys()
            # Only a default that says something is published.
            assert type(node.get("default", 0)) is int
            for field in node.get("properties", {}).values():
                assert field["description"]
