"""Write into the READMEs what the server itself knows best: its tools and worked answers.

    python scripts/write_docs.py

Each such part stands between two comments, `<!-- NAME: begin … -->` and `<!-- NAME: end -->`. A
test fails while one of them is stale.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from mcp import Client
from mcp_types import CallToolResult, Tool

from hailuo_tasks_mcp.sandbox.app import SANDBOX_ENVIRONMENT, create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import (
    DOCUMENTED_TASK_ID,
    DOCUMENTED_TIMED_TASK_ID,
    FAILED_TASK_ID,
    RUNNING_TASK_ID,
)
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.settings import read_settings

ROOT = Path(__file__).parent.parent
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md"}

# 2026-11-22, 10:00 UTC: the answers must not change from day to day.
_NOW = 1_795_341_600.0
_RUNNING_SINCE_SECONDS = 37.0
_NO_SUCH_TASK_ID = "00000000-0000-4000-8000-000000000000"

_CALLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "succeeded": ("retrieve_task", {"task_id": DOCUMENTED_TASK_ID}),
    "running": ("retrieve_task", {"task_id": RUNNING_TASK_ID}),
    "failed": ("retrieve_task", {"task_id": FAILED_TASK_ID}),
    "batch": (
        "retrieve_tasks_batch",
        {"task_ids": [DOCUMENTED_TIMED_TASK_ID, RUNNING_TASK_ID, _NO_SUCH_TASK_ID]},
    ),
}

_CHINESE = {
    "tool": "工具",
    "parameter": "参数",
    "type": "类型",
    "default": "默认值",
    "what": "说明",
    ", ": "，",
    "required": "必填",
    "string": "字符串",
    "integer": "整数",
    "list of strings": "字符串列表",
    "{} to {} characters": "{} 到 {} 个字符",
    "{} to {}": "{} 到 {}",
    "{} to {} items": "{} 到 {} 项",
    "Task id, as the video generation returned it.": "视频生成接口返回的任务 ID。",
    "1 to 100 task ids; the answer keeps their order.": "1 到 100 个任务 ID，结果按此顺序返回。",
    "Seconds to wait for running tasks to end; answers as soon as they have. 0: at once.": (
        "等待运行中任务结束的最长秒数；任务一结束就返回。0 表示不等待。"
    ),
}


async def written(language: str, text: str) -> str:
    """Return the text of a README with its written parts as they should be."""
    transport = httpx.ASGITransport(
        create_sandbox(now=lambda: _NOW, running_since_seconds=_RUNNING_SINCE_SECONDS)
    )
    settings = read_settings(SANDBOX_ENVIRONMENT)
    server = create_server(settings, transport=transport, now=lambda: _NOW)
    async with Client(server) as client:
        parts = {"tools": _tool_table((await client.list_tools()).tools, language)}
        for name, (tool, arguments) in _CALLS.items():
            parts[name] = _worked_answer(tool, arguments, await client.call_tool(tool, arguments))
    for name, part in parts.items():
        begin_mark = f"<!-- {name}: begin (python scripts/write_docs.py) -->\n"
        head, begin, rest = text.partition(begin_mark)
        _, end, tail = rest.partition(f"<!-- {name}: end -->")
        if not (begin and end):
            raise SystemExit(f"{READMES[language].name} has no part named {name}")
        text = f"{head}{begin}{part}\n{end}{tail}"
    return text


def _tool_table(tools: list[Tool], language: str) -> str:
    def said(english: str) -> str:
        return english if language == "en" else _CHINESE[english]

    rows = [[said(head) for head in ("tool", "parameter", "type", "default", "what")], ["---"] * 5]
    for tool in tools:
        name = f"`{tool.name}`"
        required = tool.input_schema["required"]
        for parameter, schema in tool.input_schema["properties"].items():
            default = said("required") if parameter in required else str(schema["default"])
            kind = _kind(schema, said)
            rows.append([name, f"`{parameter}`", kind, default, said(schema["description"])])
            name = ""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _kind(schema: Mapping[str, Any], said: Callable[[str], str]) -> str:
    """Say what values a parameter takes."""
    match schema:
        case {"type": "string", "minLength": least, "maxLength": most, "pattern": pattern}:
            parts = [
                said("string"),
                said("{} to {} characters").format(least, most),
                f"`{pattern}`",
            ]
        case {"type": "integer", "minimum": least, "maximum": most}:
            parts = [said("integer"), said("{} to {}").format(least, most)]
        case {"type": "array", "minItems": least, "maxItems": most}:
            parts = [said("list of strings"), said("{} to {} items").format(least, most)]
        case _:
            raise SystemExit(f"no words for {schema}")
    return said(", ").join(parts)


def _worked_answer(tool: str, arguments: Mapping[str, Any], result: CallToolResult) -> str:
    """Show a call and its answer, spread over lines for people."""
    answer = json.dumps(result.structured_content, indent=2, ensure_ascii=False)
    return f"`{tool} {json.dumps(arguments)}`\n\n```json\n{answer}\n```"


if __name__ == "__main__":
    for _language, _readme in READMES.items():
        _text = asyncio.run(written(_language, _readme.read_text(encoding="utf-8")))
        _readme.write_text(_text, encoding="utf-8")
