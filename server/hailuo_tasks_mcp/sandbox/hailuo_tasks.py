"""Hailuo's tasks: what each is follows from the clock, which a test can drive."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from hailuo_tasks_mcp.sandbox.tasks import (
    DOCUMENTED_TASK_ID,
    DOCUMENTED_TIMED_TASK_ID,
    FAILED_TASK_ID,
    MAX_KEPT_TEXT_LENGTH,
    RUN_SECONDS,
    RUNNING_TASK_ID,
    VIDEOS_URL,
    Json,
    TaskStore,
    video_url,
)

PENDING_SECONDS = 2.0

_FAILED_SINCE_SECONDS = 600.0

Outcome = Literal["succeeded", "failed", "unavailable"]

# The default comes first.
MODELS = ("minimax-t2v", "minimax-i2v", "minimax-i2v-director")
MODELS_FROM_IMAGE = MODELS[1:]

_KEPT_LENGTHS = {
    "action": 100,
    "prompt": MAX_KEPT_TEXT_LENGTH,
    "model": 100,
    "first_image_url": MAX_KEPT_TEXT_LENGTH,
}

# What every record carries for the platform's own use.
_API_ID = "d5af91f6-a7ec-4015-b0a5-d25051158470"
_APPLICATION_ID = "2f9f4d93-9193-4c49-a1a5-eddf0ff38abb"
_CREDENTIAL_ID = "f634e655-012e-432e-92a8-a87e4a80d636"
_USER_ID = "ad7afe47-cea9-4cda-980f-2ad8810e51cf"


@dataclass(frozen=True, slots=True, kw_only=True)
class HailuoTask:
    """What does not change about a task; its state follows from the clock."""

    id: str
    platform_id: str
    trace_id: str
    created_at: float
    request: Json
    video_id: str
    video_url: str
    outcome: Outcome = "succeeded"
    run_seconds: float = RUN_SECONDS
    started_after: float = PENDING_SECONDS
    # The record of the documentation's first task has no times but the first.
    timed: bool = True

    def record(self, now: float) -> Json:
        """Return the record as the API would send it at the time `now`, in Unix seconds."""
        age = now - self.created_at
        finished = age >= self.run_seconds
        times: Json = {}
        if self.timed and age >= self.started_after and self.outcome != "unavailable":
            times["started_at"] = round(self.created_at + self.started_after, 3)
            if finished:
                elapsed = round(self.run_seconds - self.started_after, 3)
                times["finished_at"] = round(self.created_at + self.run_seconds, 3)
                times["elapsed"] = elapsed
        record: Json = {
            "_id": self.platform_id,
            "id": self.id,
            "api_id": _API_ID,
            "application_id": _APPLICATION_ID,
            "created_at": self.created_at,
            **times,
            "credential_id": _CREDENTIAL_ID,
            "request": self.request,
            "trace_id": self.trace_id,
            "user_id": _USER_ID,
        }
        if finished or self.outcome == "unavailable":
            record["response"] = self.response()
        return record

    def response(self) -> Json:
        """Return the outcome of the finished run."""
        head = {"task_id": self.id, "trace_id": self.trace_id}
        if self.outcome != "succeeded":
            return {"success": False, **head, "error": self.error()}
        video = {
            "id": self.video_id,
            "model": self.request.get("model", MODELS[0]),
            "prompt": self.request.get("prompt"),
            "first_image_url": self.request.get("first_image_url"),
            "video_url": self.video_url,
            "state": "succeeded",
        }
        return {"success": True, **head, "data": [video]}

    def error(self) -> Json:
        """Return why the run did not succeed."""
        if self.outcome == "unavailable":
            message = f"The model {self.request.get('model')} is not available."
            return {"code": "model_unavailable", "message": message}
        message = "The prompt was rejected by the content policy."
        return {"code": "content_policy", "message": message}


class HailuoTasks:
    """Hailuo's tasks in one sandbox.

    Args:
        now: returns the time, in Unix seconds.
        running_since_seconds: how old the running task is that it starts with, of `RUN_SECONDS`.
        videos_url: below which its videos are.

    """

    def __init__(
        self, now: Callable[[], float], running_since_seconds: float, videos_url: str = VIDEOS_URL
    ) -> None:
        self._now = now
        self._videos_url = videos_url
        self._tasks = TaskStore(_first_tasks(now(), running_since_seconds, videos_url))

    def retrieve(self, task_id: object) -> Json:
        """Return the record of a task, `{}` if there is none."""
        task = self._tasks.get(task_id)
        return task.record(self._now()) if task else {}

    def retrieve_batch(self, task_ids: list[Any], page: slice) -> Json:
        """Return a page of the records of those tasks that there are, newest first."""
        wanted = dict.fromkeys(task_id for task_id in task_ids if isinstance(task_id, str))
        known = [task for task in map(self._tasks.get, wanted) if task]
        known.sort(key=lambda task: task.created_at, reverse=True)
        items = [task.record(self._now()) for task in known[page]]
        return {"items": items, "count": len(known)}

    def has_video(self, task_id: str) -> bool:
        """Return whether a task has a video at the sandbox by now."""
        task = self._tasks.get(task_id)
        if task is None or task.video_url != video_url(self._videos_url, task_id):
            return False
        return task.outcome == "succeeded" and self._now() - task.created_at >= task.run_seconds

    def create(self, request: Json, *, finished: bool) -> HailuoTask:
        """Create a task; the run of one that is `finished` has ended already."""
        request = _kept(request)
        model = request.get("model", MODELS[0])
        outcome: Outcome = "succeeded"
        if model not in MODELS:
            outcome = "unavailable"
        elif "fail" in str(request.get("prompt")).lower():
            outcome = "failed"
        task_id = str(uuid.uuid4())
        task = HailuoTask(
            id=task_id,
            platform_id=uuid.uuid4().hex[:24],
            trace_id=str(uuid.uuid4()),
            created_at=round(self._now() - (RUN_SECONDS + 1 if finished else 0), 3),
            request=request,
            video_id=uuid.uuid4().hex[:26],
            video_url=video_url(self._videos_url, task_id),
            outcome=outcome,
        )
        self._tasks.add(task)
        return task


def _kept(request: Json) -> Json:
    """Return what a task keeps of its request: the parameters of a video, within bounds."""
    texts = {name: request.get(name) for name in _KEPT_LENGTHS}
    return {
        name: text[: _KEPT_LENGTHS[name]] for name, text in texts.items() if isinstance(text, str)
    }


def _first_tasks(now: float, running_since_seconds: float, videos_url: str) -> list[HailuoTask]:
    documented: Json = {"action": "generate", "prompt": "Internal heat"}
    return [
        HailuoTask(
            id=DOCUMENTED_TASK_ID,
            platform_id="67866dff550a4144a5867aa7",
            trace_id="0c1f9f13-0aef-4d9a-a9d2-1d27055ff190",
            created_at=1736863231.588,
            request=documented,
            video_id="2a1tbgnjdxrg80cmcmes19s33r",
            video_url="https://file.aigpai.com/czjl/tjU3QYKgU96IJFgpL0eMfBFhmy0qXz9Y05P2IBhShCYaDCFUA/tmp5uligw3a.output.mp4",
            timed=False,
        ),
        HailuoTask(
            id=DOCUMENTED_TIMED_TASK_ID,
            platform_id="67866fad550a4144a587053c",
            trace_id="0edc94c6-4938-4bff-bb16-20364c254e40",
            created_at=1736863661.511,
            request=documented,
            video_id="24zdgea0s1rge0cmcmjbsfj2m8",
            video_url="https://platform.cdn.acedata.cloud/czjl/6cTYBRBDVJIQANzG7GaPwPblbeIiFe4yUDcVoMkkXttqJCFUA/tmpm4ke45c5.output.mp4",
            started_after=0.06,
            run_seconds=69.16,
        ),
        HailuoTask(
            id=FAILED_TASK_ID,
            platform_id="5eed00000000000000000001",
            trace_id="fa11ed00-0000-4000-8000-000000000001",
            created_at=round(now - _FAILED_SINCE_SECONDS, 3),
            request={"action": "generate", "prompt": "A prompt that fails", "model": MODELS[0]},
            video_id="5eed0000000000000000000001",
            video_url=video_url(videos_url, FAILED_TASK_ID),
            outcome="failed",
        ),
        HailuoTask(
            id=RUNNING_TASK_ID,
            platform_id="5eed00000000000000000002",
            trace_id="57a27ed0-0000-4000-8000-000000000002",
            created_at=round(now - running_since_seconds, 3),
            request={"action": "generate", "prompt": "Waves at dusk", "model": MODELS[0]},
            video_id="5eed0000000000000000000002",
            video_url=video_url(videos_url, RUNNING_TASK_ID),
        ),
    ]
