"""Everything that can go wrong, worded for the model that reads it.

    HailuoTasksError
    ├── BadArgumentsError      a tool does not take these arguments
    ├── SettingsError          a setting cannot be used
    │   ├── TokenMissingError  there is no token
    │   ├── NetworkSetupError  a proxy or certificate file cannot be used
    │   └── UntrustedError     the certificate that answers is not trusted
    ├── TokenRejectedError     the API does not take the token
    ├── AccessDeniedError      the token is good, but not for this
    ├── BalanceUsedUpError     nothing left to pay with
    ├── RequestRejectedError   the API does not take the request
    ├── WrongBaseUrlError      something else answers at the base URL
    ├── RateLimitedError       too many requests
    ├── UpstreamError          the platform or its proxy failed
    ├── UnreachableError       no answer came
    └── UnreadableAnswerError  an answer came that is no answer

Each message says what happened and what to do, with the API's code, words and trace id where
there are any. None ever holds a token or a whole upstream body.
"""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar, NamedTuple

from hailuo_tasks_mcp.text import clean_text, identifier

TOKEN_VARIABLE = "ACEDATACLOUD_API_TOKEN"  # noqa: S105 - the name, not a token
BASE_URL_VARIABLE = "ACEDATACLOUD_API_BASE_URL"
PLATFORM_URL = "https://platform.acedata.cloud"

_MESSAGE_LIMIT = 200


