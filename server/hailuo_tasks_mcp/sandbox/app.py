"""The stand-in for the platform, as an ASGI application.

It answers `POST /hailuo/tasks` and `POST /hailuo/videos` as the API's contract says, oddities
included: pages of 12 unless `limit` is given, newest first, `{}` for an unknown id, the documented
error bodies. Its tasks go pending, processing, succeeded (or failed, if the prompt says "fail") by
a clock that a test can drive.

The token `sandbox` is valid. Any error of the API can be had by asking with the token
`sandbox-CODE`, for example `sandbox-used_up`.
"""

import json
import time
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hailuo_tasks_mcp.sandbox.tasks import (
    DEFAULT_RUNNING_SINCE_SECONDS,
    MODELS_FROM_IMAGE,
    Json,
    Tasks,
)
from hailuo_tasks_mcp.settings import BASE_URL_VARIABLE, TOKEN_VARIABLE

SANDBOX_TOKEN = "sandbox"  # noqa: S105 - valid in the sandbox only
# What a server's settings are read from when a sandbox in its own process answers it.
SANDBOX_ENVIRONMENT = {TOKEN_VARIABLE: SANDBOX_TOKEN, BASE_URL_VARIABLE: "http://localhost"}
PAGE_SIZE = 12

Endpoint = Callable[[Request], Awaitable[JSONResponse]]


def create_sandbox(
    *,
    now: Callable[[], float] = time.time,
    running_since_seconds: float = DEFAULT_RUNNING_SINCE_SECONDS,
) -> Starlette:
    """Return a sandbox with tasks of its own.

    Args:
        now: returns the time, in Unix seconds, from which the states of its tasks follow.
        running_since_seconds: how old the running task is that it starts with, of `RUN_SECONDS`.

    """
    tasks = Tasks(now, running_since_seconds)

    def endpoint(answer: Callable[[Tasks, Json], JSONResponse]) -> Endpoint:
        async def on_request(request: Request) -> JSONResponse:
            body = await _body(request)
            return body if isinstance(body, JSONResponse) else answer(tasks, body)

        return on_request

    async def on_elsewhere(_: Request, __: Exception) -> JSONResponse:
        return _error("no_api")

    app = Starlette(
        routes=[
            Route("/hailuo/tasks", endpoint(_on_tasks), methods=["POST"]),
            Route("/hailuo/videos", endpoint(_on_videos), methods=["POST"]),
        ],
        exception_handlers={404: on_elsewhere, 405: on_elsewhere},
    )
    app.router.redirect_slashes = False
    return app


def _on_tasks(tasks: Tasks, body: Json) -> JSONResponse:
    ids = body.get("ids")
    match body.get("action"):
        case "retrieve" if "id" in body:
            return JSONResponse(tasks.retrieve(body["id"]))
        case "retrieve_batch" if isinstance(ids, list):
            limit, offset = _whole(body.get("limit"), PAGE_SIZE), _whole(body.get("offset"), 0)
            return JSONResponse(tasks.retrieve_batch(ids, limit, offset))
        case "retrieve" | "retrieve_batch":
            return _error("bad_request")
    return _error("api_not_implemented")


def _on_videos(tasks: Tasks, body: Json) -> JSONResponse:
    in_background = body.pop("async", False) is True
    if body.get("action") != "generate":
        return _error("api_not_implemented")
    image_missing = body.get("model") in MODELS_FROM_IMAGE and not body.get("first_image_url")
    if not isinstance(body.get("prompt"), str) or image_missing:
        return _error("bad_request")
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


async def _body(request: Request) -> Json | JSONResponse:
    """Return the JSON body of a request, or the error response that it gets."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return _error("no_token")
    wanted = token.removeprefix(f"{SANDBOX_TOKEN}-")
    if wanted in _ERRORS and wanted != token:
        return _error(wanted)
    if token != SANDBOX_TOKEN:
        return _error("invalid_token")
    try:
        body = await request.json()
        # Half a surrogate pair or NaN could not be encoded in a response.
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return _error("bad_request")
    return body if isinstance(body, dict) else _error("bad_request")


def _whole(value: object, default: int) -> int:
    return value if type(value) is int and value >= 0 else default


def _error(code: str) -> JSONResponse:
    status, message, marked = _ERRORS[code]
    trace_id = _SERVER_TRACE_ID if status == 500 else _TRACE_ID  # noqa: PLR2004
    body: Json = {"success": False} if marked else {}
    body |= {"error": {"code": code, "message": message}, "trace_id": trace_id}
    return JSONResponse(body, status_code=status)


# As documented, the trace ids too.
_TRACE_ID = "2efa9340-b21b-4e26-9e14-4aac95f343ab"
_SERVER_TRACE_ID = "2cf86e86-22a4-46e1-ac2f-032c0f2a4e89"

# Code: HTTP status, message, and whether the body says `"success": false` too. The documentation
# words those that have a body in its examples; the others are worded alike.
_ERRORS: dict[str, tuple[int, str, bool]] = {
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
