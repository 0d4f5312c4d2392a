"""A stand-in for the Hailuo API: nothing is generated, nothing is charged, nothing leaves.

It answers `POST /hailuo/tasks` and `POST /hailuo/videos` as the API's contract says, oddities
included: pages of 12 unless `limit` is given, newest first, `{}` for an unknown id, the documented
error bodies. Its tasks go pending, processing, succeeded (or failed, if the prompt says "fail") by
a clock that a test can drive.

The token `sandbox` is valid. Any error of the API can be had by asking with the token
`sandbox-CODE`, for example `sandbox-used_up`.
"""

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hailuo_tasks_mcp.errors import BASE_URL_VARIABLE, TOKEN_VARIABLE

SANDBOX_TOKEN = "sandbox"  # noqa: S105 - valid in the sandbox only
# What a server's settings are read from when a sandbox in its own process answers it.
SANDBOX_ENVIRONMENT = {TOKEN_VARIABLE: SANDBOX_TOKEN, BASE_URL_VARIABLE: "http://localhost"}
PAGE_SIZE = 12
PENDING_SECONDS = 2.0
RUN_SECONDS = 69.1

# The two tasks of the published documentation, and two more that the sandbox starts with.
DOCUMENTED_TASK_ID = "58cc618b-9639-4ee7-add2-d2fcf260d9a3"
DOCUMENTED_TIMED_TASK_ID = "09d4a93e-d5c8-4778-bdf2-711773d71c59"
FAILED_TASK_ID = "fa11ed00-5eed-4000-8000-000000000001"
RUNNING_TASK_ID = "57a27ed0-5eed-4000-8000-000000000002"

DEFAULT_RUNNING_SINCE_SECONDS = 20.0
_FAILED_SINCE_SECONDS = 600.0

Json = dict[str, Any]
Outcome = Literal["succeeded", "failed", "unavailable"]
Endpoint = Callable[[Request], Awaitable[JSONResponse]]

# The default comes first.
_MODELS = ("minimax-t2v", "minimax-i2v", "minimax-i2v-director")
_MODELS_FROM_IMAGE = _MODELS[1:]

