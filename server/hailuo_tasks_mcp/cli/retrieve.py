"""`hailuo-tasks-mcp retrieve`: the tools' look-ups for a person at a terminal."""

import argparse
import asyncio
import signal
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hailuo_tasks_mcp.api.client import ApiClient, open_client
from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.cli.id_list import read_ids
from hailuo_tasks_mcp.cli.output import print_failure, print_json
from hailuo_tasks_mcp.cli.save_progress import SaveProgress, megabytes
from hailuo_tasks_mcp.cli.startup import Startup, start
from hailuo_tasks_mcp.cli.terminal import INTERRUPTED, ProgressLine
from hailuo_tasks_mcp.downloads.download import Downloader
from hailuo_tasks_mcp.downloads.save import VideoSave, save_videos, videos_of
from hailuo_tasks_mcp.errors import Failure, HailuoTasksError, InvalidArgumentsError
from hailuo_tasks_mcp.messages import SANDBOX_LINE, error_text, remedy
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings, parse_folder
from hailuo_tasks_mcp.tasks.answers import BatchSummary, TaskSummary
from hailuo_tasks_mcp.tasks.durations import USUAL_DURATIONS
from hailuo_tasks_mcp.tasks.polling import poll
from hailuo_tasks_mcp.tasks.states import RUNNING_STATES, State, classify, count_failed, usable_urls
from hailuo_tasks_mcp.tasks.summarize import describe_progress, summarize_batch, summarize_task
from hailuo_tasks_mcp.text import clean_text
from hailuo_tasks_mcp.tools import retrieve_task
from hailuo_tasks_mcp.tools.arguments import MAX_TASK_ID_LENGTH, find_task_id, redacted_no_ids
from hailuo_tasks_mcp.tools.tool import check_arguments

ALL_SUCCEEDED, NOT_ALL_SUCCEEDED, USAGE, STILL_RUNNING = 0, 1, 2, 3
_WIDTH = 100
# For what has come of videos to be written, once Ctrl-C has ended their downloads.
_SETTLE_SECONDS = 2.0


def run(options: argparse.Namespace) -> int:
    """Look tasks up, print what is known, and return the exit code."""
    startup = start(sandbox=options.sandbox)
    output = _Output(startup.settings, startup.redactor, as_json=options.json)
    try:
        task_ids = read_ids(options.task_ids, options.file)
    except InvalidArgumentsError as error:
        return output.failed(error)
    with _interruptible(waits=options.wait > 0 or options.save is not None):
        try:
            return asyncio.run(
                run_retrieve(
                    startup,
                    task_ids,
                    wait_seconds=options.wait,
                    as_json=options.json,
                    save_in=options.save,
                )
            )
        except KeyboardInterrupt:
            return INTERRUPTED


@contextmanager
def _interruptible(*, waits: bool) -> Iterator[None]:
    """Let Ctrl-C during a wait be an exception, so that what is known by then can be printed."""
    if not waits or signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


async def run_retrieve(
    startup: Startup,
    task_ids: Sequence[str],
    *,
    wait_seconds: int,
    as_json: bool,
    save_in: str | None = None,
) -> int:
    """Look tasks up, print what is known, save videos if they are to be, return the exit code.

    Cancelled, it prints what is known and saved by then.

    Args:
        startup: the settings, and what carries the requests.
        task_ids: the tasks, any number of them.
        wait_seconds: how long to wait for those that run; not bound by the maximum for models,
            because a person can wait longer than a host.
        as_json: print what a model gets in place of a block for each task.
        save_in: the folder in which to save the videos; None if they are not to be saved.

    Returns:
        3 as long as a task runs; else 0 if all succeeded, and were saved; 1 if one failed, was not
        found or could not be looked up or saved; 2 if the only one is none.

    """
    settings, transport, redactor = startup
    output = _Output(settings, redactor, as_json=as_json)
    try:
        ids = _checked(task_ids, startup)
        folder = None if save_in is None else _folder(save_in)
        lookup = _Lookup(ids, wait_seconds)
        try:
            async with (
                open_client(settings, transport=transport, redactor=redactor) as client,
                ProgressLine(wait_seconds) as line,
            ):
                known = await lookup.run(client, line)
        except asyncio.CancelledError:
            output.interrupted(ids, lookup.known)
            raise
    except HailuoTasksError as error:
        return output.failed(error)
    all_saved = True
    if folder is None:
        output.known(ids, known)
    else:
        all_saved = await _save(startup, ids, known, folder, output)
    states = {_state(task_id, known) for task_id in ids}
    if states & RUNNING_STATES:
        return STILL_RUNNING
    return ALL_SUCCEEDED if states == {"succeeded"} and all_saved else NOT_ALL_SUCCEEDED


def _folder(text: str) -> Path:
    """Return the absolute path of a folder.

    Raises:
        InvalidArgumentsError: no folder can have this path.

    """
    folder = parse_folder(text)
    if folder is None or not text.strip():
        raise InvalidArgumentsError("Nothing was saved: --save names no folder", usage="")
    return folder.absolute()


