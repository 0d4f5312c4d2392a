"""What MiniMax H3's two paths answer."""

import math
import uuid
from collections.abc import Callable

from starlette.responses import JSONResponse

from hailuo_tasks_mcp.sandbox.errors import MINIMAX_VIDEOS, bad_parameters, error, refused
from hailuo_tasks_mcp.sandbox.minimax_requests import read_video_request
from hailuo_tasks_mcp.sandbox.minimax_tasks import MinimaxTasks
from hailuo_tasks_mcp.sandbox.tasks import VIDEOS_URL, Json, page_of


class Minimax:
    """The service, with tasks of its own.

    Args:
        now: returns the time, in Unix seconds.
        running_since_seconds: how old the running task is that it starts with, of `H3_RUN_SECONDS`.
        videos_url: below which its videos are.

    """

    def __init__(
        self, now: Callable[[], float], running_since_seconds: float, videos_url: str = VIDEOS_URL
    ) -> None:
        self._now = now
        self._tasks = MinimaxTasks(now, running_since_seconds, videos_url)

    def has_video(self, task_id: str) -> bool:
        """Return whether a task has a video at the sandbox by now."""
        return self._tasks.has_video(task_id)

    def on_tasks(self, body: Json) -> JSONResponse:
        """Answer a look-up, a list or a deletion."""
        action, task_id = body.get("action"), body.get("id")
        if action == "retrieve_batch":
            return self._on_batch(body)
        if action not in ("retrieve", "delete"):
            return refused("action must be retrieve, retrieve_batch or delete.")
        if not isinstance(task_id, str) or not task_id:
            return refused("id must be the id of a task.")
        if action == "retrieve":
            return JSONResponse(self._tasks.retrieve(task_id))
        problem = self._tasks.delete(task_id)
        return refused(problem) if problem else JSONResponse({"id": task_id, "deleted": True})

    def on_videos(self, body: Json) -> JSONResponse:
        """Create a task."""
        try:
            request = read_video_request(body)
        except ValueError as problem:
            return bad_parameters(str(problem))
        task = self._tasks.create(request, finished=not request.in_background)
        if request.in_background:
            return JSONResponse({"task_id": task.id, "trace_id": f"trace_{uuid.uuid4().hex[:8]}"})
        if task.outcome == "failed":
            return error(MINIMAX_VIDEOS, "unprocessable_entity_error")
        return JSONResponse({"task": task.record(self._now())})

    def _on_batch(self, body: Json) -> JSONResponse:
        ids = body.get("ids")
        if not isinstance(ids, list | None):
            return refused("ids must be a list.")
        created_min = _time(body.get("created_at_min"), -math.inf)
        created_max = _time(body.get("created_at_max"), math.inf)
        if created_min is None or created_max is None:
            return refused("created_at_min and created_at_max must be times in Unix seconds.")
        page = page_of(body)
        return JSONResponse(self._tasks.retrieve_batch(ids, created_min, created_max, page))


def _time(value: object, default: float) -> float | None:
    """Return a time in Unix seconds, the default for null; None for what is no time."""
    if value is None:
        return default
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
