"""What came of saving, as a model gets it."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated

from pydantic import Field

from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.downloads.save import VideoSave
from hailuo_tasks_mcp.errors import Failure, FolderError
from hailuo_tasks_mcp.messages import Reader, remedy
from hailuo_tasks_mcp.tasks.answers import Answer, TaskSummary
from hailuo_tasks_mcp.tasks.next_steps import SAVE_VIDEOS, SEE_BATCH
from hailuo_tasks_mcp.tasks.states import RUNNING_STATES, State
from hailuo_tasks_mcp.tasks.summarize import summarize_batch
from hailuo_tasks_mcp.text import clean_text

# With room for a path.
_REASON_LIMIT = 500


class SavedVideo(Answer):
    """A video that is in the folder."""

    task_id: Annotated[str, Field(description="Whose video it is.")]
    path: Annotated[str, Field(description="Where it is.")]
    bytes: Annotated[int, Field(description="Its size.")]
    already_there: Annotated[
        bool | None, Field(description="True if it was, and nothing was fetched.")
    ] = None


class UnsavedVideo(Answer):
    """A task of which a video is not in the folder."""

    task_id: Annotated[str, Field(description="The id asked for.")]
    state: Annotated[State, Field(description="State of the generation.")]
    reason: Annotated[str | None, Field(description="Why there is no file.")] = None
    next_step: Annotated[str | None, Field(description="What to do next.")] = None


class SaveSummary(Answer):
    """What came of saving the videos of several tasks."""

    saved: Annotated[list[SavedVideo], Field(description="The videos that are in the folder.")]
    not_saved: Annotated[
        list[UnsavedVideo], Field(description="Tasks without a file, or without all.")
    ]
    final: Annotated[bool, Field(description="True if calling again changes nothing.")]
    next_step: Annotated[str | None, Field(description="What to do next.")] = None


def summarize_saves(  # noqa: PLR0913 - what is known, and what its answer depends on
    task_ids: Sequence[str],
    known: LookupResult,
    saves: Sequence[VideoSave],
    *,
    no_ids: Collection[str] = (),
    now: float,
    max_wait_seconds: int,
    reader: Reader,
) -> SaveSummary:
    """Return the answer of what was looked up and saved.

    Args:
        task_ids: the ids as given, without repeats.
        known: what was looked up; an id that is in neither part is not found.
        saves: what came of each video of the tasks that succeeded.
        no_ids: those of `task_ids` that are none, and were not looked up.
        now: the time, in Unix seconds.
        max_wait_seconds: for how long a next call can wait for running tasks.
        reader: for whom errors are worded.

    """
    batch = summarize_batch(
        task_ids,
        known,
        no_ids=no_ids,
        now=now,
        max_wait_seconds=max_wait_seconds,
        reader=reader,
    )
    unsaved = [entry for task in batch.tasks for entry in _unsaved(task, known, saves)]
    failures = [save.failure for save in saves if save.failure is not None]
    open_ids = [task.task_id for task in batch.tasks if not task.final]
    open_ids += [save.video.task_id for save in saves if _may_come(save)]
    lasting = [each for each in known.failures.values() if not each.transient]
    steps = list(dict.fromkeys(remedy(each, reader) for each in _not_repeated(failures, lasting)))
    if open_ids and not lasting:
        running = any(task.state in RUNNING_STATES for task in batch.tasks)
        steps.append(_next_call(list(dict.fromkeys(open_ids)), running, max_wait_seconds))
    return SaveSummary(
        saved=[
            SavedVideo(
                task_id=save.video.task_id,
                path=str(save.file.path),
                bytes=save.file.bytes,
                already_there=save.was_there or None,
            )
            for save in saves
            if save.file is not None
        ],
        not_saved=unsaved,
        final=not open_ids and not any(issubclass(each.kind, FolderError) for each in failures),
        next_step=" ".join(steps) or None,
    )


def _may_come(save: VideoSave) -> bool:
    return not save.ended or (save.failure is not None and save.failure.transient)


def _not_repeated(failures: Iterable[Failure], lasting: Iterable[Failure]) -> list[Failure]:
    """Return the failures after which the same call is of no use as long as nothing is done."""
    return [*(each for each in failures if not each.transient), *lasting]


def _next_call(task_ids: Sequence[str], running: bool, max_wait_seconds: int) -> str:
    wait = f", wait_seconds={max_wait_seconds}" if running else ""
    ids = json.dumps(task_ids)
    return (
        f"{len(task_ids)} not saved yet: call {SAVE_VIDEOS}(task_ids={ids}{wait}), which goes on "
        "where it stopped; if that brings nothing more, tell the user."
    )


def _unsaved(
    task: TaskSummary, known: LookupResult, saves: Sequence[VideoSave]
) -> list[UnsavedVideo]:
    """Return why there is no file of a task, or not one of each of its videos."""

    def entry(reason: str | None, next_step: str | None = None) -> UnsavedVideo:
        shown = reason and clean_text(reason, _REASON_LIMIT)
        return UnsavedVideo(
            task_id=task.task_id, state=task.state, reason=shown or None, next_step=next_step
        )

    if task.state != "succeeded":
        failure = known.failures.get(task.task_id)
        reason = task.error.message if task.error else failure and failure.message
        step = task.next_step
        return [entry(reason or None, None if step == SEE_BATCH or failure else step)]
    entries = []
    for save in saves:
        if save.video.task_id != task.task_id or save.file is not None:
            continue
        entries.append(entry(save.failure.message if save.failure else "There was no time left"))
    if task.failed_videos:
        entries.append(entry(f"{task.failed_videos} of its videos failed and will not come"))
    if unread := known.records[task.task_id].response.unread_videos:
        entries.append(entry(f"{unread} more of its videos could not be read"))
    return entries
