"""What a person at a terminal can do about an error; a model is told to ask the user for it."""

from hailuo_tasks_mcp.errors import (
    BASE_URL_VARIABLE,
    PLATFORM_URL,
    TOKEN_VARIABLE,
    AccessDeniedError,
    BadArgumentsError,
    BalanceUsedUpError,
    HailuoTasksError,
    NetworkSetupError,
    RateLimitedError,
    RequestRejectedError,
    SettingsError,
    TokenMissingError,
    TokenRejectedError,
    UnreachableError,
    UnreadableAnswerError,
    UntrustedError,
    UpstreamError,
    WrongBaseUrlError,
    duration,
)


def advice(error: HailuoTasksError) -> str:
    """Return what to do about an error, in whole sentences, with the trace id if there is one."""
    if isinstance(error, NetworkSetupError):
        words = f"Correct or unset {error.variables}."
    else:
        words = _ADVICE[type(error)]
    if error.retry_after_seconds:
        words += f" Not before {duration(error.retry_after_seconds)} from now."
    if error.trace_id:
        words += f" Trace id for the vendor's support: {error.trace_id}."
    return words


_ADVICE: dict[type[HailuoTasksError], str] = {
    BadArgumentsError: "See hailuo-tasks-mcp retrieve --help.",
    SettingsError: "Correct it, or unset it to use the default.",
    TokenMissingError: f"Set {TOKEN_VARIABLE}; create one at {PLATFORM_URL}.",
    UntrustedError: "If something on the way opens TLS (a company's proxy, a virus scanner), set "
    "SSL_CERT_FILE to a PEM file with its certificate beside the usual ones; otherwise check "
    f"{BASE_URL_VARIABLE} and this machine's clock.",
    TokenRejectedError: f"Set {TOKEN_VARIABLE} to a token that is valid for Hailuo; create one "
    f"at {PLATFORM_URL}.",
    AccessDeniedError: f"Check at {PLATFORM_URL} that the account is active and may use Hailuo.",
    BalanceUsedUpError: f"Top it up at {PLATFORM_URL}.",
    RequestRejectedError: "Trying again will not help.",
    WrongBaseUrlError: f"Correct {BASE_URL_VARIABLE}, or unset it to use the default.",
    RateLimitedError: "The tasks themselves go on; try again later.",
    UpstreamError: "The tasks themselves go on; try again later.",
    UnreachableError: f"Check the network, the proxy and {BASE_URL_VARIABLE}, or try again later; "
    "the tasks themselves go on.",
    UnreadableAnswerError: f"Check {BASE_URL_VARIABLE}: something else may be answering there. "
    "The tasks themselves go on.",
}
