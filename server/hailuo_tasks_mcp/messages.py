"""What to do about an error, in one table: by the kind of error and by who reads it.

A model cannot set variables or top up a balance, so it is told what to ask the user for. Its user
is one who runs this server, or a remote one, who sees neither its environment nor its log.
"""

import math
from dataclasses import replace
from typing import Literal, NamedTuple

from hailuo_tasks_mcp.errors import (
    AccessDeniedError,
    BalanceUsedUpError,
    DiskFullError,
    DownloadInterruptedError,
    DownloadRefusedError,
    Failure,
    FolderError,
    HailuoTasksError,
    InvalidArgumentsError,
    NetworkConfigurationError,
    NotAVideoError,
    RateLimitedError,
    RequestRejectedError,
    SettingsError,
    SeveralSettingsError,
    StoppingError,
    TokenMalformedError,
    TokenMissingError,
    TokenPlaceholderError,
    TokenQuotedError,
    TokenRejectedError,
    TooManyWaitsError,
    UnreachableError,
    UnreadableResponseError,
    UntrustedCertificateError,
    UpstreamError,
    VideoGoneError,
    VideoTooLargeError,
    WrongBaseUrlError,
)
from hailuo_tasks_mcp.settings import (
    BASE_URL_VARIABLE,
    MAX_VIDEO_MB_VARIABLE,
    PLATFORM_URL,
    TOKEN_VARIABLE,
)

Reader = Literal["model", "person", "remote", "remote_shared"]
"""Who reads of an error: a model whose user runs this server; a person who does; a model whose user
calls it over HTTP with a token of their own; one whose user calls it with the operator's token."""

SANDBOX_LINE = "SANDBOX: these tasks and videos are made up."
"""Said beside every answer of the sandbox, because not every host shows instructions."""


class _Remedy(NamedTuple):
    """What to do, by reader; for a remote one as for a model, and for both alike, if left empty."""

    model: str
    person: str
    remote: str = ""
    remote_shared: str = ""

    def of(self, reader: Reader) -> str:
        if reader == "remote_shared":
            return self.remote_shared or self.of("remote")
        text: str = getattr(self, reader)
        return text or self.model


def error_text(
    failure: Failure, reader: Reader, *, repeatable: bool = True, can_wait: bool = True
) -> str:
    """Return all that is said of an error: what happened, what to do, and the trace id.

    Args:
        failure: what went wrong.
        reader: who reads it.
        repeatable: whether the same may be asked for again without doing something twice.
        can_wait: whether what was called takes `wait_seconds`.

    """
    if failure.transient and not repeatable:
        known = f"{failure.message}. {_DO_NOT_REPEAT}"
        return known + _trace_id(failure)
    return f"{failure.message}. {remedy_and_trace_id(failure, reader, can_wait=can_wait)}"


def remedy_and_trace_id(failure: Failure, reader: Reader, *, can_wait: bool = True) -> str:
    """Return what to do about an error, followed by the trace id if there is one."""
    return remedy(failure, reader, can_wait=can_wait) + _trace_id(failure)


def _trace_id(failure: Failure) -> str:
    return f" Trace id for the vendor's support: {failure.trace_id}." if failure.trace_id else ""


def remedy(failure: Failure, reader: Reader, *, can_wait: bool = True) -> str:
    """Return what to do about an error, in whole sentences."""
    template = _REMEDIES[failure.kind].of(reader)
    text = template.format(ask_again=_ask_again(failure, can_wait=can_wait), **failure.details)
    if reader == "person" and failure.retry_after_seconds:
        text += f" Not before {duration(failure.retry_after_seconds)} from now."
    return text


def is_for_operator(failure: Failure, reader: Reader) -> bool:
    """Return whether only the operator of this server can do something about an error."""
    return _REMEDIES[failure.kind].of(reader) == _TELL_OPERATOR


