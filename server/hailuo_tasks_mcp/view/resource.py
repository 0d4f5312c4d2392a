"""The view as a resource of MCP Apps: its address, what it may load, and its text.

A host that shows views reads the resource, puts it into a frame, and passes on the tools' answers.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from mcp_types import Resource, TextResourceContents

from hailuo_tasks_mcp.tasks.durations import LONGEST_USUAL_SECONDS
from hailuo_tasks_mcp.tasks.failures import FailureKind
from hailuo_tasks_mcp.tasks.next_steps import FAILED_STEPS, NOT_FOUND_STEP
from hailuo_tasks_mcp.tasks.polling import pause_seconds

URI = "ui://hailuo-tasks/task"
MIME_TYPE = "text/html;profile=mcp-app"

FILE_HOSTS = (
    "platform.cdn.acedata.cloud",
    "file.aigpai.com",
    "cdn.acedata.cloud",
    "platform2.cdn.acedata.cloud",
)
"""The hosts from which videos play in the view: the platform's own."""

TOOL_META: dict[str, Any] = {
    "ui": {"resourceUri": URI, "visibility": ["model", "app"]},
    # Where hosts looked for it before `ui`.
    "ui/resourceUri": URI,
}
"""The metadata by which a tool says that the view shows its answers."""

_ORIGINS = [f"https://{host}" for host in FILE_HOSTS]
_META: dict[str, Any] = {
    "ui": {
        "csp": {"resourceDomains": _ORIGINS, "connectDomains": []},
        "prefersBorder": True,
    }
}

RESOURCE = Resource(
    uri=URI,
    name="task",
    title="Hailuo tasks",
    description="Shows tasks in a chat as they run, and plays their videos.",
    mime_type=MIME_TYPE,
    _meta=_META,
)
"""The view as it is listed."""

_PAGE = Path(__file__).with_name("task.html")
# Of other failures the reason says all.
_ADVISED: tuple[FailureKind, ...] = ("refused_content", "transient")
# From this second of a wait on, all pauses are alike.
_LAST_PAUSE = 30


@cache
def contents() -> TextResourceContents:
    """Return the view as it is read, with what only the server knows filled in."""
    advised = {"missing": NOT_FOUND_STEP} | {kind: FAILED_STEPS[kind] for kind in _ADVISED}
    facts = {
        "origins": _ORIGINS,
        "usual": LONGEST_USUAL_SECONDS,
        # The view polls at the pace of a call that waits, by the seconds waited.
        "pauses": [pause_seconds(second) for second in range(_LAST_PAUSE + 1)],
        # By its words, the view tells which next step it is, and says it to a person.
        "steps": list(advised.items()),
    }
    # JSON in HTML: no text may end the element that it is in.
    filled_in = json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c")
    html = _PAGE.read_text(encoding="utf-8").replace("FACTS", filled_in, 1)
    return TextResourceContents(uri=URI, mime_type=MIME_TYPE, text=html, _meta=_META)
