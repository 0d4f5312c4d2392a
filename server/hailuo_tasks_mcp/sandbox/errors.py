"""The error responses of both services, in their three shapes.

The documents show the body of most; the others are worded alike. An error that one of the paths
has under another code, or not at all, is answered there with its counterpart.
"""

from starlette.responses import JSONResponse

HAILUO_TASKS = "/hailuo/tasks"
HAILUO_VIDEOS = "/hailuo/videos"
MINIMAX_TASKS = "/minimax/tasks"
MINIMAX_VIDEOS = "/minimax/videos"

NOT_AN_OBJECT = "The request body must be a JSON object."


def is_error_code(code: str) -> bool:
    """Return whether an error of the platform has this code."""
    return code in _GATEWAY or code in _WORKER


def error(path: str, code: str) -> JSONResponse:
    """Return the response of a path to what the code stands for."""
    if path not in _MINIMAX_PATHS:
        return _hailuo_error(_CODE_OF_GATEWAY.get(code, code))
    if path == MINIMAX_VIDEOS:
        code = _CODE_OF_WORKER.get(code, code)
    if code in _WORKER:
        status, message = _WORKER[code]
        return _worker_error(status, code, message)
    if code == "bad_request":
        return refused(NOT_AN_OBJECT)
    status, message, _ = _GATEWAY[code]
    message = _MINIMAX_MESSAGES.get(code, message)
    return _gateway_error(status, code, message, trace_id=_MINIMAX_TRACE_ID)


def bad_body(path: str, detail: str) -> JSONResponse:
    """Return the response of a path to a body of which nothing can be read."""
    return refused(detail) if path in _MINIMAX_PATHS else error(path, "bad_request")


def refused(detail: str) -> JSONResponse:
    """Return MiniMax's response to a body that it refuses."""
    return JSONResponse({"code": "bad_request", "detail": detail}, status_code=400)


def bad_parameters(reason: str) -> JSONResponse:
    """Return MiniMax's response to parameters of a video that are not as documented."""
    status, message = _WORKER["bad_request_error"]
    return _worker_error(status, "bad_request_error", f"{message.rstrip('.')}: {reason}")


def _hailuo_error(code: str) -> JSONResponse:
    status, message, marked = _GATEWAY[code]
    trace_id = _SERVER_TRACE_ID if status == 500 else _TRACE_ID  # noqa: PLR2004
    return _gateway_error(status, code, message, trace_id=trace_id, marked=marked)


def _gateway_error(
    status: int, code: str, message: str, *, trace_id: str, marked: bool = False
) -> JSONResponse:
    body: dict[str, object] = {"success": False} if marked else {}
    body |= {"error": {"code": code, "message": message}, "trace_id": trace_id}
    return JSONResponse(body, status_code=status)


def _worker_error(status: int, code: str, message: str) -> JSONResponse:
    body = {
        "type": "error",
        "error": {"type": code, "message": message, "http_code": str(status)},
        "request_id": _REQUEST_ID,
    }
    return JSONResponse(body, status_code=status)


_MINIMAX_PATHS = {MINIMAX_TASKS, MINIMAX_VIDEOS}

# As documented.
_TRACE_ID = "2efa9340-b21b-4e26-9e14-4aac95f343ab"
_SERVER_TRACE_ID = "2cf86e86-22a4-46e1-ac2f-032c0f2a4e89"
_MINIMAX_TRACE_ID = "trace_7f8c2b1a"
_REQUEST_ID = "req_7f8c2b1a"

# Code: HTTP status, message, and whether Hailuo's body says `"success": false` too.
_GATEWAY: dict[str, tuple[int, str, bool]] = {
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
    # Too many in flight, where `too_many_requests` is too many in a time.
    "rate_limited": (429, "You have exceeded the rate limit.", False),
    "api_error": (500, "fetch failed", True),
}

# What the gateway says before MiniMax's paths, where that is known to differ.
_MINIMAX_MESSAGES = {
    "invalid_token": "The token is invalid.",
    "used_up": "The available balance is insufficient for this request.",
    "too_many_requests": "Too many requests. Try again later.",
    "rate_limited": "Too many requests. Try again later.",
    "api_error": "The service is temporarily unavailable.",
}

# Code of MiniMax's worker: HTTP status and message.
_WORKER: dict[str, tuple[int, str]] = {
    "bad_request_error": (400, "The request parameters are invalid."),
    "unprocessable_entity_error": (422, "The request did not pass content safety checks."),
    "rate_limit_error": (429, "Too many requests. Try again later."),
    "server_error": (500, "The service is temporarily unavailable."),
}

_CODE_OF_WORKER = {
    "bad_request": "bad_request_error",
    "too_many_requests": "rate_limit_error",
    "api_error": "server_error",
}
_CODE_OF_GATEWAY = {
    "bad_request_error": "bad_request",
    "unprocessable_entity_error": "bad_request",
    "rate_limit_error": "too_many_requests",
    "server_error": "api_error",
}
