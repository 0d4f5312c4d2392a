"""The API's JSON, read leniently: both envelopes and every known irregularity in, one shape out.

A value of a wrong type counts as absent, so reading never fails; what the values mean is decided in
`tasks.states`. The platform's own ids (`_id`, `api_id`, `application_id`, `credential_id`,
`user_id`) have no field here and so cannot be passed on. What is not read costs nothing, however
much it is.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from hailuo_tasks_mcp.api.services import ServiceName
from hailuo_tasks_mcp.text import LOOK_AHEAD, MAX_URL_LENGTH

# Ids have at most 128 digits; Python refuses to spell out integers far beyond that.
_MAX_INTEGER_BITS = 426
# Of the platform, unless a request says `limit`.
USUAL_PAGE_SIZE = 12
_YEAR_10000 = 253_402_300_800.0
_CENTURY_SECONDS = 3_155_760_000.0
# More of a text is of no use: of an error's message 300 characters are told, of any other text 80.
_MAX_MESSAGE_LENGTH = 300 * LOOK_AHEAD
_MAX_TEXT_LENGTH = 80 * LOOK_AHEAD
# What follows is redacted as well, so that no part of an encoded token is left where a text is cut.
_REDACTED_BEYOND = 1_000
# How much memory the texts of one record may take; a documented record has 1,100 characters.
# Thousands of records are kept while calls wait.
_MAX_RECORD_BYTES = 30_000
# After so many records of a page, which take up to 10 ms each, other tasks run.
RECORDS_AT_ONCE = 4
# More of a record are counted and not read; documented ones have one.
MAX_VIDEOS = 50
_MAX_MOMENT_LENGTH = 64
# A higher one is no count of tasks.
_MAX_COUNT = 1_000_000

Redact = Callable[[str], str]
"""Returns a text without the tokens in use."""


def read_text(
    value: object, redact: Redact | None = None, max_length: int = _MAX_MESSAGE_LENGTH
) -> str | None:
    """Return a non-blank string without what `redact` takes out; "…" ends one that is cut.

    Numbers become one, because some codes and ids are numbers.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if value.bit_length() <= _MAX_INTEGER_BITS else None
    if not isinstance(value, str):
        return None
    whole = value.strip()
    # JSON can spell half a surrogate pair, which no later encoder would take.
    text = whole[: max_length + _REDACTED_BEYOND].encode("utf-8", "ignore").decode().strip()
    text = redact(text) if redact else text
    if len(whole) > max_length + _REDACTED_BEYOND:
        text = text[:-_REDACTED_BEYOND]
    elif len(text) <= max_length:
        return text or None
    return text[:max_length] + "…"


class _Texts:
    """Reads the texts of one record, as the context of its validation.

    Each is read and kept once, however often it comes: a prompt comes with each video.
    """

    def __init__(self, redact: Redact | None = None) -> None:
        self._redact = redact
        self._read: dict[tuple[str, int], str | None] = {}
        self._bytes_left = _MAX_RECORD_BYTES
        self.full = False
        """Whether a text counted as absent, because the record had taken its memory."""

    def read(self, value: object, max_length: int) -> str | None:
        if not isinstance(value, str):
            return read_text(value, self._redact, max_length)
        if (value, max_length) not in self._read:
            # Before it is redacted, which takes more time than all else.
            size = sys.getsizeof(value[:max_length])
            self.full = self.full or size > self._bytes_left
            if self.full:
                return None
            text = read_text(value, self._redact, max_length)
            self._bytes_left -= sys.getsizeof(text)
            self._read[value, max_length] = text
        return self._read[value, max_length]


def _text(value: object, info: ValidationInfo, max_length: int = _MAX_TEXT_LENGTH) -> str | None:
    texts: _Texts = info.context or _Texts()
    return texts.read(value, max_length)


def _url(value: object, info: ValidationInfo) -> str | None:
    """Read a URL; one that is too long to be passed on is empty, for there is one."""
    too_long = isinstance(value, str) and len(value.strip()) > MAX_URL_LENGTH
    return "" if too_long else _text(value, info, MAX_URL_LENGTH)


def _moment(value: object) -> float | None:
    """Return Unix seconds from Unix seconds or, as in older records, an ISO 8601 string."""
    if isinstance(value, str) and len(value) <= _MAX_MOMENT_LENGTH:
        try:
            moment = datetime.fromisoformat(value.strip())
            value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    return _between(value, _YEAR_10000)


def _duration(value: object) -> float | None:
    return _between(value, _CENTURY_SECONDS)


