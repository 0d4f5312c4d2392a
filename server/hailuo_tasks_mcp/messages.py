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

SANDBOX_LINE = "SANDBOX: these tasks and videos are made up."
"""Said beside every answer of the sandbox, because not every host shows instructions."""


class _Remedy(NamedTuple):
    model: str
    person: str


def error_text(failure: Failure, reader: Reader, *, repeatable: bool = True) -> str:
    """Return all that is said of an error: what happened, what to do, and the trace id.

    Args:
        failure: what went wrong.
        reader: who reads it.
        repeatable: whether the same may be asked for again without doing something twice.

    """
    if failure.transient and not repeatable:
        known = f"{failure.message}. {_DO_NOT_REPEAT}"
        return known + _trace_id(failure)
    return f"{failure.message}. {remedy_and_trace_id(failure, reader)}"


def remedy_and_trace_id(failure: Failure, reader: Reader) -> str:
    """Return what to do about an error, followed by the trace id if there is one."""
    return remedy(failure, reader) + _trace_id(failure)


def _trace_id(failure: Failure) -> str:
    return f" Trace id for the vendor's support: {failure.trace_id}." if failure.trace_id else ""


def remedy(failure: Failure, reader: Reader) -> str:
    """Return what to do about an error, in whole sentences."""
    template: str = getattr(_REMEDIES[failure.kind], reader)
    text = template.format(ask_again=_ask_again(failure), **failure.details)
    if reader == "person" and failure.retry_after_seconds:
        text += f" Not before {duration(failure.retry_after_seconds)} from now."
    return text


def _ask_again(failure: Failure) -> str:
    """Return when to ask again, in whole sentences; a model cannot sleep, but a call can wait."""
    if failure.retry_after_seconds:
        when = f"Ask again in {duration(failure.retry_after_seconds)}, not before."
    elif "waited_seconds" in failure.details:
        waited = failure.details["waited_seconds"]
        return f"It was tried for {waited} s, so asking again now will not help: tell the user."
    else:
        when = "Ask again in about 30 seconds, or now with `wait_seconds`, which keeps trying."
    return f"{when} If it stays so, tell the user."


def duration(seconds: float) -> str:
    """Write a number of seconds, rounded up, in the largest unit of which it has two."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    whole = math.ceil(seconds)
    return "1 second" if whole == 1 else f"{whole} seconds"


_DO_NOT_REPEAT = "It is not known whether it was done, so tell the user before you call it again."
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
        model=f"Ask the user to set {TOKEN_VARIABLE} to a token that is valid{{at_base_url}} and "
        f"to restart this server; tokens are made at {PLATFORM_URL}.",
        person=f"Set {TOKEN_VARIABLE} to a token that is valid; create one at {PLATFORM_URL}.",
    ),
    AccessDeniedError: _Remedy(
        model=f"Ask the user to check at {PLATFORM_URL} that the account behind {TOKEN_VARIABLE} "
        "is active and may use this service; asking again will not help.",
        person=f"Check at {PLATFORM_URL} that the account is active and may use this service.",
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
        model="{ask_again}",
        person="It may pass; try again later.",
    ),
    UpstreamError: _Remedy(
        model="{ask_again}",
        person="It may pass; try again later.",
    ),
    UnreachableError: _Remedy(
        model=f"{{ask_again}} They can check the network, the proxy and {BASE_URL_VARIABLE}.",
        person=f"Check the network, the proxy and {BASE_URL_VARIABLE}, or try again later.",
    ),
    UnreadableResponseError: _Remedy(
        model=f"{{ask_again}} They can check {BASE_URL_VARIABLE}; {_CHECK_WHAT_ANSWERS}.",
        person=f"Check {BASE_URL_VARIABLE}: {_CHECK_WHAT_ANSWERS}.",
    ),
}
