"""What commands print in the same way: a JSON object, and why something could not be done."""

import sys
from typing import Any

from hailuo_tasks_mcp.errors import Failure
from hailuo_tasks_mcp.messages import error_text, remedy
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tools.tool import compact_json


def print_json(data: dict[str, Any], settings: Settings, redactor: Redactor) -> None:
    """Print an object on stdout, without tokens."""
    data = redactor.redact_json(data)
    print(compact_json(data | {"sandbox": True} if settings.sandbox else data))


def print_failure(
    failure: Failure, settings: Settings, redactor: Redactor, *, as_json: bool
) -> None:
    """Print why nothing is known: as an object on stdout, or in words on stderr."""
    if as_json:
        told = {"message": failure.message, "remedy": remedy(failure, "person")}
        trace = {"trace_id": failure.trace_id} if failure.trace_id else {}
        print_json({"error": told | trace}, settings, redactor)
    else:
        text = redactor.redact(error_text(failure, "person"))
        print(f"hailuo-tasks-mcp: {text}", file=sys.stderr)