class HailuoTasksError(Exception):
    """Base of all errors of this package; `str(error)` is what a model is told.

    `remedy` is given with `{ask_again}` where it is to say when to ask again.

    Attributes:
        happened: what happened, without a full stop.
        trace_id: what the vendor's support finds the request by; None if there is none.
        retry_after_seconds: how long the API asks to be left alone; None if it does not say.
        passing: whether asking again later may well go better.

    """

    passing: ClassVar[bool] = False

    def __init__(
        self,
        happened: str,
        remedy: str,
        trace_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(happened, remedy, trace_id, retry_after_seconds)
        self.happened = happened
        self._remedy = remedy
        self.trace_id = trace_id
        self.retry_after_seconds = retry_after_seconds

    @property
    def remedy(self) -> str:
        """What to do about it, in whole sentences."""
        return self._remedy.replace("{ask_again}", _ask_again(self.retry_after_seconds))

    def note_rest(self, seconds: float) -> None:
        """Take note that the API was left alone for some of the time that it asked for."""
        if self.retry_after_seconds is not None:
            self.retry_after_seconds = max(0.0, self.retry_after_seconds - seconds)

    def __str__(self) -> str:
        trace = f" Trace id for the vendor's support: {self.trace_id}." if self.trace_id else ""
        return f"{self.happened}. {self.remedy}{trace}"


class BadArgumentsError(HailuoTasksError):
    """A tool does not take these arguments, so nothing is sent."""


class SettingsError(HailuoTasksError):
    """A setting cannot be used, so nothing is sent."""


class TokenMissingError(SettingsError):
    """There is no token, so nothing is sent."""

    def __init__(self) -> None:
        super().__init__(
            "No API token is set",
            f"Ask the user to set the environment variable {TOKEN_VARIABLE} "
            f"in this server's configuration and to restart it; a token is made at {PLATFORM_URL}.",
        )


class NetworkSetupError(SettingsError):
    """The environment's proxy or certificates cannot be used.

    Attributes:
        variables: which environment variables to look at.

    """

    def __init__(self, happened: str, variables: str) -> None:
        super().__init__(
            happened,
            f"Ask the user to correct or unset {variables} for this server, and to restart it.",
        )
        self.variables = variables


class UntrustedError(SettingsError):
    """What answers at the base URL shows a certificate that is not trusted; nothing is sent."""

    def __init__(self, happened: str) -> None:
        super().__init__(
            happened,
            "If a company's proxy or a virus scanner opens TLS on the way, ask the user to set "
            "SSL_CERT_FILE for this server to a PEM file with its certificate beside the usual "
            f"ones, and to restart it; otherwise to check {BASE_URL_VARIABLE} and this machine's "
            "clock.",
        )


class TokenRejectedError(HailuoTasksError):
    """HTTP 401, or 400 `token_mismatched`: another token is needed."""


class AccessDeniedError(HailuoTasksError):
    """HTTP 403 other than `used_up`: the token is not allowed to do this."""


class BalanceUsedUpError(HailuoTasksError):
    """HTTP 403 `used_up`: the balance must be topped up."""


class RequestRejectedError(HailuoTasksError):
    """HTTP 4xx that is none of the others: the request itself is refused."""


class WrongBaseUrlError(HailuoTasksError):
    """HTTP 404, or a redirect: the base URL does not lead to the API."""


class RateLimitedError(HailuoTasksError):
    """HTTP 429: too many requests."""

    passing = True


class UpstreamError(HailuoTasksError):
    """HTTP 408 or 5xx, or an unknown error under 2xx: the platform, or a proxy, failed."""

    passing = True


class UnreachableError(HailuoTasksError):
    """No connection, no whole answer, or none in time."""

    passing = True


class UnreadableAnswerError(HailuoTasksError):
    """An answer came, but it is not what the API answers with."""

    passing = True


class ApiFault(NamedTuple):
    """What an error body says, cleaned and cut; None for what it does not say."""

    code: str | None
    message: str | None
    trace_id: str | None


def read_fault(body: object) -> ApiFault:
    """Read an error body in any of its forms: an object, a bare string, null, or none at all."""
    if not isinstance(body, Mapping):
        return ApiFault(None, None, None)
    error = body.get("error")
    if isinstance(error, Mapping):
        code, message = error.get("code"), error.get("message")
    else:
        code, message = None, error
    trace_id = body.get("trace_id")
    return ApiFault(
        # What stands unquoted in a sentence of ours must not be able to pose as one.
        identifier(str(code) if isinstance(code, str | int) else None),
        (clean_text(message, _MESSAGE_LIMIT) or None) if isinstance(message, str) else None,
        identifier(trace_id if isinstance(trace_id, str) else None),
    )


def _ask_again(retry_after_seconds: float | None) -> str:
    """Word when to ask again after a fault that passes.

    A model cannot sleep, but the server can wait for it.
    """
    if not retry_after_seconds:
        return "ask again in about 30 seconds, or now with `wait_seconds` to sit it out"
    return f"ask again in {duration(retry_after_seconds)}, not before"


def duration(seconds: float) -> str:
    """Word a number of seconds, rounded up, in the largest unit that has two of them."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    whole = math.ceil(seconds)
    return "1 second" if whole == 1 else f"{whole} seconds"


def error_from_answer(
    status: int, body: object, *, base_url: str, retry_after_seconds: float | None = None
) -> HailuoTasksError:
    """Make the error for an answer of the API that is one.

    Args:
        status: the HTTP status; the API also reports errors under 200.
        body: the JSON of the answer; None if it was none.
        base_url: the base URL in use, named where it or the token may be the wrong one.
        retry_after_seconds: how long the API asks to be left alone; None if it does not say.

    The code decides before the status, because 400 and 403 each stand for several things. Codes
    and statuses are those of the API's published list.

    """
    fault = read_fault(body)
    kind = _KIND_BY_CODE.get(fault.code or "") or _kind_by_status(status)
    happened, remedy = _WORDS[kind]
    said = ", ".join(part for part in (f"HTTP {status}", fault.code) if part)
    if fault.message:
        said += f": {json.dumps(fault.message, ensure_ascii=False)}"
    return kind(
        f"{happened.format(base_url=base_url)} ({said})",
        remedy.replace("{base_url}", base_url),
        fault.trace_id,
        retry_after_seconds,
    )


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
    "too_many_requests": RateLimitedError,
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

_WORDS: dict[type[HailuoTasksError], tuple[str, str]] = {
    TokenRejectedError: (
        "The API rejected the token",
        (
            f"Ask the user to set {TOKEN_VARIABLE} to a token that is valid for Hailuo at "
            f"{{base_url}} and to restart this server; tokens are made at {PLATFORM_URL}."
        ),
    ),
    AccessDeniedError: (
        "The API denied access",
        (
            f"Ask the user to check at {PLATFORM_URL} that the account behind {TOKEN_VARIABLE} is "
            "active and may use Hailuo; asking again will not help."
        ),
    ),
    BalanceUsedUpError: (
        "The account's balance is used up",
        f"Ask the user to top it up at {PLATFORM_URL}; asking again before that will not help.",
    ),
    RequestRejectedError: (
        "The API rejected the request",
        "Asking again with the same arguments will not help; tell the user what the API said.",
    ),
    WrongBaseUrlError: (
        "There is no Hailuo Tasks API at {base_url}",
        f"Ask the user to check {BASE_URL_VARIABLE}, or to unset it to use the default.",
    ),
    RateLimitedError: (
        "The API's rate limit is reached",
        "The task itself goes on: {ask_again}. If it stays so, tell the user.",
    ),
    UpstreamError: (
        "The API failed",
        (
            "This may well pass, and the task itself goes on: {ask_again}. "
            "If it stays so, tell the user."
        ),
    ),
}
