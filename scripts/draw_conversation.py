"""Draw docs/conversation.svg: a conversation with the server, from a real run.

    python scripts/draw_conversation.py

The server runs in memory against the sandbox, on simulated time, so every run draws the same
picture. The calls, the progress messages and the answers are the server's own, abridged. What the
user and the assistant say is written here, around values from the answers.
"""

import asyncio
import json
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import httpx
from mcp import Client

from hailuo_tasks_mcp.sandbox.app import SANDBOX_ENVIRONMENT, create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import FAILED_TASK_ID, RUNNING_TASK_ID, SUCCEEDED_H3_TASK_ID
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.settings import read_settings

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "conversation.svg"

sys.path.append(str(ROOT / "tests"))
from simulated_time import SimulatedTimeLoop  # noqa: E402 - see above

# 2026-11-22, 10:00 UTC.
_START = 1_795_341_600.0
_RUNNING_SINCE_SECONDS = 37.0
# Between the first answer and the user's reply.
_REPLY_SECONDS = 6.0

_WIDTH = 830
_MARGIN = 24
_GAP = 14
_PADDING = 14
_TEXT_SIZE, _TEXT_LEADING = 16, 23
_CODE_SIZE, _CODE_LEADING = 13.5, 20
_LABEL_SIZE = 13
# All fonts named below have characters of 0.6 of their size, or a little less.
_CODE_COLUMNS = int((_WIDTH - 2 * _MARGIN - 2 * _PADDING) / (0.605 * _CODE_SIZE))
_SHOWN_PROGRESS = 3

_SANS = "-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
_MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace"
# A panel of its own, so that the picture is the same on a white and on a dark page.
_STYLE = f"""\
text {{ white-space: pre }}
.say {{ font: {_TEXT_SIZE}px {_SANS} }}
.label {{ font: {_LABEL_SIZE}px {_SANS}; fill: #9198a1 }}
.code {{ font: {_CODE_SIZE}px {_MONO}; fill: #9198a1 }}
.tool {{ font-weight: 600; fill: #d2a8ff }}
.key {{ fill: #79c0ff }}
.value {{ fill: #d1d7e0 }}
.succeeded {{ fill: #56d364; font-weight: 600 }}
.processing {{ fill: #e3b341; font-weight: 600 }}
.failed {{ fill: #ff7b72; font-weight: 600 }}"""

