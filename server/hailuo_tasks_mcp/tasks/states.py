"""What a record means.

`classify` is the one place that decides on a task's state. "The contract" is what is known of the
platform's API from its documents and its own clients; tests/tasks/test_states.py has its rows.
"""

from collections.abc import Sequence
from typing import Literal

from hailuo_tasks_mcp.api.records import TaskRecord, Video
from hailuo_tasks_mcp.text import usable_url

State = Literal["pending", "processing", "succeeded", "failed", "not_found", "unknown"]
# A state of neither set, which is `unknown` alone, is not waited for and may change.
RUNNING_STATES: frozenset[State] = frozenset({"pending", "processing"})
FINAL_STATES: frozenset[State] = frozenset({"succeeded", "failed", "not_found"})

# The words seen for a video's state, and likely synonyms. There are none for success: a video with
# any other word, or none, succeeded if it has a URL.
_PENDING_WORDS = frozenset({"pending", "queued", "queueing", "submitted", "preparing"})
_RUNNING_WORDS = _PENDING_WORDS | {"processing", "running", "in_progress"}
_FAILED_WORDS = frozenset({"failed", "fail", "error", "cancelled", "canceled"})


def classify(record: TaskRecord | None) -> State:  # noqa: PLR0911 - a row, a return
    """Decide what a record means; None stands for a task that the API does not know.

    The rows of the contract's table, in its order: the first that fits decides.
    """
    if record is None:
        return "not_found"
    if record.service == "minimax":
        return _classify_minimax(record)
    response, videos = record.response, record.videos
    success, finished = response.success, record.finished_at is not None
    structured = record.run_error is not None and record.run_error.code is not None
    # A structured error ends a run even without `finished_at`, as with an unavailable model.
    refused = success is False and (structured or finished)

    # Some video still runs, and nothing else decides against it.
    if not refused and any(_word(video) in _RUNNING_WORDS for video in videos):
        # In the second envelope the word is the task's own, which can be pending too.
        is_pending = not response.data and _word(videos[0]) in _PENDING_WORDS
        return "pending" if is_pending else "processing"
    # A video can be opened, and none still runs.
    if usable_urls(videos) and success is not False:
        return "succeeded"
    # The run was refused or every video failed. A structured error without `success` is not in the
    # contract's table; error bodies of the API do leave it out, and it ends the run there too.
    none_succeeded = all_failed(videos) and not response.unread_videos
    if refused or (structured and success is None) or none_succeeded:
        return "failed"
    # The run ended without a video; what could not be read may have been one.
    if finished and success and not response.unreadable:
        return "failed"
    # At most a bare string as its error, and not finished: transient, according to the contract.
    if success is False:
        return "processing"
    # No data yet, or started. What has finished is not running, even if its outcome is missing.
    no_data_yet = success and not videos and not response.unreadable
    if not finished and (no_data_yet or record.started_at is not None):
        return "processing"
    # No response yet.
    no_outcome = success is None and not videos and record.run_error is None
    is_task = record.task_id is not None or record.created_at is not None
    if is_task and no_outcome and not finished and not response.unreadable:
        return "pending"
    return "unknown"


def _classify_minimax(record: TaskRecord) -> State:
    """Decide what a record of MiniMax H3 means, which says it in one word.

    The rows of the contract's second table.
    """
    state = _MINIMAX_STATES.get((record.status or "").lower(), "unknown")
    # Succeeded without a video that can be opened: `no_output`.
    return "failed" if state == "succeeded" and not usable_urls(record.videos) else state


_MINIMAX_STATES: dict[str, State] = {
    "queued": "pending",
    "running": "processing",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "failed",
}


def usable_urls(videos: Sequence[Video]) -> list[str]:
    """Return the URLs that can be opened, those of failed videos excepted."""
    urls = (usable_url(video.video_url) for video in videos if _word(video) not in _FAILED_WORDS)
    return [url for url in urls if url is not None]


def all_failed(videos: Sequence[Video]) -> bool:
    """Return whether there are videos and all of them failed."""
    return bool(videos) and count_failed(videos) == len(videos)


def count_failed(videos: Sequence[Video]) -> int:
    """Return how many of the videos failed."""
    return sum(_word(video) in _FAILED_WORDS for video in videos)


def _word(video: Video) -> str:
    return (video.state or video.status or "").lower()
