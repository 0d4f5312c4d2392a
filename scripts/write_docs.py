"""Write the parts of the documents that the code knows best: tools, answers, settings.

    python scripts/write_docs.py

In Markdown, each such part stands between two comments, `<!-- NAME: begin … -->` and
`<!-- NAME: end -->`; in the registry's entry and the bundle's manifest it is what describes the
environment variables. A test fails while one of them is stale.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from mcp import Client
from mcp_types import CallToolResult, Tool

from hailuo_tasks_mcp.sandbox.app import SANDBOX_ENVIRONMENT, create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import (
    DOCUMENTED_TASK_ID,
    FAILED_TASK_ID,
    RUNNING_TASK_ID,
    SUCCEEDED_H3_TASK_ID,
)
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.settings import VARIABLES, Variable, read_settings

ROOT = Path(__file__).parent.parent

# Which parts a document must have, and in which language they are.
DOCUMENTS: Mapping[str, tuple[str, Sequence[str]]] = {
    "README.md": ("en", ("tools", "succeeded", "environment")),
    "docs/answers.md": (
        "en",
        ("tools", "succeeded", "expired", "running", "failed", "batch", "recent", "saved"),
    ),
    "docs/command-line.md": ("en", ("environment",)),
    "README.zh-CN.md": ("zh", ("tools", "succeeded", "environment")),
}

# 2026-11-22, 10:00 UTC: the answers must not change from day to day.
_NOW = 1_795_341_600.0
_RUNNING_SINCE_SECONDS = 37.0
# Of whoever reads it.
_SAVE_DIR = "/home/you/Videos"
_NO_SUCH_TASK_ID = "00000000-0000-4000-8000-000000000000"

_CALLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "succeeded": ("retrieve_task", {"task_id": SUCCEEDED_H3_TASK_ID}),
    "expired": ("retrieve_task", {"task_id": DOCUMENTED_TASK_ID}),
    "running": ("retrieve_task", {"task_id": RUNNING_TASK_ID}),
    "failed": ("retrieve_task", {"task_id": FAILED_TASK_ID}),
    "batch": (
        "retrieve_tasks_batch",
        {"task_ids": [SUCCEEDED_H3_TASK_ID, RUNNING_TASK_ID, _NO_SUCH_TASK_ID]},
    ),
    "recent": ("list_recent_tasks", {"hours": 2, "limit": 5}),
}

_CHINESE = {
    "tool": "工具",
    "parameter": "参数",
    "type": "类型",
    "variable": "变量",
    "default": "默认值",
    "meaning": "说明",
    "none": "无",
    ", ": "，",
    "`, `": "`、`",
    "required": "必填",
    "string": "字符串",
    "integer": "整数",
    "list of strings": "字符串数组",
    "number": "数字",
    "up to {}": "最大 {}",
    "{} to {}": "{} 到 {}",
    "{} to {} items": "{} 到 {} 项",
    "Task id, as the video generation returned it.": "视频生成接口返回的任务 ID。",
    "1 to 100 task ids; the answer keeps their order.": "1 到 100 个任务 ID，返回顺序不变。",
    "Seconds to wait for running tasks to end; answers as soon as they have. 0: at once.": (
        "任务没结束时最多等多少秒，结束就立即返回；0 表示不等待。"
    ),
    "How far back.": "查最近多少小时。",
    "In these states.": "只列出这些状态的任务。",
    "How many.": "最多列出多少个。",
    (
        "Token of Ace Data Cloud, created at https://platform.acedata.cloud/console/applications"
    ): "Ace Data Cloud 的 Token，在 https://platform.acedata.cloud/console/applications 创建",
    "URL of the API: https, or http to this machine only": (
        "API 地址，必须是 https；只有本机地址可以用 http"
    ),
    "How long one attempt of an HTTP request may take, in seconds, up to 40": (
        "单次 HTTP 请求的超时秒数，重试另算，最大 40"
    ),
    "How long an MCP task waits, in seconds, 1 to 43200, in hosts that have them": (
        "支持 MCP 任务的客户端里，后台最多等待多少秒，1 到 43200"
    ),
    (
        "The highest `wait_seconds` that a call may ask for, 1 to 3600; many hosts end a call "
        "after 60 seconds"
    ): "`wait_seconds` 的最大值，可设为 1 到 3600；很多客户端的调用超时是 60 秒",
    (
        "Folder in which the tool `save_videos` saves videos; without it there is no such tool"
    ): "工具 `save_videos` 保存视频的文件夹；不设置就没有这个工具",
    "How many MB a video that is saved may have, 1 to 100000": (
        "保存的单个视频最大多少 MB，1 到 100000"
    ),
    "After how many seconds with next to no data a download breaks off, up to 600": (
        "下载几乎没有数据多少秒后中断，最大 600"
    ),
    "Threshold of the log, which goes to stderr": "日志级别，日志写到 stderr",
    "; one of {}": "；可选值：{}",
}

Translate = Callable[[str], str]


async def regenerate(document: str, text: str) -> str:
    """Return the text of a document with all of its generated parts as they should be.

    Every part whose comments stand in the text is written; those that the document must have, or
    else it is refused.
    """
    language, required = DOCUMENTS[document]

    def translate(english: str) -> str:
        if language == "en":
            return english
        if english not in _CHINESE:
            raise SystemExit(f"No Chinese words for {english!r}: add them to _CHINESE")
        return _CHINESE[english]

    variables = [
        variable
        for variable in VARIABLES.values()
        if document.startswith("docs/") or not variable.rarely_set
    ]
    for name, part in (await _parts(translate, variables)).items():
        begin_mark = f"<!-- {name}: begin (python scripts/write_docs.py) -->\n"
        head, begin, rest = text.partition(begin_mark)
        _, end, tail = rest.partition(f"<!-- {name}: end -->")
        if begin and end:
            text = f"{head}{begin}{part}\n{end}{tail}"
        elif begin or name in required:
            raise SystemExit(f"{document} has no part named {name}")
    return text


async def _parts(translate: Translate, variables: Sequence[Variable]) -> dict[str, str]:
    """Return all parts, by name."""
    transport = httpx.ASGITransport(
        create_sandbox(now=lambda: _NOW, running_since_seconds=_RUNNING_SINCE_SECONDS)
    )
    settings = read_settings(SANDBOX_ENVIRONMENT)
    server = create_server(settings, transport=transport, now=lambda: _NOW)
    parts = {"environment": _environment_table(variables, translate)}
    async with Client(server) as client:
        parts["tools"] = _tool_table((await client.list_tools()).tools, translate)
        for name, (tool, arguments) in _CALLS.items():
            parts[name] = _worked_answer(tool, arguments, await client.call_tool(tool, arguments))
    with TemporaryDirectory() as folder:
        server = create_server(
            replace(settings, save_dir=folder), transport=transport, now=lambda: _NOW
        )
        async with Client(server) as client:
            arguments = {"task_ids": [SUCCEEDED_H3_TASK_ID, RUNNING_TASK_ID]}
            result = await client.call_tool("save_videos", arguments)
        part = _worked_answer("save_videos", arguments, result)
        parts["saved"] = part.replace(folder, _SAVE_DIR)
    return parts


def _environment_table(variables: Sequence[Variable], translate: Translate) -> str:
    rows = []
    for variable in variables:
        default = variable.default_text
        default = translate("none") if default is None else f"`{default}`"
        meaning = translate(variable.meaning)
        if variable.choices:
            choices = translate("`, `").join(variable.choices)
            meaning += translate("; one of {}").format(f"`{choices}`")
        rows.append([f"`{variable.name}`", default, meaning])
    return _table([translate(head) for head in ("variable", "default", "meaning")], rows)


def _tool_table(tools: Sequence[Tool], translate: Translate) -> str:
    rows = []
    for tool in tools:
        name = f"`{tool.name}`"
        required = tool.input_schema.get("required", ())
        for parameter, schema in tool.input_schema["properties"].items():
            default = translate("required" if parameter in required else "none")
            if "default" in schema:
                default = f"`{schema['default']}`"
            kind = _kind(schema, translate)
            rows.append([name, f"`{parameter}`", kind, default, translate(schema["description"])])
            name = ""
    heads = ("tool", "parameter", "type", "default", "meaning")
    return _table([translate(head) for head in heads], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _kind(schema: Mapping[str, Any], translate: Translate) -> str:
    """Describe which values a parameter takes."""
    match schema:
        case {"type": "string"}:
            parts = [translate("string")]
        case {"type": "integer", "minimum": least, "maximum": most}:
            parts = [translate("integer"), translate("{} to {}").format(least, most)]
        case {"type": "number", "maximum": most}:
            parts = [translate("number"), translate("up to {}").format(most)]
        case {"type": "array", "minItems": least, "maxItems": most}:
            parts = [translate("list of strings"), translate("{} to {} items").format(least, most)]
        case {"type": "array"}:
            parts = [translate("list of strings")]
        case _:
            raise SystemExit(f"no words for {schema}")
    return translate(", ").join(parts)


def _worked_answer(tool: str, arguments: Mapping[str, Any], result: CallToolResult) -> str:
    """Show a call and its answer, spread over lines for people."""
    answer = json.dumps(result.structured_content, indent=2, ensure_ascii=False)
    return f"`{tool} {json.dumps(arguments)}`\n\n```json\n{answer}\n```"


def registry_entry(text: str) -> str:
    """Return the text of server.json with the environment variables as they should be."""
    entry = json.loads(text)
    for package in entry["packages"]:
        package["environmentVariables"] = [
            _registry_variable(variable) for variable in VARIABLES.values()
        ]
    return _json_text(entry)


def _registry_variable(variable: Variable) -> dict[str, Any]:
    described: dict[str, Any] = {"name": variable.name, "description": variable.meaning}
    if variable.required:
        described["isRequired"] = True
    if variable.secret:
        described["isSecret"] = True
    if type(variable.default) in _TYPES:
        described["format"] = _TYPES[type(variable.default)]
    if variable.is_folder:
        described["format"] = "filepath"
    if variable.choices:
        described["choices"] = list(variable.choices)
    if variable.default_text is not None:
        described["default"] = variable.default_text
    return described


def bundle_manifest(text: str) -> str:
    """Return the text of manifest.json with the options for its user as they should be."""
    manifest = json.loads(text)
    options = {name: variable for name, variable in VARIABLES.items() if variable.title}
    manifest["server"]["mcp_config"]["env"] = {
        variable.name: f"${{user_config.{name}}}" for name, variable in options.items()
    }
    manifest["user_config"] = {name: _bundle_option(variable) for name, variable in options.items()}
    return _json_text(manifest)


def _bundle_option(variable: Variable) -> dict[str, Any]:
    option: dict[str, Any] = {
        "type": "directory" if variable.is_folder else _TYPES.get(type(variable.default), "string"),
        "title": variable.title,
        "description": variable.hint or variable.meaning,
        "required": variable.required,
    }
    if variable.secret:
        option["sensitive"] = True
    if variable.default is not None:
        option["default"] = variable.default
    if _is_number(variable):
        option |= {"min": variable.minimum, "max": variable.maximum}
    return option


_TYPES = {bool: "boolean", int: "number", float: "number"}


def _is_number(variable: Variable) -> bool:
    return _TYPES.get(type(variable.default)) == "number"


# Lists of words stand in one line there.
_WORD_LIST = re.compile(r'\[\s+((?:"[^"\n]*",?\s+)+)\]')


def _json_text(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _WORD_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


JSON_FILES: Mapping[str, Callable[[str], str]] = {
    "server.json": registry_entry,
    "manifest.json": bundle_manifest,
}


def main() -> None:
    """Write all documents."""
    texts = {}
    for name, write in JSON_FILES.items():
        texts[name] = write((ROOT / name).read_text(encoding="utf-8"))
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        texts[name] = asyncio.run(regenerate(name, text))
    # Only once all can be written.
    for name, text in texts.items():
        (ROOT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
