"""The stand-in for the platform, as an ASGI application: paths, token, and limits.

It answers for Hailuo and for MiniMax H3 as the API's contract says, oddities included: pages of 12
unless `limit` is given, newest first, unknown ids in each service's own way, the documented error
bodies, and no more than 5 requests in flight. Its tasks go from queued through running to
succeeded (or failed, if the prompt says "fail") by a clock that a test can drive.

The token `sandbox` is valid. Any error of the API can be had by asking with the token
`sandbox-CODE`, for example `sandbox-used_up`.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
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
from hailuo_tasks_mcp.sandbox.tasks import (
    DEFAULT_RUNNING_SINCE_SECONDS,
    VIDEO_HOST,
    VIDEOS_URL,
    Json,
)
from hailuo_tasks_mcp.sandbox.videos import PATH as VIDEO_PATH
from hailuo_tasks_mcp.sandbox.videos import Videos
from hailuo_tasks_mcp.settings import BASE_URL_VARIABLE, TOKEN_VARIABLE

SANDBOX_TOKEN = "sandbox"  # noqa: S105 - valid in the sandbox only
# What a server's settings are read from when a sandbox in its own process answers it.
SANDBOX_ENVIRONMENT = {TOKEN_VARIABLE: SANDBOX_TOKEN, BASE_URL_VARIABLE: "http://localhost"}

# By any other name, a web page could have its own name resolved to this machine, and read answers.
HOSTS = ("127.0.0.1", "localhost", "[::1]")
# In the process that asks, where no name is resolved, it stands for these servers of files too. It
# does not have the videos of the documents, whose links have run out.
_FILE_HOSTS = (VIDEO_HOST, "file.aigpai.com", "cdn.acedata.cloud", "platform.cdn.acedata.cloud")
MAX_IN_FLIGHT = 5
MAX_BODY_BYTES = 64_000

Answer = Callable[[Json], JSONResponse]
Endpoint = Callable[[Request], Awaitable[Response]]


def create_sandbox(
    *,
    now: Callable[[], float] = time.time,
    running_since_seconds: float = DEFAULT_RUNNING_SINCE_SECONDS,
    h3_running_since_seconds: float = DEFAULT_RUNNING_SINCE_SECONDS,
    latency_seconds: float = 0.0,
    videos_url: str = VIDEOS_URL,
) -> Starlette:
    """Return a sandbox with tasks of its own.

    Args:
        now: returns the time, in Unix seconds, from which the states of its tasks follow.
        running_since_seconds: how old Hailuo's running task is that it starts with, of
            `RUN_SECONDS`.
        h3_running_since_seconds: how old MiniMax H3's is, of `H3_RUN_SECONDS` at 768P.
        latency_seconds: how long an answer takes; a request over the limit is refused at once.
        videos_url: where it is reached, below which its videos are.

    """
    gateway = _Gateway(latency_seconds)
    hailuo = Hailuo(now, running_since_seconds, videos_url)
    minimax = Minimax(now, h3_running_since_seconds, videos_url)
    answers: dict[str, Answer] = {
        HAILUO_TASKS: hailuo.on_tasks,
        HAILUO_VIDEOS: hailuo.on_videos,
        MINIMAX_TASKS: minimax.on_tasks,
        MINIMAX_VIDEOS: minimax.on_videos,
    }

    def has_video(task_id: str) -> bool:
        return minimax.has_video(task_id) or hailuo.has_video(task_id)

    async def on_elsewhere(request: Request, _: Exception) -> JSONResponse:
        return error(request.url.path, "no_api")

    hosts = HOSTS if videos_url != VIDEOS_URL else (*HOSTS, *_FILE_HOSTS)
    app = Starlette(
        routes=[
            Route(path, gateway.endpoint(path, answer), methods=["POST"])
            for path, answer in answers.items()
        ]
        + [Route(VIDEO_PATH, Videos(has_video).on_request)],
        exception_handlers={404: on_elsewhere, 405: on_elsewhere},
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
    )
    app.router.redirect_slashes = False
    return app


class _Gateway:
    """What stands before both services: it checks the token, and limits requests in flight.

    Args:
        latency_seconds: how long an answer takes.

    """

    def __init__(self, latency_seconds: float) -> None:
        self._latency_seconds = latency_seconds
        # Of the one valid token, at both services together, as the platform counts.
        self._in_flight = 0

    def endpoint(self, path: str, answer: Answer) -> Endpoint:
        """Return what answers the requests to a path that may reach its service."""

        async def on_request(request: Request) -> Response:
            if "origin" in request.headers:
                # Only a browser says on whose behalf it asks.
                return PlainTextResponse("The sandbox answers no web pages.", status_code=403)
            code = _token_error(request.headers.get("authorization", ""))
            if code is not None:
                await self._take_time()
                return error(path, code)
            if self._in_flight >= MAX_IN_FLIGHT:
                return error(path, "rate_limited")
            # Until the answer is made, not until it is sent: a client that has read one answer may
            # send its next request before this one's sending returns.
            self._in_flight += 1
            try:
                body = await _body(request)
                await self._take_time()
                return answer(body) if isinstance(body, dict) else bad_body(path, body)
            except ClientDisconnect:
                # Nobody reads what is returned.
                return bad_body(path, NOT_AN_OBJECT)
            finally:
                self._in_flight -= 1

        return on_request

    async def _take_time(self) -> None:
        # No sleep of 0 s, in which other requests would overlap with this one.
        if self._latency_seconds:
            await asyncio.sleep(self._latency_seconds)


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
    content = bytearray()
    # Read to the end even if it is too large: a client that is still sending sees no answer.
    async for chunk in request.stream():
        content += chunk[: MAX_BODY_BYTES + 1 - len(content)]
    if len(content) > MAX_BODY_BYTES:
        return f"The request body must not be larger than {MAX_BODY_BYTES // 1000} kB."
    try:
        body = json.loads(content)
        # Half a surrogate pair or NaN could not be encoded in a response.
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        body = None
    return body if isinstance(body, dict) else NOT_AN_OBJECT
