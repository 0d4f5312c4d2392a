"""The tool `save_videos`: the videos of tasks into the folder that the settings name."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from mcp_types import Tool as ToolDefinition
from mcp_types import ToolAnnotations
from pydantic import Field

from hailuo_tasks_mcp.downloads.answers import SaveSummary, summarize_saves
from hailuo_tasks_mcp.downloads.save import Video, VideoSave, save_videos, videos_of
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.next_steps import SAVE_VIDEOS
from hailuo_tasks_mcp.tools.arguments import (
    MAX_TASK_IDS,
    Arguments,
    TaskIds,
    WaitSeconds,
    redacted_no_ids,
)
from hailuo_tasks_mcp.tools.lookup import poll_with_progress
from hailuo_tasks_mcp.tools.schema import flat_schema
from hailuo_tasks_mcp.tools.tool import Tool, ToolContext

# What is left for saving of the time that a call may take, however long it has waited.
_MIN_SAVING_SECONDS = 15
_REPORT_SECONDS = 1.0
_MB = 1_000_000


class SaveVideosArguments(Arguments):
    """Arguments of `save_videos`."""

    task_ids: Annotated[
        TaskIds, Field(description=f"1 to {MAX_TASK_IDS} task ids; the answer keeps their order.")
    ]
    wait_seconds: WaitSeconds = 0


DEFINITION = ToolDefinition(
    name=SAVE_VIDEOS,
    title="Save Hailuo videos",
    description="Save the videos of Hailuo or MiniMax H3 tasks as files in the user's folder, "
    "before their links expire. A video that is there already is not fetched again. "
    "Returns `saved` (path and size), `not_saved` (why), and `next_step`, the call for the rest.",
    input_schema=flat_schema(SaveVideosArguments, "validation"),
    output_schema=flat_schema(SaveSummary, "serialization"),
    annotations=ToolAnnotations(
        read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True
    ),
)


def tool(settings: Settings) -> Tool:
    """Return the tool as these settings publish it."""
    definition = DEFINITION.model_copy(deep=True)
    definition.input_schema["properties"]["wait_seconds"]["maximum"] = settings.max_wait_seconds
    return Tool(
        definition=definition,
        arguments=SaveVideosArguments,
        run=run,
        refusal="Nothing was saved",
        abilities=frozenset({"save"}),
    )


async def run(context: ToolContext, arguments: SaveVideosArguments) -> SaveSummary:
    """Wait for the tasks, save what succeeded, and return the answer.

    Hosts end a call after a minute, so the wait is shortened by what is needed for saving, and
    saving ends in time too: the next call goes on where this one stopped.
    """
    clock = asyncio.get_running_loop().time
    start = clock()
    settings, downloader = context.settings, context.downloader
    # The tool is there only where a folder is set.
    assert downloader is not None  # noqa: S101
    assert settings.save_dir is not None  # noqa: S101
    longest = settings.max_wait_seconds
    no_ids = redacted_no_ids(arguments.task_ids, context.redactor)
    ids = [task_id for task_id in arguments.task_ids if task_id not in no_ids]
    wait_seconds = min(arguments.wait_seconds, max(0, longest - _MIN_SAVING_SECONDS))
    known = await poll_with_progress(context, ids, wait_seconds)
    waited_seconds = clock() - start
    videos = videos_of(ids, known.records)
    progress = _Progress(videos)
    async with _reported(context, progress, waited_seconds):
        saves = await save_videos(
            downloader,
            videos,
            Path(settings.save_dir),
            on_change=progress.on_change,
            within_seconds=max(longest - waited_seconds, _MIN_SAVING_SECONDS),
        )
    return summarize_saves(
        [no_ids.get(task_id, task_id) for task_id in arguments.task_ids],
        known,
        saves,
        no_ids=no_ids.values(),
        now=context.now(),
        max_wait_seconds=longest,
        reader=context.reader,
    )


class _Progress:
    """How far videos are that are being saved.

    Attributes:
        done_bytes: how many bytes of all of them there are, or were before one was begun anew.

    """

    def __init__(self, videos: Sequence[Video]) -> None:
        self.done_bytes = 0
        self._count = len(videos)
        self._saves: dict[str, VideoSave] = {}

    def on_change(self, save: VideoSave) -> None:
        """Note what a video has come to."""
        self._saves[save.video.stem] = save
        done_bytes = sum(each.done_bytes for each in self._saves.values())
        self.done_bytes = max(self.done_bytes, done_bytes)

    def message(self) -> str:
        """Return it in a few words."""
        saved = sum(save.file is not None for save in self._saves.values())
        return f"{saved} of {self._count} videos saved, {self.done_bytes / _MB:.1f} MB"


@asynccontextmanager
async def _reported(
    context: ToolContext, progress: _Progress, waited_seconds: float
) -> AsyncIterator[None]:
    """Report the progress every second, as long as there is any."""

    async def report() -> None:
        reported_bytes = 0
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            if progress.done_bytes > reported_bytes:
                reported_bytes = progress.done_bytes
                # Beyond what the wait has reported, for progress must grow.
                done = round(waited_seconds, 1) + reported_bytes
                await context.report_progress(done, None, progress.message())

    reporting = asyncio.create_task(report())
    try:
        yield
    finally:
        reporting.cancel()
        # A client that is gone takes no reports, which is no reason to save nothing.
        await asyncio.gather(reporting, return_exceptions=True)
