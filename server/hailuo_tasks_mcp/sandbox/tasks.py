"""What the tasks of both services share: which the sandbox starts with, and how many it keeps."""

from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar

# Hailuo: the two tasks of the published documentation, and two more.
DOCUMENTED_TASK_ID = "58cc618b-9639-4ee7-add2-d2fcf260d9a3"
DOCUMENTED_TIMED_TASK_ID = "09d4a93e-d5c8-4778-bdf2-711773d71c59"
FAILED_TASK_ID = "fa11ed00-5eed-4000-8000-000000000001"
RUNNING_TASK_ID = "57a27ed0-5eed-4000-8000-000000000002"

# MiniMax H3: the same, and one for every other way that a task can go.
DOCUMENTED_H3_TASK_ID = "f5977217-ed2c-40da-adbe-93d08235618f"
DOCUMENTED_RUNNING_H3_TASK_ID = "c0f63a98-a7dc-4a09-a1fb-46d32b312a28"
QUEUED_H3_TASK_ID = "de1a7ed0-5eed-4000-8000-000000000003"
RUNNING_H3_TASK_ID = "ac71fe00-5eed-4000-8000-000000000004"
SUCCEEDED_H3_TASK_ID = "acc01ade-5eed-4000-8000-000000000005"
FAILED_H3_TASK_ID = "bad0da7a-5eed-4000-8000-000000000006"
CANCELLED_H3_TASK_ID = "ca4ce11e-5eed-4000-8000-000000000007"
NO_URL_H3_TASK_ID = "facade00-5eed-4000-8000-000000000008"

# How long a run takes, in seconds, the time before it starts included.
RUN_SECONDS = 69.1
H3_RUN_SECONDS = {"768P": 100.0, "2K": 417.0}

DEFAULT_RUNNING_SINCE_SECONDS = 20.0

# How many records a batch has that does not say how many it wants, and at most.
_PAGE_SIZE = 12
_MAX_PAGE_SIZE = 100

# Together below 20 MB: a task of Hailuo keeps two such texts, of at most 4 bytes a character.
MAX_MADE_TASKS = 1_000
"""How many tasks of a service are kept, beside those that it starts with."""
MAX_KEPT_TEXT_LENGTH = 2_000
"""How much is kept of a prompt or URL."""

Json = dict[str, Any]


class _Task(Protocol):
    @property
    def id(self) -> str: ...


TaskType = TypeVar("TaskType", bound=_Task)


class TaskStore(Generic[TaskType]):
    """The tasks of one service.

    Args:
        first: those that the sandbox starts with, which are kept however many are made.

    """

    def __init__(self, first: Iterable[TaskType]) -> None:
        self._first = {task.id: task for task in first}
        self._made: dict[str, TaskType] = {}

    def get(self, task_id: object) -> TaskType | None:
        """Return a task; None if there is none with this id, which may be any JSON value."""
        if not isinstance(task_id, str):
            return None
        return self._made.get(task_id) or self._first.get(task_id)

    def all(self) -> list[TaskType]:
        """Return all tasks, the one made last at the end."""
        return [*self._first.values(), *self._made.values()]

    def add(self, task: TaskType) -> None:
        """Keep a new task, in place of the oldest one that was made if there are too many."""
        self._made[task.id] = task
        if len(self._made) > MAX_MADE_TASKS:
            del self._made[next(iter(self._made))]

    def replace(self, task: TaskType) -> None:
        """Keep a task in place of the one with the same id, which there is."""
        kept = self._made if task.id in self._made else self._first
        kept[task.id] = task

    def remove(self, task: TaskType) -> None:
        """Forget a task, which there is."""
        kept = self._made if task.id in self._made else self._first
        del kept[task.id]


def page_of(body: Json) -> slice:
    """Return which of the records, newest first, a request for several asks for."""
    limit, offset = _whole(body.get("limit"), _PAGE_SIZE), _whole(body.get("offset"), 0)
    return slice(offset, offset + min(limit, _MAX_PAGE_SIZE))


def _whole(value: object, default: int) -> int:
    return value if type(value) is int and value >= 0 else default


VIDEO_HOST = "sandbox.invalid"
VIDEOS_URL = f"https://{VIDEO_HOST}"
"""Where made-up videos are if nothing else is said: in a domain that is reserved for not existing,
so that nothing reaches them but what asks a sandbox in its own process."""


def video_url(videos_url: str, task_id: str) -> str:
    """Return where the video of a task is, below the URL that all are at."""
    return f"{videos_url}/{task_id}.mp4"
