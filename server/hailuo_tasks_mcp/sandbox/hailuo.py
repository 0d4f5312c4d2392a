"""What Hailuo's two paths answer."""

from collections.abc import Callable

from starlette.responses import JSONResponse

from hailuo_tasks_mcp.sandbox.errors import HAILUO_TASKS, HAILUO_VIDEOS, error
from hailuo_tasks_mcp.sandbox.hailuo_tasks import MODELS_FROM_IMAGE, HailuoTasks
from hailuo_tasks_mcp.sandbox.tasks import VIDEOS_URL, Json, page_of


class Hailuo:
    """The service, with tasks of its own.

    Args:
        now: returns the time, in Unix seconds.
        running_since_seconds: how old the running task is that it starts with, of `RUN_SECONDS`.
        videos_url: below which its videos are.

    """

    def __init__(
        self, now: Callable[[], float], running_since_seconds: float, videos_url: str = VIDEOS_URL
    ) -> None:
        self._tasks = HailuoTasks(now, running_since_seconds, videos_url)

    def has_video(self, task_id: str) -> bool:
        """Return whether a task has a video at the sandbox by now."""
        return self._tasks.has_video(task_id)

    def on_tasks(self, body: Json) -> JSONResponse:
        """Answer a look-up."""
        ids = body.get("ids")
        match body.get("action"):
            case "retrieve" if "id" in body:
                return JSONResponse(self._tasks.retrieve(body["id"]))
            case "retrieve_batch" if isinstance(ids, list):
                return JSONResponse(self._tasks.retrieve_batch(ids, page_of(body)))
            case "retrieve" | "retrieve_batch":
                return error(HAILUO_TASKS, "bad_request")
        return error(HAILUO_TASKS, "api_not_implemented")

    def on_videos(self, body: Json) -> JSONResponse:
        """Create a task."""
        in_background = body.pop("async", False) is True
        if body.get("action") != "generate":
            return error(HAILUO_VIDEOS, "api_not_implemented")
        image_missing = body.get("model") in MODELS_FROM_IMAGE and not body.get("first_image_url")
        if not isinstance(body.get("prompt"), str) or image_missing:
            return error(HAILUO_VIDEOS, "bad_request")
        task = self._tasks.create(body, finished=not in_background)
        if in_background:
            return JSONResponse({"task_id": task.id})
        response = task.response()
        if not response["success"]:
            return JSONResponse(response, status_code=500)
        for video in response["data"]:
            # Documented as null in a record, and as absent here.
            if video["first_image_url"] is None:
                del video["first_image_url"]
        return JSONResponse(response)
