"""MiniMax H3's tasks: what each is follows from the clock, which a test can drive."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from hailuo_tasks_mcp.sandbox.minimax_requests import MODEL, VideoRequest
from hailuo_tasks_mcp.sandbox.tasks import (
    CANCELLED_H3_TASK_ID,
    DOCUMENTED_H3_TASK_ID,
    DOCUMENTED_RUNNING_H3_TASK_ID,
    FAILED_H3_TASK_ID,
    H3_RUN_SECONDS,
    NO_URL_H3_TASK_ID,
    QUEUED_H3_TASK_ID,
    RUNNING_H3_TASK_ID,
    SUCCEEDED_H3_TASK_ID,
    VIDEOS_URL,
    Json,
    TaskStore,
    video_url,
)

QUEUED_SECONDS = 5.0
LISTED_SECONDS = 7 * 86_400.0
"""How old the tasks are that a list without ids can hold."""

_DOCUMENTED_AT = 1786184658.0
_DOCUMENTED_URL = "https://cdn.acedata.cloud/assets/examples/minimax/f5977217-ed2c-40da-adbe-93d08235618f-b080c998dde2.mp4"
_ERROR = {"code": "1026", "message": "video description contains sensitive content"}

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Outcome = Literal["succeeded", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimaxTask:
    """What does not change about a task; its state follows from the clock."""

    id: str
    created_at: float
    outcome: Outcome = "succeeded"
    url: str | None = None
    resolution: str = "768P"
    duration: int = 4
    ratio: str = "16:9"
    image_count: int = 0
    cancelled_at: float | None = None
    # The status of a task that does not follow the clock.
    always: Status | None = None
    # The documents show a running and a failed task without any time.
    timed: bool = True

    @property
    def run_seconds(self) -> float:
        """How long the task takes from its creation to its end."""
        return H3_RUN_SECONDS[self.resolution]

    def status(self, now: float) -> Status:
        """Return the status at the time `now`, in Unix seconds."""
        if self.cancelled_at is not None:
            return "cancelled"
        if self.always is not None:
            return self.always
        age = now - self.created_at
        if age < QUEUED_SECONDS:
            return "queued"
        return "running" if age < self.run_seconds else self.outcome

    def record(self, now: float) -> Json:
        """Return the record as the API would send it at the time `now`, in Unix seconds."""
        status = self.status(now)
        record: Json = {"id": self.id, "model": MODEL, "status": status}
        if self.timed:
            record["created_at"] = int(self.created_at)
            record["updated_at"] = int(self._updated_at(status))
        if status == "failed":
            record["error"] = _ERROR
        else:
            record |= self._output(status)
        return record | {"task_type": "generation", "modality": "video"}

    def _updated_at(self, status: Status) -> float:
        if self.cancelled_at is not None:
            return self.cancelled_at
        if status == "queued":
            return self.created_at
        return self.created_at + (QUEUED_SECONDS if status == "running" else self.run_seconds)

    def _output(self, status: Status) -> Json:
        """Return what a record says of the video, as far as there is one."""
        succeeded = status == "succeeded"
        output: Json = {"content": {"url": self.url}} if succeeded and self.url else {}
        output |= {"resolution": self.resolution, "duration": self.duration}
        if succeeded:
            output["usage"] = {
                "total_seconds": self.duration,
                "input_seconds": 0,
                "output_seconds": self.duration,
                "input_image_count": self.image_count,
            }
        return output | {"ratio": self.ratio}


class MinimaxTasks:
    """MiniMax H3's tasks in one sandbox, all of one account.

    Args:
        now: returns the time, in Unix seconds.
        running_since_seconds: how old the running task is that it starts with, of `H3_RUN_SECONDS`.
        videos_url: below which its videos are.

    """

    def __init__(
        self, now: Callable[[], float], running_since_seconds: float, videos_url: str = VIDEOS_URL
    ) -> None:
        self._now = now
        self._videos_url = videos_url
        self._tasks = TaskStore(_first_tasks(now(), running_since_seconds, videos_url))

    def retrieve(self, task_id: str) -> Json:
        """Return the record of a task in its envelope, which holds null if there is none."""
        task = self._tasks.get(task_id)
        return {"task": task.record(self._now()) if task else None}

    def retrieve_batch(
        self, task_ids: list[Any] | None, created_min: float, created_max: float, page: slice
    ) -> Json:
        """Return a page of the records of several tasks, newest first.

        Args:
            task_ids: which tasks; None for all of the account in the last 7 days.
            created_min: when they were created at the earliest, in Unix seconds.
            created_max: when they were created at the latest, in Unix seconds.
            page: which of the records.

        """
        now = self._now()
        asked: Iterable[MinimaxTask | None]
        if task_ids is None:
            # In the order of the list those made at the same time are newest first too.
            asked = reversed(self._tasks.all())
            created_min = max(created_min, now - LISTED_SECONDS)
        else:
            ids = dict.fromkeys(task_id for task_id in task_ids if isinstance(task_id, str))
            asked = map(self._tasks.get, ids)
        known = [task for task in asked if task and created_min <= task.created_at <= created_max]
        known.sort(key=lambda task: task.created_at, reverse=True)
        return {"items": [task.record(now) for task in known[page]], "total": len(known)}

    def delete(self, task_id: str) -> str | None:
        """Cancel a task that is queued, forget one that has ended; return why not, if not."""
        task, now = self._tasks.get(task_id), self._now()
        if task is None:
            return "There is no task with this id."
        status = task.status(now)
        if status == "queued":
            self._tasks.replace(replace(task, cancelled_at=now))
            return None
        if status in {"running", "cancelled"}:
            return f"A {status} task cannot be deleted."
        self._tasks.remove(task)
        return None

    def has_video(self, task_id: str) -> bool:
        """Return whether a task has a video at the sandbox by now."""
        task = self._tasks.get(task_id)
        if task is None or task.url != video_url(self._videos_url, task_id):
            return False
        return task.status(self._now()) == "succeeded"

    def create(self, request: VideoRequest, *, finished: bool) -> MinimaxTask:
        """Create a task; the run of one that is `finished` has ended already."""
        task_id = str(uuid.uuid4())
        age = H3_RUN_SECONDS[request.resolution] if finished else 0.0
        task = MinimaxTask(
            id=task_id,
            created_at=self._now() - age,
            outcome="failed" if "fail" in request.text.lower() else "succeeded",
            url=video_url(self._videos_url, task_id),
            resolution=request.resolution,
            duration=request.duration,
            ratio=request.ratio or "adaptive",
            image_count=request.image_count,
        )
        self._tasks.add(task)
        return task


def _first_tasks(now: float, running_since_seconds: float, videos_url: str) -> list[MinimaxTask]:
    """Return the tasks that a sandbox starts with, the oldest first."""
    return [
        MinimaxTask(
            id=DOCUMENTED_H3_TASK_ID,
            created_at=_DOCUMENTED_AT,
            url=_DOCUMENTED_URL,
            # Also by a clock that is behind the documents.
            always="succeeded",
        ),
        MinimaxTask(
            id=SUCCEEDED_H3_TASK_ID,
            created_at=now - 3600,
            url=video_url(videos_url, SUCCEEDED_H3_TASK_ID),
            resolution="2K",
            duration=5,
            ratio="adaptive",
            image_count=1,
        ),
        MinimaxTask(id=NO_URL_H3_TASK_ID, created_at=now - 1800),
        MinimaxTask(
            id=CANCELLED_H3_TASK_ID, created_at=now - 900, cancelled_at=now - 900 + QUEUED_SECONDS
        ),
        MinimaxTask(id=FAILED_H3_TASK_ID, created_at=now - 600, outcome="failed", timed=False),
        MinimaxTask(
            id=DOCUMENTED_RUNNING_H3_TASK_ID,
            created_at=now - 60,
            url=video_url(videos_url, DOCUMENTED_RUNNING_H3_TASK_ID),
            resolution="2K",
            duration=5,
            ratio="adaptive",
            timed=False,
        ),
        MinimaxTask(
            id=RUNNING_H3_TASK_ID,
            created_at=now - running_since_seconds,
            url=video_url(videos_url, RUNNING_H3_TASK_ID),
        ),
        MinimaxTask(id=QUEUED_H3_TASK_ID, created_at=now, always="queued"),
    ]
