"""What to do about an error, in one table: by the kind of error and by who reads it.

A model cannot set variables or top up a balance, so it is told what to ask the user for.
"""

import math
from typing import Literal, NamedTuple

from hailuo_tasks_mcp.errors import (
    AccessDeniedError,
    BalanceUsedUpError,
    Failure,
    HailuoTasksError,
    InvalidArgumentsError,
    NetworkConfigurationError,
    RateLimitedError,
    RequestRejectedError,
    SettingsError,
    SeveralSettingsError,
    TokenMalformedError,
    TokenMissingError,
    TokenPlaceholderError,
    TokenQuotedError,
    TokenRejectedError,
    UnreachableError,
    UnreadableResponseError,
    UntrustedCertificateError,
    UpstreamError,
    WrongBaseUrlError,
)
from hailuo_tasks_mcp.settings import BASE_URL_VARIABLE, PLATFORM_URL, TOKEN_VARIABLE

Reader = Literal["model", "person"]


class _Remedy(NamedTuple):
    model: str
    person: str


def error_text(failure: Failure, reader: Reader) -> str:
    """Return all that is said of an error: what happened, what to do, and the trace id."""
    return f"{failure.message}. {remedy_and_trace_id(failure, reader)}"


def remedy_and_trace_id(failure: Failure, reader: Reader) -> str:
    """Return what to do about an error, followed by the trace id if there is one."""
    trace = f" Trace id for the vendor's support: {failure.trace_id}." if failure.trace_id else ""
    return remedy(failure, reader) + trace


def remedy(failure: Failure, reader: Reader) -> str:
    """Return what to do about an error, in whole sentences."""
    template: str = getattr(_REMEDIES[failure.kind], reader)
    text = template.format(ask_again=_ask_again(failure.retry_after_seconds), **failure.details)
    if reader == "person" and failure.retry_after_seconds:
        text += f" Not before {duration(failure.retry_after_seconds)} from now."
    return text


def _ask_again(retry_after_seconds: float | None) -> str:
    """Say when to ask again; a model cannot sleep, but a call of it can wait."""
    if not retry_after_seconds:
        return "ask again in about 30 seconds, or now with `wait_seconds` to sit it out"
    return f"ask again in {duration(retry_after_seconds)}, not before"


def duration(seconds: float) -> str:
    """Write a number of seconds, rounded up, in the largest unit of which it has two."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    whole = math.ceil(seconds)
    return "1 second" if whole == 1 else f"{whole} seconds"


_CHECK_WHAT_ANSWERS = "something else may be answering there"

# Placeholders: `{ask_again}`, and the details that the kind of error documents.
_REMEDIES: dict[type[HailuoTasksError], _Remedy] = {
    InvalidArgumentsError: _Remedy(
        model="{usage}.",
        person="See hailuo-tasks-mcp retrieve --help.",
    ),
    SettingsError: _Remedy(
        model="Ask the user to correct it, or to unset it to use the default, and to restart this "
        "server.",
        person="Correct it, or unset it to use the default.",
    ),
    TokenMissingError: _Remedy(
        model=f"Ask the user to set the environment variable {TOKEN_VARIABLE} in this server's "
        f"configuration and to restart it; a token is made at {PLATFORM_URL}.",
        person=f"Set {TOKEN_VARIABLE}; create one at {PLATFORM_URL}.",
    ),
    TokenMalformedError: _Remedy(
        model="Ask the user to copy the token again and to restart this server.",
        person="Copy the token again.",
    ),
    TokenPlaceholderError: _Remedy(
        model="Ask the user to put a token in its place, without brackets, in this server's "
        f"configuration and to restart it; a token is made at {PLATFORM_URL}.",
        person=f"Put a token in its place, without brackets; create one at {PLATFORM_URL}.",
    ),
    TokenQuotedError: _Remedy(
        model="Ask the user to remove these quotes in this server's configuration and to restart "
        "it.",
        person="Remove these quotes.",
    ),
    SeveralSettingsError: _Remedy(
        model="Ask the user to correct each of them, and to restart this server.",
        person="Correct each of them; hailuo-tasks-mcp check says how.",
    ),
    NetworkConfigurationError: _Remedy(
        model="Ask the user to correct or unset {variables} for this server, and to restart it.",
        person="Correct or unset {variables}.",
    ),
    UntrustedCertificateError: _Remedy(
        model="If a company's proxy or a virus scanner opens TLS on the way, ask the user to set "
        "SSL_CERT_FILE for this server to a PEM file with its certificate beside the usual ones, "
        f"and to restart it; otherwise to check {BASE_URL_VARIABLE} and this machine's clock.",
        person="If something on the way opens TLS (a company's proxy, a virus scanner), set "
        "SSL_CERT_FILE to a PEM file with its certificate beside the usual ones; otherwise check "
        f"{BASE_URL_VARIABLE} and this machine's clock.",
    ),
    TokenRejectedError: _Remedy(
        model=f"Ask the user to set {TOKEN_VARIABLE} to a token that is valid for Hailuo at "
        f"{{base_url}} and to restart this server; tokens are made at {PLATFORM_URL}.",
        person=f"Set {TOKEN_VARIABLE} to a token that is valid for Hailuo; create one at "
        f"{PLATFORM_URL}.",
    ),
    AccessDeniedError: _Remedy(
        model=f"Ask the user to check at {PLATFORM_URL} that the account behind {TOKEN_VARIABLE} "
        "is active and may use Hailuo; asking again will not help.",
        person=f"Check at {PLATFORM_URL} that the account is active and may use Hailuo.",
    ),
    BalanceUsedUpError: _Remedy(
        model=f"Ask the user to top it up at {PLATFORM_URL}; asking again before that will not "
        "help.",
        person=f"Top it up at {PLATFORM_URL}.",
    ),
    RequestRejectedError: _Remedy(
        model="Asking again with the same arguments will not help; tell the user what the API "
        "said.",
        person="Trying again will not help.",
    ),
    WrongBaseUrlError: _Remedy(
        model=f"Ask the user to check {BASE_URL_VARIABLE}, or to unset it to use the default.",
        person=f"Correct {BASE_URL_VARIABLE}, or unset it to use the default.",
    ),
    RateLimitedError: _Remedy(
        model="The task itself goes on: {ask_again}. If it stays so, tell the user.",
        person="The tasks themselves go on; try again later.",
    ),
    UpstreamError: _Remedy(
        model="This may well pass, and the task itself goes on: {ask_again}. If it stays so, tell "
        "the user.",
        person="The tasks themselves go on; try again later.",
    ),
    UnreachableError: _Remedy(
        model="The task itself goes on: {ask_again}. If it stays so, ask the user to check the "
        f"network, the proxy and {BASE_URL_VARIABLE}.",
        person=f"Check the network, the proxy and {BASE_URL_VARIABLE}, or try again later; the "
        "tasks themselves go on.",
    ),
    UnreadableResponseError: _Remedy(
        model="The task itself goes on: {ask_again}. If it stays so, ask the user to check "
        f"{BASE_URL_VARIABLE}; {_CHECK_WHAT_ANSWERS}.",
        person=f"Check {BASE_URL_VARIABLE}: {_CHECK_WHAT_ANSWERS}. The tasks themselves go on.",
    ),
}
