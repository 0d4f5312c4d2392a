"""The API's error responses: status and code decide which error one is.

Codes and statuses are those of the API's published list.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from hailuo_tasks_mcp.api.records import Redact, read_text
from hailuo_tasks_mcp.errors import (
    AccessDeniedError,
    BalanceUsedUpError,
    HailuoTasksError,
    RateLimitedError,
    RequestRejectedError,
    TokenRejectedError,
    UpstreamError,
    WrongBaseUrlError,
)
from hailuo_tasks_mcp.text import clean_text, identifier, quoted

_MESSAGE_LIMIT = 200


class ErrorBody(NamedTuple):
    """What an error body says, redacted, cleaned and cut; None for what it does not say."""

    code: str | None
    message: str | None
    trace_id: str | None


def read_error_body(body: object, redact: Redact | None = None) -> ErrorBody:
    """Read an error body in any of its forms.

    The gateway's `{"error": {"code", "message"}, "trace_id"}`, of which `error` may also be a bare
    string, null or missing; the worker's `{"type": "error", "error": {"type", "message"},
    "request_id"}`; and `{"code", "detail"}` for a request body that is refused.
    """
    if not isinstance(body, Mapping):
        return ErrorBody(None, None, None)
    error = body.get("error")
    if isinstance(error, Mapping):
        code, message = error.get("code", error.get("type")), error.get("message")
    elif error is None and ("code" in body or "detail" in body):
        code, message = body.get("code"), body.get("detail", body.get("message"))
    else:
        code, message = None, error
    trace_id = body.get("trace_id", body.get("request_id"))
    return ErrorBody(
        # Unquoted in a message, so it must not be able to look like a sentence of ours.
        identifier(read_text(code, redact)),
        clean_text(read_text(message, redact) or "", _MESSAGE_LIMIT) or None,
        identifier(read_text(trace_id, redact)),
    )


def error_from_response(  # noqa: PLR0913 - what a response is read for, and where it came from
    status: int,
    body: object,
    *,
    at_base_url: str,
    retry_after_seconds: float | None = None,
    refuses_id: bool = False,
    redact: Redact | None = None,
) -> HailuoTasksError:
    """Make the error of an error response.

    Args:
        status: the HTTP status; the API also reports errors under 200.
        body: the JSON of the response; None if it was none.
        at_base_url: where the request was sent, as `Settings.at_base_url` has it.
        retry_after_seconds: how long the API asks to wait; None if it does not say.
        refuses_id: whether it may be because the service knows no such task.
        redact: takes the tokens in use out of a text.

    The code decides before the status, because 400 and 403 each stand for several errors.

    """
    error_body = read_error_body(body, redact)
    kind = _KIND_BY_CODE.get(error_body.code or "") or _kind_by_status(status)
    details = ", ".join(part for part in (f"HTTP {status}", error_body.code) if part)
    if error_body.message:
        details += f": {quoted(error_body.message, _MESSAGE_LIMIT)}"
    return kind(
        f"{_HAPPENED[kind].format(at_base_url=at_base_url)} ({details})",
        trace_id=error_body.trace_id,
        retry_after_seconds=retry_after_seconds,
        at_base_url=at_base_url,
        status=str(status),
        refuses="id" if refuses_id else "",
    )


def may_refuse_id(status: int, body: object) -> bool:
    """Return whether MiniMax H3 may so answer for a task that it does not know.

    Its document does not say how it does; HTTP 400 and 404 are expected, with any body of the API
    that does not name another reason.
    """
    if not isinstance(body, Mapping):
        # Not the API's own, but perhaps a proxy's.
        return False
    code = read_error_body(body).code
    kind = _KIND_BY_CODE.get(code or "", RequestRejectedError)
    refuses = status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}
    return refuses and kind is RequestRejectedError and code != "api_not_implemented"


def _kind_by_status(status: int) -> type[HailuoTasksError]:
    if (
        status == HTTPStatus.REQUEST_TIMEOUT
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or status < HTTPStatus.MULTIPLE_CHOICES
    ):
        return UpstreamError
    return _KIND_BY_STATUS.get(
        status, WrongBaseUrlError if status < HTTPStatus.BAD_REQUEST else RequestRejectedError
    )


_KIND_BY_CODE: dict[str, type[HailuoTasksError]] = {
    "invalid_token": TokenRejectedError,
    "token_expired": TokenRejectedError,
    "no_token": TokenRejectedError,
    "token_mismatched": TokenRejectedError,
    "used_up": BalanceUsedUpError,
    "disabled": AccessDeniedError,
    "no_api": WrongBaseUrlError,
    "api_not_implemented": RequestRejectedError,
    "bad_request": RequestRejectedError,
    "bad_request_error": RequestRejectedError,
    "unprocessable_entity_error": RequestRejectedError,
    "too_many_requests": RateLimitedError,
    "rate_limited": RateLimitedError,
    "rate_limit_error": RateLimitedError,
    "server_error": UpstreamError,
    "api_error": UpstreamError,
}

_KIND_BY_STATUS: dict[int, type[HailuoTasksError]] = {
    401: TokenRejectedError,
    402: BalanceUsedUpError,
    403: AccessDeniedError,
    404: WrongBaseUrlError,
    405: WrongBaseUrlError,
    429: RateLimitedError,
}

_HAPPENED: dict[type[HailuoTasksError], str] = {
    TokenRejectedError: "The API rejected the token",
    AccessDeniedError: "The API denied access",
    BalanceUsedUpError: "The account's balance is used up",
    RequestRejectedError: "The API rejected the request",
    WrongBaseUrlError: "There is no such API{at_base_url}",
    RateLimitedError: "The API's rate limit is reached",
    UpstreamError: "The API failed",
}