def _between(value: object, end: float) -> float | None:
    """Return a number above 0 and below `end`; infinity, NaN and booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < end else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _object(value: object) -> object:
    return value if isinstance(value, Mapping) else {}


Text = Annotated[str | None, BeforeValidator(_text)]
Message = Annotated[str | None, BeforeValidator(partial(_text, max_length=_MAX_MESSAGE_LENGTH))]
Url = Annotated[str | None, BeforeValidator(_url)]
Duration = Annotated[float | None, BeforeValidator(_duration)]
Moment = Annotated[float | None, BeforeValidator(_moment)]
Flag = Annotated[bool | None, BeforeValidator(_flag)]


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TaskError(_Lenient):
    """Why a run failed: `{"code", "message"}`, or a message alone where a bare string came."""

    code: Text = None
    message: Message = None


class Video(_Lenient):
    """One video of a run; `state` is spelled `status` in some records."""

    video_url: Url = None
    state: Text = None
    status: Text = None
    model: Text = None
    prompt: Text = None
    first_image_url: Url = None


def _error(value: object, info: ValidationInfo) -> TaskError | None:
    """Return an error; None if it has neither code nor message."""
    value = {"message": value} if isinstance(value, str) else value
    value = value if isinstance(value, Mapping) else {}
    error = TaskError.model_validate(value, context=info.context)
    return error if error.code or error.message else None


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


class GenerationRequest(_Lenient):
    """The request that created the task: the record's `request`."""

    prompt: Text = None
    model: Text = None
    first_image_url: Url = None


class Response(_Lenient):
    """The outcome of a run, as far as there is one.

    `unreadable` tells that something came that is not an outcome or was not looked at, so that
    "nothing came" and "nothing that can be read came" stay two things; `unread_videos` how many of
    `data` were not looked at.
    """

    success: Flag = None
    trace_id: Text = None
    task_id: Text = None
    data: list[Video] = Field(default_factory=list)
    error: Annotated[TaskError | None, BeforeValidator(_error)] = None
    unreadable: bool = False
    unread_videos: int = 0


class Content(_Lenient):
    """The video of the second envelope."""

    url: Url = None


class Usage(_Lenient):
    """What a run is charged for."""

    total_seconds: Duration = None


def _response(value: object, info: ValidationInfo) -> object:
    """Read an outcome, its videos last and as far as the record's memory goes.

    A single video may come without its list; one that has no field is none.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {"unreadable": True}
    texts: _Texts = info.context or _Texts()
    others = {key: value.get(key) for key in ("success", "trace_id", "task_id", "error")}
    response = Response.model_validate(others, context=texts)
    data = value.get("data")
    items = [] if data is None else _items(data)
    videos: list[Video] = []
    unread_videos = len(items)
    readable = True
    for item in items[:MAX_VIDEOS]:
        video = Video.model_validate(item if isinstance(item, Mapping) else {}, context=texts)
        if texts.full:
            break
        unread_videos -= 1
        readable = readable and isinstance(item, Mapping)
        videos += [video] if video != Video() else []
    changes = {
        "data": videos,
        "unreadable": not readable or unread_videos > 0,
        "unread_videos": unread_videos,
    }
    return response.model_copy(update=changes)


# Of MiniMax H3, which says when it last changed a task.
_ENDED_WORDS = frozenset({"succeeded", "failed", "cancelled"})


class TaskRecord(_Lenient):
    """A task as the API describes it, in either envelope.

    The first envelope, which is Hailuo's documented one, has `request` and `response`; the second,
    which is MiniMax H3's and was seen for Hailuo too, has `status`, `content`, `model` and `error`
    at the top. Times are Unix seconds, `elapsed` is seconds, `duration` is the length of the video
    in seconds.
    """

    service: ServiceName = "hailuo"
    id: Text = None
    created_at: Moment = None
    started_at: Moment = None
    finished_at: Moment = None
    elapsed: Duration = None
    trace_id: Text = None
    request: Annotated[GenerationRequest, BeforeValidator(_object)] = Field(
        default_factory=GenerationRequest
    )
    status: Text = None
    content: Annotated[Content, BeforeValidator(_object)] = Field(default_factory=Content)
    model: Text = None
    error: Annotated[TaskError | None, BeforeValidator(_error)] = None
    updated_at: Moment = None
    resolution: Text = None
    duration: Duration = None
    usage: Annotated[Usage, BeforeValidator(_object)] = Field(default_factory=Usage)
    # Read last, because it may take all the memory of the record.
    response: Annotated[Response, BeforeValidator(_response)] = Field(default_factory=Response)

    @property
    def task_id(self) -> str | None:
        """The id of the task, which some records only have in their response."""
        return self.id or self.response.task_id

    @property
    def videos(self) -> list[Video]:
        """The videos of either envelope, in the API's order."""
        if self.response.data or (self.status is None and self.content.url is None):
            return self.response.data
        # Each of these has been read.
        content_url, state, model = self.content.url, self.status, self.model
        return [Video.model_construct(video_url=content_url, state=state, model=model)]

    @property
    def ended_at(self) -> float | None:
        """When the run ended, as far as the record says."""
        ended = self.service == "minimax" and (self.status or "").lower() in _ENDED_WORDS
        return self.updated_at if ended else self.finished_at

    @property
    def run_error(self) -> TaskError | None:
        """Why the run failed: the response's error, unless only the record's own has a code."""
        inner, outer = self.response.error, self.error
        coded = (error for error in (inner, outer) if error is not None and error.code)
        return next(coded, inner or outer)