def for_reader(failure: Failure, reader: Reader, at_base_url: str) -> Failure:
    """Return what a reader may be told of an error.

    A remote reader is told of no variable, address or file of this machine.

    Args:
        failure: what went wrong.
        reader: who reads it.
        at_base_url: where the API is, as `Settings.at_base_url` has it.

    """
    if reader in {"model", "person"}:
        return failure
    if is_for_operator(failure, reader) and issubclass(failure.kind, _OF_THIS_MACHINE):
        message = "This server cannot ask the API as it is set up"
    else:
        message = failure.message.replace(TOKEN_VARIABLE, "The Authorization header")
        message = message.replace(at_base_url, "")
    return replace(failure, message=message)


def details_for_user(reader: Reader) -> str:
    """Return how a user comes by the details of a defect: "the user, who …"."""
    if reader in {"model", "person"}:
        return "who finds the details in this server's log"
    return "who can tell whoever runs this server"


def _ask_again(failure: Failure, *, can_wait: bool) -> str:
    """Return when to ask again, in whole sentences; a model cannot sleep, but a call can wait."""
    if failure.retry_after_seconds:
        when = f"Ask again in {duration(failure.retry_after_seconds)}, not before."
    elif "waited_seconds" in failure.details:
        waited = failure.details["waited_seconds"]
        return f"It was tried for {waited} s, so asking again now will not help: tell the user."
    else:
        now = ", or now with `wait_seconds`, which keeps trying" if can_wait else ""
        when = f"Ask again in about 30 seconds{now}."
    return f"{when} If it stays so, tell the user."