async def _save(
    startup: Startup, ids: Sequence[str], known: LookupResult, folder: Path, output: "_Output"
) -> bool:
    """Print what is known, save the videos and print what came of them; return if all are there."""
    if not output.as_json:
        # Before the videos, which can take a while.
        output.known(ids, known)
    saves: dict[str, VideoSave] = {}
    videos = videos_of(ids, known.records)
    downloader = Downloader(startup.settings, startup.redactor.redact, transport=startup.transport)
    try:
        with SaveProgress(len(videos)) as progress:

            def on_change(save: VideoSave) -> None:
                saves[save.video.stem] = save
                progress.show(save)

            ended = await save_videos(downloader, videos, folder, on_change=on_change)
    except asyncio.CancelledError:
        await downloader.settle(_SETTLE_SECONDS)
        output.saved(ids, known, [save for save in saves.values() if save.ended], left=len(videos))
        raise
    output.saved(ids, known, ended)
    # Those that failed or could not be read count too.
    all_came = not any(
        record.response.unread_videos or count_failed(record.videos)
        for record in known.records.values()
    )
    return all_came and all(save.file is not None for save in ended)


def _checked(task_ids: Sequence[str], startup: Startup) -> list[str]:
    """Return the ids as a tool takes them, without repeats; what is none, as it was given.

    Raises:
        InvalidArgumentsError: the only one is no task id.

    """
    ids = list(dict.fromkeys(find_task_id(text) or text.strip() for text in task_ids))
    if len(ids) == 1:
        settings = startup.settings
        tool = retrieve_task.tool(settings)
        check_arguments(tool, {"task_id": ids[0]}, settings, startup.redactor)
    return ids


class _Lookup:
    """One look-up of some tasks, with the wait for them.

    Attributes:
        known: what is known by now; None before the first answer.

    """

    def __init__(self, ids: Sequence[str], wait_seconds: int) -> None:
        self.known: LookupResult | None = None
        self._ids = [task_id for task_id in ids if find_task_id(task_id)]
        self._wait_seconds = wait_seconds

    async def run(self, client: ApiClient, line: ProgressLine) -> LookupResult:
        """Return what is known at the end of the wait.

        Raises:
            HailuoTasksError: nothing could be learned.

        """

        async def on_poll(waited_seconds: float, known: LookupResult) -> None:
            self.known = known
            if self._wait_seconds:
                message = describe_progress(
                    self._ids, known.records, known.failures, now=time.time()
                )
                await line.report(waited_seconds, None, message)

        if not self._ids:
            return LookupResult({}, {})
        return await poll(
            client.look_up, self._ids, wait_seconds=self._wait_seconds, on_poll=on_poll
        )


@dataclass(frozen=True, slots=True)
class _Output:
    """Prints what came of a look-up, for a person or as one JSON object, without tokens."""

    settings: Settings
    redactor: Redactor
    as_json: bool

    def known(self, ids: Sequence[str], known: LookupResult) -> None:
        """Print what is known of each task."""
        if self.as_json:
            self._print_json(self._summary(ids, known).as_data())
            return
        paragraphs = [_block(task_id, known, self.redactor) for task_id in ids]
        if len(ids) > 1:
            paragraphs.append(_counts(ids, known))
        print(self.redactor.redact("\n\n".join(paragraphs)))
        if self.settings.sandbox:
            print(("" if len(ids) > 1 else "\n") + SANDBOX_LINE)

    def saved(
        self, ids: Sequence[str], known: LookupResult, saves: Sequence[VideoSave], left: int = 0
    ) -> None:
        """Print what came of each video.

        Args:
            ids: the ids as given, without repeats.
            known: what is known of the tasks.
            saves: the videos that are there or will not come.
            left: if Ctrl-C came, how many there were to be, those included.

        """
        if self.as_json:
            saved = [
                {"task_id": save.video.task_id, "path": str(save.file.path)}
                | {"bytes": save.file.bytes}
                for save in saves
                if save.file is not None
            ]
            not_saved = [
                {"task_id": save.video.task_id, "reason": save.failure.message}
                | {"remedy": remedy(save.failure, "person")}
                for save in saves
                if save.failure is not None
            ]
            data = self._summary(ids, known).as_data()
            self._print_json(data | {"saved": saved, "not_saved": not_saved})
            return
        lines = [_saved_line(save) for save in saves]
        there = sum(save.file is not None for save in saves)
        if left:
            lines.append(
                f"Interrupted: {there} of {left} videos are there; the same command goes on where "
                "it stopped."
            )
        elif not saves:
            lines.append("There is no video to save.")
        elif len(saves) > 1:
            lines.append(f"{there} of {len(saves)} videos are there.")
        print(self.redactor.redact("\n".join(["", *lines])))

    def interrupted(self, ids: Sequence[str], known: LookupResult | None) -> None:
        """Print what was known when Ctrl-C came."""
        if known is not None:
            self.known(ids, known)
        elif self.as_json:
            self._print_json({"error": {"message": _NOTHING_YET, "remedy": "Try again."}})
        else:
            print(f"hailuo-tasks-mcp: {_NOTHING_YET}.", file=sys.stderr)

    def failed(self, error: HailuoTasksError) -> int:
        """Print why nothing is known, and return the exit code."""
        print_failure(error.failure, self.settings, self.redactor, as_json=self.as_json)
        return USAGE if isinstance(error, InvalidArgumentsError) else NOT_ALL_SUCCEEDED

    def _summary(self, ids: Sequence[str], known: LookupResult) -> TaskSummary | BatchSummary:
        """Return what a model gets."""
        now, max_wait_seconds = time.time(), self.settings.max_wait_seconds
        if len(ids) > 1:
            no_ids = redacted_no_ids(ids, self.redactor)
            return summarize_batch(
                [no_ids.get(task_id, task_id) for task_id in ids],
                known,
                no_ids=no_ids.values(),
                now=now,
                max_wait_seconds=max_wait_seconds,
            )
        (task_id,) = ids
        record, failure = known.records.get(task_id), known.failures.get(task_id)
        return summarize_task(task_id, record, failure, now=now, max_wait_seconds=max_wait_seconds)

    def _print_json(self, data: dict[str, Any]) -> None:
        print_json(data, self.settings, self.redactor)


