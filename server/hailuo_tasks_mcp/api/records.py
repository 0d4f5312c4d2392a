"""The API's JSON, read leniently: both envelopes and every known irregularity in, one shape out.

A value of a wrong type counts as absent, so reading never fails; what the values mean is decided in
`tasks.states`. The platform's own ids (`_id`, `api_id`, `application_id`, `credential_id`,
`user_id`) have no field here and so cannot be passed on.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from hailuo_tasks_mcp.api.services import ServiceName

# Ids have at most 128 digits; Python refuses to spell out integers far beyond that.
_MAX_INTEGER_BITS = 426
# Of the platform, unless a request says `limit`.
_USUAL_PAGE_SIZE = 12
_YEAR_10000 = 253_402_300_800.0
_CENTURY_SECONDS = 3_155_760_000.0


def _text(value: object) -> str | None:
    """Return a non-blank string; numbers become one, because some codes and ids are numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value.bit_length() <= _MAX_INTEGER_BITS else None
    if not isinstance(value, str):
        return None
    # JSON can spell half a surrogate pair, which no later encoder would take.
    return value.encode("utf-8", "ignore").decode().strip() or None


def _moment(value: object) -> float | None:
    """Return Unix seconds from Unix seconds or, as in older records, an ISO 8601 string."""
    if isinstance(value, str):
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
Duration = Annotated[float | None, BeforeValidator(_duration)]
Moment = Annotated[float | None, BeforeValidator(_moment)]
Flag = Annotated[bool | None, BeforeValidator(_flag)]


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TaskError(_Lenient):
    """Why a run failed: `{"code", "message"}`, or a message alone where a bare string came."""

    code: Text = None
    message: Text = None


class Video(_Lenient):
    """One video of a run; `state` is spelled `status` in some records."""

    video_url: Text = None
    state: Text = None
    status: Text = None
    model: Text = None
    prompt: Text = None
    first_image_url: Text = None


def _error(value: object) -> TaskError | None:
    """Return an error; None if it has neither code nor message."""
    value = {"message": value} if isinstance(value, str) else value
    error = TaskError.model_validate(value if isinstance(value, Mapping) else {})
    return error if error.code or error.message else None


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _videos(value: object) -> list[Video]:
    """Return the videos that have any field; a single one may come without its list."""
    videos = [Video.model_validate(item) for item in _items(value) if isinstance(item, Mapping)]
    return [video for video in videos if video != Video()]


class GenerationRequest(_Lenient):
    """The request that created the task: the record's `request`."""

    prompt: Text = None
    model: Text = None
    first_image_url: Text = None


class Response(_Lenient):
    """The outcome of a run, as far as there is one.

    `unreadable` tells that something came that is not an outcome, so that "nothing came" and
    "nothing that can be read came" stay two things.
    """

    success: Flag = None
    trace_id: Text = None
    task_id: Text = None
    data: Annotated[list[Video], BeforeValidator(_videos)] = Field(default_factory=list)
    error: Annotated[TaskError | None, BeforeValidator(_error)] = None
    unreadable: bool = False


class Content(_Lenient):
    """The video of the second envelope."""

    url: Text = None


class Usage(_Lenient):
    """What a run is charged for."""

    total_seconds: Duration = None


def _response(value: object) -> object:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {"unreadable": True}
    data = value.get("data")
    readable = data is None or all(isinstance(item, Mapping) for item in _items(data))
    return {**value, "unreadable": not readable}


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
    response: Annotated[Response, BeforeValidator(_response)] = Field(default_factory=Response)
    status: Text = None
    content: Annotated[Content, BeforeValidator(_object)] = Field(default_factory=Content)
    model: Text = None
    error: Annotated[TaskError | None, BeforeValidator(_error)] = None
    updated_at: Moment = None
    resolution: Text = None
    duration: Duration = None
    usage: Annotated[Usage, BeforeValidator(_object)] = Field(default_factory=Usage)

    @property
    def task_id(self) -> str | None:
        """The id of the task, which some records only have in their response."""
        return self.id or self.response.task_id

    @property
    def videos(self) -> list[Video]:
        """The videos of either envelope, in the API's order."""
        if self.response.data or (self.status is None and self.content.url is None):
            return self.response.data
        return [Video(video_url=self.content.url, state=self.status, model=self.model)]

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


def read_record(value: Any, service: ServiceName = "hailuo") -> TaskRecord | None:
    """Read one task record of a service from any JSON value.

    Returns None for `{}` and for `{"task": null}`, by which a service says that it knows no such
    task. Whatever cannot be read leaves its field empty; a value that is no record at all leaves
    all of them empty.
    """
    if not isinstance(value, Mapping):
        return TaskRecord(service=service)
    task = value.get("task", value)
    if task is None and not holds_task(value):
        return None
    record = task if isinstance(task, Mapping) else value
    return TaskRecord.model_validate({**record, "service": service}) if record else None


class TaskPage(NamedTuple):
    """One response to `retrieve_batch`.

    Attributes:
        records: the records that name their task, by its id.
        complete: whether the response reports no error and every item names its task, so that the
            API does not know a task that is missing from it.
        may_be_followed: whether there may be another page: as many items as a usual page has, or
            more counted than are here.

    """

    records: dict[str, TaskRecord]
    complete: bool
    may_be_followed: bool


def read_page(value: Any, service: ServiceName = "hailuo") -> TaskPage | None:
    """Read one response to `retrieve_batch` from any JSON value; None if it has no list of items.

    Of two records of one task the first, the newer one, counts. Whether `count` (`total` in the
    second envelope) counts the page or all there is, nothing promises.
    """
    items = value.get("items") if isinstance(value, Mapping) else None
    if not isinstance(items, list):
        return None
    records: dict[str, TaskRecord] = {}
    complete = not reports_error(value)
    for item in items:
        record = read_record(item, service)
        if record is not None and record.task_id is not None:
            records.setdefault(record.task_id, record)
        elif record is not None:
            complete = False
    counts = (value.get("count"), value.get("total"))
    counted = max((count for count in counts if isinstance(count, int)), default=0)
    may_be_followed = len(items) >= _USUAL_PAGE_SIZE or counted > len(items)
    return TaskPage(records, complete, may_be_followed)


def reports_error(value: Mapping[str, Any]) -> bool:
    """Return whether the top level of a JSON object reports an error."""
    is_refusal = "code" in value and "detail" in value
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