def read_record(
    value: Any, service: ServiceName = "hailuo", redact: Redact | None = None
) -> TaskRecord | None:
    """Read one task record of a service from any JSON value, its texts redacted.

    Returns None for `{}` and for `{"task": null}`, by which a service says that it knows no such
    task. Whatever cannot be read leaves its field empty; a value that is no record at all leaves
    all of them empty.
    """
    if not isinstance(value, Mapping):
        return TaskRecord(service=service)
    record = _unwrapped(value)
    if value.get("task", value) in (None, {}) and not holds_task(value):
        return None
    return TaskRecord.model_validate({**record, "service": service}, context=_Texts(redact))


def _unwrapped(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record without the `task` in which the second envelope puts it."""
    task = value.get("task")
    return task if task and isinstance(task, Mapping) else value


class TaskPage(NamedTuple):
    """One response to `retrieve_batch`.

    Attributes:
        records: the records of tasks that were asked for, by the id asked for.
        may_be_followed: whether there may be another page: as many items as a usual page has, or
            more counted than are here.
        missing: how many more tasks it counts than it has items.
        doubt: why a task that is missing from it may still be known to the API; None if the page
            accounts for each item: it reports no error, and every item is a task asked for.

    """

    records: dict[str, TaskRecord]
    may_be_followed: bool
    missing: int
    doubt: str | None


async def read_page(
    value: Any,
    task_ids: Sequence[str],
    service: ServiceName = "hailuo",
    redact: Redact | None = None,
) -> TaskPage | None:
    """Read one response to `retrieve_batch` from any JSON value; None if it has no list of items.

    Only records of `task_ids` are read, and other tasks run between them. An id may come back in
    another case, as UUIDs do. Of two records of one task the first, the newer one, counts. Whether
    `count` (`total` in the second envelope) counts the page or all there is, nothing promises.
    """
    items = value.get("items") if isinstance(value, Mapping) else None
    if not isinstance(items, list):
        return None
    asked = {task_id.lower(): task_id for task_id in task_ids} | {each: each for each in task_ids}
    records: dict[str, TaskRecord] = {}
    doubt = "a list that reports an error" if reports_error(value) else None
    for item in items:
        task_id = id_in(item)
        if task_id is None:
            doubt = doubt or "a list with items that name no task"
            continue
        asked_id = asked.get(task_id) or asked.get(task_id.lower())
        if asked_id is None:
            doubt = doubt or "the records of other tasks"
        elif asked_id not in records and (record := read_record(item, service, redact)):
            records[asked_id] = record
            if len(records) % RECORDS_AT_ONCE == 0:
                await asyncio.sleep(0)
    counted = 0
    for count in filter(None, (value.get("count"), value.get("total"))):
        number = read_count(count)
        if number is None:
            doubt = doubt or "a list whose count cannot be read"
        counted = max(counted, number or 0)
    missing = max(0, counted - len(items))
    return TaskPage(records, len(items) >= USUAL_PAGE_SIZE or missing > 0, missing, doubt)


def read_count(value: object) -> int | None:
    """Return a whole number, also of a float or of digits; None if it is no count of tasks."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if 0 <= number <= _MAX_COUNT and number.is_integer() else None


def id_in(item: object) -> str | None:
    """Return the id that an item of a page has, as `TaskRecord.task_id` finds it."""
    if not isinstance(item, Mapping):
        return None
    record = _unwrapped(item)
    task_id = read_text(record.get("id"))
    if task_id is None and isinstance(response := record.get("response"), Mapping):
        task_id = read_text(response.get("task_id"))
    return task_id


def reports_error(value: Mapping[str, Any]) -> bool:
    """Return whether the top level of a JSON object reports an error."""
    is_refusal = "code" in value and ("detail" in value or "message" in value)
    return bool(value.get("error")) or value.get("success") is False or is_refusal


def holds_task(value: Mapping[str, Any]) -> bool:
    """Return whether a JSON object holds anything of a task, whatever else it holds."""
    # An id alone may be that of a request, a status that is a number that of HTTP.
    return isinstance(value.get("status"), str) or any(value.get(key) for key in _TASK_FIELDS)


_TASK_FIELDS = (
    "items",
    "task",
    "request",
    "response",
    "content",
    "created_at",
    "started_at",
    "finished_at",
)