def _saved_line(save: VideoSave) -> str:
    if save.file is not None:
        how = "there before" if save.was_there else "saved"
        return f"{how}: {save.file.path} ({megabytes(save.file.bytes)} MB)"
    assert save.failure is not None  # noqa: S101 - only those are printed that have ended
    return f"not saved: {save.video.stem}: {error_text(save.failure, 'person')}"


_NOTHING_YET = "Interrupted before anything was learned"


def _counts(ids: Sequence[str], known: LookupResult) -> str:
    """Return how many tasks are in which state, the most frequent first."""
    counts = Counter(_state(task_id, known) for task_id in ids).most_common()
    return f"{len(ids)} tasks: " + ", ".join(f"{count} {state}" for state, count in counts)


def _state(task_id: str, known: LookupResult) -> State:
    if task_id in known.failures and task_id not in known.records:
        return "unknown"
    return classify(known.records.get(task_id))


def _block(task_id: str, known: LookupResult, redactor: Redactor) -> str:
    """Return what is known of a task in some lines, its state first."""
    state = _state(task_id, known)
    lines = [f"{clean_text(redactor.redact(task_id), MAX_TASK_ID_LENGTH)}: {state}"]
    for label, value in _facts(task_id, state, known):
        lines.append(
            textwrap.fill(
                value,
                width=_WIDTH,
                initial_indent=f"  {label:9}",
                subsequent_indent=" " * 11,
                # A URL must stay in one piece, or it can be neither clicked nor copied.
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    return "\n".join(lines)


def _facts(task_id: str, state: State, known: LookupResult) -> list[tuple[str, str]]:
    """Return what is known of a task, with its labels, in the order of interest."""
    record, failure = known.records.get(task_id), known.failures.get(task_id)
    task = summarize_task(task_id, record, now=time.time(), max_wait_seconds=0)
    urls, unread = [], 0
    if record is not None and state == "succeeded":
        # All that were read; a model's answer may list fewer.
        urls, unread = usable_urls(record.videos), record.response.unread_videos
    facts = [
        *(("video", url) for url in urls),
        ("more", unread and f"{unread} more videos"),
        ("missing", task.failed_videos and f"{task.failed_videos} more failed"),
        ("reason", _reason(task, state, failure)),
        # Beside a state, which is then the one last seen.
        ("problem", failure and error_text(failure, "person")),
        ("model", task.model),
        ("prompt", task.prompt),
        ("image", task.first_image_url),
        ("created", task.created_at),
        ("age" if state in RUNNING_STATES else "took", _duration(task, record)),
        ("trace id", task.trace_id),
    ]
    return [(label, str(value)) for label, value in facts if value]


def _reason(task: TaskSummary, state: State, failure: Failure | None) -> str | None:
    """Return why there is no video, where the state alone does not say it."""
    if task.error is not None:
        return task.error.message + (f" ({task.error.code})" if task.error.code else "")
    if not find_task_id(task.task_id):
        return "This is no task id."
    if state == "not_found":
        return "Neither MiniMax H3 nor Hailuo knows this task for this account. Check the id."
    if state == "unknown" and failure is None:
        return "The API's record of it fits no known state."
    return None


def _duration(task: TaskSummary, record: TaskRecord | None) -> str | None:
    if task.elapsed_seconds is None:
        return None
    if task.state in RUNNING_STATES and record is not None:
        return f"{task.elapsed_seconds} s; usually {USUAL_DURATIONS[record.service]}"
    return f"{task.elapsed_seconds} s"