def duration(seconds: float) -> str:
    """Write a number of seconds, rounded up, in the largest unit of which it has two."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    whole = math.ceil(seconds)
    return "1 second" if whole == 1 else f"{whole} seconds"


_DO_NOT_REPEAT = "It is not known whether it was done, so tell the user before you call it again."
# Where an error is of this kind, what happened names something of this machine.
_OF_THIS_MACHINE = (SettingsError, WrongBaseUrlError)
_TELL_OPERATOR = (
    "Ask the user to tell whoever runs this server, who finds the details in its log; asking again "
    "before they have corrected it will not help."
)
_HEADER = "the Authorization header in the configuration of this server in their client"
_SET_HEADER = (
    f"Ask the user to set {_HEADER} to `Bearer`, a blank and a token that is valid, without quotes "
    f"or brackets; tokens are made at {PLATFORM_URL}."
)
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
        remote=_TELL_OPERATOR,
    ),
    TokenMissingError: _Remedy(
        model=f"Ask the user to set the environment variable {TOKEN_VARIABLE} in this server's "
        f"configuration and to restart it; a token is made at {PLATFORM_URL}.",
        person=f"Set {TOKEN_VARIABLE}; create one at {PLATFORM_URL}.",
        remote=_SET_HEADER,
        remote_shared=_TELL_OPERATOR,
    ),
    TokenMalformedError: _Remedy(
        model="Ask the user to copy the token again and to restart this server.",
        person="Copy the token again.",
        remote=_SET_HEADER,
        remote_shared=_TELL_OPERATOR,
    ),
    TokenPlaceholderError: _Remedy(
        model="Ask the user to put a token in its place, without brackets, in this server's "
        f"configuration and to restart it; a token is made at {PLATFORM_URL}.",
        person=f"Put a token in its place, without brackets; create one at {PLATFORM_URL}.",
        remote=_SET_HEADER,
        remote_shared=_TELL_OPERATOR,
    ),
    TokenQuotedError: _Remedy(
        model="Ask the user to remove these quotes in this server's configuration and to restart "
        "it.",
        person="Remove these quotes.",
        remote=_SET_HEADER,
        remote_shared=_TELL_OPERATOR,
    ),
    SeveralSettingsError: _Remedy(
        model="Ask the user to correct each of them, and to restart this server.",
        person="Correct each of them; hailuo-tasks-mcp check says how.",
        remote=_TELL_OPERATOR,
    ),
    NetworkConfigurationError: _Remedy(
        model="Ask the user to correct or unset {variables} for this server, and to restart it.",
        person="Correct or unset {variables}.",
        remote=_TELL_OPERATOR,
    ),
    UntrustedCertificateError: _Remedy(
        model="If a company's proxy or a virus scanner opens TLS on the way, ask the user to set "
        "SSL_CERT_FILE for this server to a PEM file with its certificate beside the usual ones, "
        f"and to restart it; otherwise to check {BASE_URL_VARIABLE} and this machine's clock.",
        person="If something on the way opens TLS (a company's proxy, a virus scanner), set "
        "SSL_CERT_FILE to a PEM file with its certificate beside the usual ones; otherwise check "
        f"{BASE_URL_VARIABLE} and this machine's clock.",
        remote=_TELL_OPERATOR,
    ),
    TokenRejectedError: _Remedy(
        model=f"Ask the user to set {TOKEN_VARIABLE} to a token that is valid{{at_base_url}} and "
        f"to restart this server; tokens are made at {PLATFORM_URL}.",
        person=f"Set {TOKEN_VARIABLE} to a token that is valid; create one at {PLATFORM_URL}.",
        remote=_SET_HEADER,
        remote_shared=_TELL_OPERATOR,
    ),
    AccessDeniedError: _Remedy(
        model=f"Ask the user to check at {PLATFORM_URL} that the account behind {TOKEN_VARIABLE} "
        "is active and may use this service; asking again will not help.",
        person=f"Check at {PLATFORM_URL} that the account is active and may use this service.",
        remote=f"Ask the user to check at {PLATFORM_URL} that the account behind the token of "
        f"{_HEADER} is active and may use this service; asking again will not help.",
        remote_shared=_TELL_OPERATOR,
    ),
    BalanceUsedUpError: _Remedy(
        model=f"Ask the user to top it up at {PLATFORM_URL}; asking again before that will not "
        "help.",
        person=f"Top it up at {PLATFORM_URL}.",
        remote_shared=_TELL_OPERATOR,
    ),
    RequestRejectedError: _Remedy(
        model="Asking again with the same arguments will not help; tell the user what the API "
        "said.",
        person="Trying again will not help.",
    ),
    WrongBaseUrlError: _Remedy(
        model=f"Ask the user to check {BASE_URL_VARIABLE}, or to unset it to use the default.",
        person=f"Correct {BASE_URL_VARIABLE}, or unset it to use the default.",
        remote=_TELL_OPERATOR,
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
        remote="{ask_again}",
    ),
    UnreadableResponseError: _Remedy(
        model=f"{{ask_again}} They can check {BASE_URL_VARIABLE}; {_CHECK_WHAT_ANSWERS}.",
        person=f"Check {BASE_URL_VARIABLE}: {_CHECK_WHAT_ANSWERS}.",
        remote="{ask_again}",
    ),
    DownloadRefusedError: _Remedy(
        model="Asking again will not help; tell the user, who can look at the link.",
        person="Look at the link before you open it.",
    ),
    VideoGoneError: _Remedy(
        model="Links live 30 days, so this one has probably run out; tell the user.",
        person="Links live 30 days, so this one has probably run out.",
    ),
    NotAVideoError: _Remedy(
        model="Asking again will not help; tell the user, who can open the link.",
        person="Open the link to see what is there.",
    ),
    VideoTooLargeError: _Remedy(
        model=f"Ask the user to set {MAX_VIDEO_MB_VARIABLE} higher and to restart this server, or "
        "to open the link.",
        person=f"Set {MAX_VIDEO_MB_VARIABLE} higher.",
        remote=_TELL_OPERATOR,
    ),
    DownloadInterruptedError: _Remedy(
        model="Call again, which goes on where it stopped. If it stays so, tell the user.",
        person="The same command goes on where it stopped.",
    ),
    FolderError: _Remedy(
        model="Ask the user to correct that; then call again.",
        person="Correct that, or name another folder.",
    ),
    DiskFullError: _Remedy(
        model="Ask the user to make room; then call again.",
        person="Make room, or name another folder.",
    ),
    TooManyWaitsError: _Remedy(
        model="Ask without `wait_seconds` or, once some of them have ended, wait for all ids in "
        "one retrieve_tasks_batch call. If it stays so, tell the user.",
        person="Try again once some of them have ended.",
    ),
    StoppingError: _Remedy(
        model="Ask again in a few seconds. If it stays so, tell the user.",
        person="Try again in a few seconds.",
    ),
}