# What every record carries for the platform's own use.
_API_ID = "d5af91f6-a7ec-4015-b0a5-d25051158470"
_APPLICATION_ID = "2f9f4d93-9193-4c49-a1a5-eddf0ff38abb"
_CREDENTIAL_ID = "f634e655-012e-432e-92a8-a87e4a80d636"
_USER_ID = "ad7afe47-cea9-4cda-980f-2ad8810e51cf"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What is known of a task from its beginning; where it stands follows from the clock."""

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
        """Return the record as the API would tell it at the time `now`, in Unix seconds."""
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
            "model": self.request.get("model", _MODELS[0]),
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


class _Tasks:
    """The tasks of one sandbox."""

    def __init__(self, now: Callable[[], float], running_since_seconds: float) -> None:
        self._now = now
        self._tasks: dict[str, _Task] = {}
        for task in _first_tasks(now(), running_since_seconds):
            self._tasks[task.id] = task

    def retrieve(self, task_id: object) -> Json:
        task = self._tasks.get(task_id) if isinstance(task_id, str) else None
        return task.record(self._now()) if task else {}

    def retrieve_batch(self, task_ids: list[Any], limit: int, offset: int) -> Json:
        wanted = {task_id for task_id in task_ids if isinstance(task_id, str)}
        known = [task for task in self._tasks.values() if task.id in wanted]
        known.sort(key=lambda task: task.created_at, reverse=True)
        page = known[offset : offset + limit]
        return {"items": [task.record(self._now()) for task in page], "count": len(known)}

    def create(self, request: Json, *, finished: bool) -> _Task:
        """Make a task; one that is `finished` has its whole run behind it already."""
        model = request.get("model", _MODELS[0])
        outcome: Outcome = "succeeded"
        if model not in _MODELS:
            outcome = "unavailable"
        elif "fail" in str(request.get("prompt")).lower():
            outcome = "failed"
        task_id = str(uuid.uuid4())
        task = _Task(
            id=task_id,
            platform_id=uuid.uuid4().hex[:24],
            trace_id=str(uuid.uuid4()),
            created_at=round(self._now() - (RUN_SECONDS + 1 if finished else 0), 3),
            request=request,
            video_id=uuid.uuid4().hex[:26],
            video_url=_video_url(task_id),
            outcome=outcome,
        )
        self._tasks[task.id] = task
        return task


def create_sandbox(
    *,
    now: Callable[[], float] = time.time,
    running_since_seconds: float = DEFAULT_RUNNING_SINCE_SECONDS,
) -> Starlette:
    """Make the sandbox as an ASGI application.

    Args:
        now: the time, in Unix seconds, by which its tasks go on.
        running_since_seconds: how old the running task is that it starts with, of `RUN_SECONDS`.

    """
    tasks = _Tasks(now, running_since_seconds)

    def endpoint(answer: Callable[[_Tasks, Json], JSONResponse]) -> Endpoint:
        async def on_request(request: Request) -> JSONResponse:
            body = await _body(request)
            return body if isinstance(body, JSONResponse) else answer(tasks, body)

        return on_request

    async def on_elsewhere(_: Request, __: Exception) -> JSONResponse:
        return _fault("no_api")

    app = Starlette(
        routes=[
            Route("/hailuo/tasks", endpoint(_on_tasks), methods=["POST"]),
            Route("/hailuo/videos", endpoint(_on_videos), methods=["POST"]),
        ],
        exception_handlers={404: on_elsewhere, 405: on_elsewhere},
    )
    app.router.redirect_slashes = False
    return app


def _on_tasks(tasks: _Tasks, body: Json) -> JSONResponse:
    ids = body.get("ids")
    match body.get("action"):
        case "retrieve" if "id" in body:
            return JSONResponse(tasks.retrieve(body["id"]))
        case "retrieve_batch" if isinstance(ids, list):
            limit, offset = _whole(body.get("limit"), PAGE_SIZE), _whole(body.get("offset"), 0)
            return JSONResponse(tasks.retrieve_batch(ids, limit, offset))
        case "retrieve" | "retrieve_batch":
            return _fault("bad_request")
    return _fault("api_not_implemented")


def _on_videos(tasks: _Tasks, body: Json) -> JSONResponse:
    in_background = body.pop("async", False) is True
    if body.get("action") != "generate":
        return _fault("api_not_implemented")
    image_missing = body.get("model") in _MODELS_FROM_IMAGE and not body.get("first_image_url")
    if not isinstance(body.get("prompt"), str) or image_missing:
        return _fault("bad_request")
    task = tasks.create(body, finished=not in_background)
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


def _first_tasks(now: float, running_since_seconds: float) -> list[_Task]:
    documented: Json = {"action": "generate", "prompt": "Internal heat"}
    return [
        _Task(
            id=DOCUMENTED_TASK_ID,
            platform_id="67866dff550a4144a5867aa7",
            trace_id="0c1f9f13-0aef-4d9a-a9d2-1d27055ff190",
            created_at=1736863231.588,
            request=documented,
            video_id="2a1tbgnjdxrg80cmcmes19s33r",
            video_url="https://file.aigpai.com/czjl/tjU3QYKgU96IJFgpL0eMfBFhmy0qXz9Y05P2IBhShCYaDCFUA/tmp5uligw3a.output.mp4",
            timed=False,
        ),
        _Task(
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
        _Task(
            id=FAILED_TASK_ID,
            platform_id="5eed00000000000000000001",
            trace_id="fa11ed00-0000-4000-8000-000000000001",
            created_at=round(now - _FAILED_SINCE_SECONDS, 3),
            request={"action": "generate", "prompt": "A prompt that fails", "model": _MODELS[0]},
            video_id="5eed0000000000000000000001",
            video_url=_video_url(FAILED_TASK_ID),
            outcome="failed",
        ),
        _Task(
            id=RUNNING_TASK_ID,
            platform_id="5eed00000000000000000002",
            trace_id="57a27ed0-0000-4000-8000-000000000002",
            created_at=round(now - running_since_seconds, 3),
            request={"action": "generate", "prompt": "Waves at dusk", "model": _MODELS[0]},
            video_id="5eed0000000000000000000002",
            video_url=_video_url(RUNNING_TASK_ID),
        ),
    ]


def _video_url(task_id: str) -> str:
    # A name that is reserved for never being anybody's.
    return f"https://sandbox.invalid/{task_id}.mp4"


async def _body(request: Request) -> Json | JSONResponse:
    """Return the body of a request that may be answered, or the error that it gets."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return _fault("no_token")
    wanted = token.removeprefix(f"{SANDBOX_TOKEN}-")
    if wanted in _FAULTS and wanted != token:
        return _fault(wanted)
    if token != SANDBOX_TOKEN:
        return _fault("invalid_token")
    try:
        body = await request.json()
        # What cannot be written down again (NaN, half a surrogate pair) could not be answered with.
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return _fault("bad_request")
    return body if isinstance(body, dict) else _fault("bad_request")


def _whole(value: object, default: int) -> int:
    return value if type(value) is int and value >= 0 else default


def _fault(code: str) -> JSONResponse:
    status, message, marked = _FAULTS[code]
    trace_id = _SERVER_TRACE_ID if status == 500 else _TRACE_ID  # noqa: PLR2004
    body: Json = {"success": False} if marked else {}
    body |= {"error": {"code": code, "message": message}, "trace_id": trace_id}
    return JSONResponse(body, status_code=status)


# As documented, the trace ids too.
_TRACE_ID = "2efa9340-b21b-4e26-9e14-4aac95f343ab"
_SERVER_TRACE_ID = "2cf86e86-22a4-46e1-ac2f-032c0f2a4e89"

# Code: HTTP status, message, and whether the body says `"success": false` too. The documentation
# words those that have a body in its examples; the others are worded alike.
_FAULTS: dict[str, tuple[int, str, bool]] = {
    "invalid_token": (401, "The specified token is invalid or wrong.", True),
    "token_expired": (401, "The specified token has expired.", True),
    "no_token": (401, "No token is specified.", True),
    "token_mismatched": (400, "The specified token is not matched with API.", False),
    "api_not_implemented": (400, "The API is not implemented.", False),
    "bad_request": (400, "The request is not valid.", False),
    "used_up": (
        403,
        "Your balance is not sufficient for current request, please buy more in Ace Data Cloud.",
        False,
    ),
    "disabled": (403, "The application is disabled.", False),
    "no_api": (404, "API does not exist, please make sure url is correct.", False),
    "too_many_requests": (429, "You have exceeded the rate limit.", False),
    "api_error": (500, "fetch failed", True),
}