_TITLE = (
    "A conversation: three clips are looked up in one call, and the one that is still running is "
    "waited for in a second."
)
_CAPTION = (
    "Calls, progress and answers come from a real run, abridged; ids and videos are the sandbox's.",
    "What the user and the assistant say is scripted around them.",
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that was made, the progress messages that arrived meanwhile, and the answer."""

    tool: str
    arguments: Json
    progress: list[str]
    answer: Json


async def _converse() -> tuple[_Call, _Call]:
    """Look up three clips, then wait for the one that is still running."""
    clock = asyncio.get_running_loop().time

    def now() -> float:
        return _START + clock()

    sandbox = create_sandbox(now=now, running_since_seconds=_RUNNING_SINCE_SECONDS)
    server = create_server(
        read_settings(SANDBOX_ENVIRONMENT), transport=httpx.ASGITransport(sandbox), now=now
    )
    async with Client(server) as client:

        async def call(arguments: Json) -> _Call:
            messages: list[str] = []

            async def on_progress(
                progress: float,  # noqa: ARG001 - hosts show the message
                total: float | None,  # noqa: ARG001
                message: str | None,
            ) -> None:
                messages.append(message or "")

            tool = "retrieve_tasks_batch"
            result = await client.call_tool(tool, arguments, progress_callback=on_progress)
            if result.is_error or result.structured_content is None:
                raise SystemExit(f"{tool} failed: {result.content}")
            return _Call(tool, arguments, messages, result.structured_content)

        first = await call({"task_ids": [SUCCEEDED_H3_TASK_ID, RUNNING_TASK_ID, FAILED_TASK_ID]})
        await asyncio.sleep(_REPLY_SECONDS)
        wait = {"task_ids": [RUNNING_TASK_ID], "wait_seconds": 50}
        # The picture shows a model that does what `next_step` says.
        named = ", ".join(f"{name}={json.dumps(value)}" for name, value in wait.items())
        if named not in first.answer["next_step"]:
            raise SystemExit(f"next_step names another call than {named}")
        return first, await call(wait)


def draw() -> str:
    """Make the calls and return the picture of them."""
    with asyncio.Runner(loop_factory=SimulatedTimeLoop) as runner:
        first, second = runner.run(_converse())
    ready, running, failed = first.answer["tasks"]
    (ended,) = second.answer["tasks"]
    picture = _Picture()
    ids = ", ".join(_TASK_ID.sub(r"\1…", task["task_id"]) for task in first.answer["tasks"])
    picture.say("You", f"Are my three clips ready? {ids}")
    picture.call(first, {"counts", "final", "next_step"})
    picture.say(
        "Assistant",
        f"The first is ready, {ready['video_seconds']} s in {ready['resolution']}: {_file(ready)}",
        f"“{running['prompt']}” is still running, {running['elapsed_seconds']} s in.",
        f"The third failed: “{failed['error']['message']}” It was not charged,",
        "but the same prompt would be refused again.",
        "Shall I wait for the second?",
    )
    picture.say("You", "Yes, please.")
    picture.call(second, {"final"})
    picture.say(
        "Assistant",
        f"“{ended['prompt']}” is ready, it took {ended['elapsed_seconds']:.0f} s: {_file(ended)}",
    )
    return picture.svg()


class _Picture:
    """Grows downwards, one message or call after the other."""

    def __init__(self) -> None:
        self._y = float(_MARGIN)
        self._parts: list[str] = []

    def say(self, who: str, *lines: str) -> None:
        """Draw a bubble: the user's on the right, the assistant's on the left."""
        width = max(map(_text_width, lines)) + 2 * _PADDING
        if width > _WIDTH - 2 * _MARGIN:
            raise SystemExit(f"too long for the picture: {lines}")
        height = len(lines) * _TEXT_LEADING + 2 * _PADDING - 6
        mine = who == "You"
        left = _WIDTH - _MARGIN - width if mine else _MARGIN
        anchor = ("end", _WIDTH - _MARGIN - 4) if mine else ("start", _MARGIN + 4)
        fill, colour = ("#1f6feb", "#ffffff") if mine else ("#2a313c", "#e6edf3")
        self._text("label", anchor[1], self._y + 10, escape(who), f'text-anchor="{anchor[0]}"')
        self._y += 18
        self._box(left, width, height, f'rx="14" fill="{fill}"')
        for number, line in enumerate(lines):
            y = self._y + _PADDING + 14 + number * _TEXT_LEADING
            # In the middle of the user's bubble, which is one line, however wide the font is.
            x, side = (left + width / 2, "middle") if mine else (left + _PADDING, "start")
            self._text("say", x, y, escape(line), f'fill="{colour}" text-anchor="{side}"')
        self._y += height + _GAP

    def call(self, call: _Call, shown: Collection[str]) -> None:
        """Draw a call, its progress messages and its answer, cut to the fields `shown`."""
        progress = [escape(message) for message in call.progress]
        if len(progress) > _SHOWN_PROGRESS + 1:
            progress = [*progress[:_SHOWN_PROGRESS], "…", progress[-1]]
        lines = [
            f'→ <tspan class="tool">{call.tool}</tspan> {_highlight(_json(call.arguments))}',
            *(f"{'' if n else '  progress':12}{line}" for n, line in enumerate(progress)),
            *map(_highlight, _abridge(call.answer, shown)),
        ]
        height = len(lines) * _CODE_LEADING + 2 * _PADDING - 4
        width = _WIDTH - 2 * _MARGIN
        self._box(_MARGIN, width, height, 'rx="8" fill="#0d1117" stroke="#3d444d"')
        for number, line in enumerate(lines):
            y = self._y + _PADDING + 11 + number * _CODE_LEADING
            self._text("code", _MARGIN + _PADDING, y, line)
        self._y += height + _GAP

    def svg(self) -> str:
        """Return the picture with its caption."""
        for line in _CAPTION:
            self._text("label", _MARGIN + 4, self._y + 10, escape(line))
            self._y += 19
        height = f"{self._y + _MARGIN - 10:g}"
        parts = "\n".join(self._parts)
        size = f'width="{_WIDTH}" height="{height}"'
        frame = f'width="{_WIDTH - 1}" height="{float(height) - 1:g}"'
        return f"""\
<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH} {height}" role="img">
<title>{_TITLE}</title>
<style>
{_STYLE}
</style>
<rect x="0.5" y="0.5" {frame} rx="14" fill="#161b22" stroke="#3d444d"/>
{parts}
</svg>
"""

    def _box(self, left: float, width: float, height: float, attributes: str) -> None:
        self._parts.append(
            f'<rect x="{left:g}" y="{self._y:g}" width="{width:g}" height="{height:g}" '
            f"{attributes}/>"
        )

    def _text(self, kind: str, x: float, y: float, content: str, attributes: str = "") -> None:
        place = f'class="{kind}" x="{x:g}" y="{y:g}" {attributes}'.rstrip()
        self._parts.append(f"<text {place}>{content}</text>")


_SHOWN_OF_TASK = ("task_id", "state", "elapsed_seconds")
_STATES = ("succeeded", "processing", "failed")
_TOKEN = re.compile(
    r'(?P<key>"[^"]*")(?=:)|"(?P<string>(?:\\.|[^"\\])*)"|\b(?:true|false|[\d.]+)\b'
)
_TASK_ID = re.compile(r"\b([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def _abridge(answer: Json, shown: Collection[str]) -> list[str]:
    """Return the lines of an answer, cut to some of its fields; what is left out is marked."""
    heads = {name: answer[name] for name in ("counts", "final") if name in shown}
    lines = [f"← {_json(heads)[:-1]},", ' "tasks": [']
    for task in answer["tasks"]:
        fields = {name: task[name] for name in _SHOWN_OF_TASK if name in task}
        line = f"   {_json(fields)[:-1]}"
        if "video_urls" in task:
            lines.append(f"{line},")
            line = f'    "video_urls": {_json([_file(task)])}'
        elif "error" in task:
            lines.append(f"{line},")
            line = f'    "error": {_json({"message": task["error"]["message"]})}'
        lines.append(f"{line}, …}},")
    lines[-1] = lines[-1].removesuffix(",")
    if "next_step" in shown:
        call, _, _ = answer["next_step"].partition("call ")[2].partition("), ")
        return [*lines, " ],", f' "next_step": {_json(f"… call {call}), …")}}}']
    return [*lines, " ]}"]


def _json(value: Any) -> str:
    """Return a value as one line of JSON, task ids cut."""
    return _TASK_ID.sub(r"\1…", json.dumps(value, ensure_ascii=False))


def _highlight(line: str) -> str:
    """Return a line of JSON as SVG text, with keys, values and states told apart."""
    if len(line) > _CODE_COLUMNS:
        raise SystemExit(f"too long for the picture: {line}")
    text, end = "", 0
    for match in _TOKEN.finditer(line):
        kind = "key" if match["key"] else "value"
        if match["string"] in _STATES:
            kind = match["string"]
        text += escape(line[end : match.start()], quote=False)
        text += f'<tspan class="{kind}">{escape(match[0], quote=False)}</tspan>'
        end = match.end()
    return text + escape(line[end:], quote=False)


def _file(task: Mapping[str, Any]) -> str:
    """Return a video's URL, cut to its host and its file."""
    scheme, _, rest = task["video_urls"][0].partition("://")
    host, *folders, name = rest.split("/")
    return _TASK_ID.sub(r"\1…", "/".join([f"{scheme}://{host}", *(["…"] if folders else []), name]))


def _text_width(text: str) -> float:
    """Return about the width of text in the widest of the usual fonts, DejaVu Sans."""
    widths = {"narrow": 0.36, "wide": 0.98, "upper": 0.7, "other": 0.625}

    def kind(char: str) -> str:
        if char in " .,:;'|!/()[]“”iljtfr":
            return "narrow"
        if char in "mwMW…":
            return "wide"
        return "upper" if char.isupper() else "other"

    return _TEXT_SIZE * sum(widths[kind(char)] for char in text)


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
