"""The stand-in for the platform, as an ASGI application: paths and token.

It answers for Hailuo and for MiniMax H3 as the API's contract says, oddities included: pages of 12
unless `limit` is given, newest first, unknown ids in each service's own way, the documented error
bodies. Its tasks go from queued through running to
succeeded (or failed, if the prompt says "fail") by a clock that a test can drive.

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

from hailuo_tasks_mcp.sandbox.errors import (
    HAILUO_TASKS,
    HAILUO_VIDEOS,
    MINIMAX_TASKS,
    MINIMAX_VIDEOS,
    NOT_AN_OBJECT,
    bad_body,
    error,
    is_error_code,
)
from hailuo_tasks_mcp.sandbox.hailuo import Hailuo
from hailuo_tasks_mcp.sandbox.minimax import Minimax
from hailuo_tasks_mcp.sandbox.tasks import DEFAULT_RUNNING_SINCE_SECONDS, Json
from hailuo_tasks_mcp.settings import BASE_URL_VARIABLE, TOKEN_VARIABLE

SANDBOX_TOKEN = "sandbox"  # noqa: S105 - valid in the sandbox only
# What a server's settings are read from when a sandbox in its own process answers it.
SANDBOX_ENVIRONMENT = {TOKEN_VARIABLE: SANDBOX_TOKEN, BASE_URL_VARIABLE: "http://localhost"}

Answer = Callable[[Json], JSONResponse]
Endpoint = Callable[[Request], Awaitable[JSONResponse]]


def create_sandbox(
    *,
    now: Callable[[], float] = time.time,
    running_since_seconds: float = DEFAULT_RUNNING_SINCE_SECONDS,
    h3_running_since_seconds: float = DEFAULT_RUNNING_SINCE_SECONDS,
) -> Starlette:
    """Return a sandbox with tasks of its own.

    Args:
        now: returns the time, in Unix seconds, from which the states of its tasks follow.
        running_since_seconds: how old Hailuo's running task is that it starts with, of
            `RUN_SECONDS`.
        h3_running_since_seconds: how old MiniMax H3's is, of `H3_RUN_SECONDS` at 768P.

    """
    hailuo = Hailuo(now, running_since_seconds)
    minimax = Minimax(now, h3_running_since_seconds)
    answers: dict[str, Answer] = {
        HAILUO_TASKS: hailuo.on_tasks,
        HAILUO_VIDEOS: hailuo.on_videos,
        MINIMAX_TASKS: minimax.on_tasks,
        MINIMAX_VIDEOS: minimax.on_videos,
    }

    async def on_elsewhere(request: Request, _: Exception) -> JSONResponse:
        return error(request.url.path, "no_api")

    app = Starlette(
        routes=[
            Route(path, _endpoint(path, answer), methods=["POST"])
            for path, answer in answers.items()
        ],
        exception_handlers={404: on_elsewhere, 405: on_elsewhere},
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(path: str, answer: Answer) -> Endpoint:
    """Return what answers the requests to a path whose token is valid."""

    async def on_request(request: Request) -> JSONResponse:
        code = _token_error(request.headers.get("authorization", ""))
        if code is not None:
            return error(path, code)
        body = await _body(request)
        return answer(body) if isinstance(body, dict) else bad_body(path, body)

    return on_request


def _token_error(authorization: str) -> str | None:
    """Return the code of the error that a request gets for its token; None for the valid one."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        return "no_token"
    if token == SANDBOX_TOKEN:
        return None
    prefix, _, code = token.partition("-")
    return code if prefix == SANDBOX_TOKEN and is_error_code(code) else "invalid_token"


async def _body(request: Request) -> Json | str:
    """Return the JSON object in a request's body, or why there is none that can be used."""
    try:
        body = await request.json()
        # Half a surrogate pair or NaN could not be encoded in a response.
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        body = None
    return body if isinstance(body, dict) else NOT_AN_OBJECT
