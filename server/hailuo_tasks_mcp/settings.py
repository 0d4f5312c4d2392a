"""What the server can be told, read from the environment once."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

import httpx

from hailuo_tasks_mcp.errors import (
    BASE_URL_VARIABLE,
    TOKEN_VARIABLE,
    SettingsError,
    TokenMissingError,
)

DEFAULT_API_BASE_URL = "https://api.acedata.cloud"
DEFAULT_REQUEST_TIMEOUT_SECONDS = 15.0
# Below the 45 seconds that a look-up may take in all.
MAX_REQUEST_TIMEOUT_SECONDS = 40.0
TIMEOUT_VARIABLE = "HAILUO_REQUEST_TIMEOUT_SECONDS"
# Below the 60 seconds after which several hosts give up a call.
DEFAULT_MAX_WAIT_SECONDS = 50
HIGHEST_MAX_WAIT_SECONDS = 3600
MAX_WAIT_VARIABLE = "HAILUO_MAX_WAIT_SECONDS"
LOG_LEVEL_VARIABLE = "HAILUO_LOG_LEVEL"
DEFAULT_LOG_LEVEL = "WARNING"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_PORTS = range(1, 65536)

# What a host leaves behind when a template such as "${user_config.api_token}" was not filled in.
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings in force.

    Attributes:
        api_token: bearer token of Ace Data Cloud; None if there is none.
        api_base_url: where the API is, without a slash at its end.
        request_timeout_seconds: how long one try of an HTTP request may take, in seconds.
        max_wait_seconds: how long a call may at most be told to wait, in seconds.
        log_level: threshold of the log on stderr.
        sandbox: whether answers come from the embedded sandbox.
        problem: why these settings cannot be used; no request is sent while it is set.

    """

    api_token: str | None = field(default=None, repr=False)
    api_base_url: str = DEFAULT_API_BASE_URL
    request_timeout_seconds: float = DEFAULT_REQUEST_TIMEOUT_SECONDS
    max_wait_seconds: int = DEFAULT_MAX_WAIT_SECONDS
    log_level: str = DEFAULT_LOG_LEVEL
    sandbox: bool = False
    problem: SettingsError | None = None

    def usable_token(self) -> str:
        """Return the token.

        Raises:
            SettingsError: the settings cannot be used, so no request may be sent.

        """
        if self.problem is not None:
            # A new one each time: an exception raised again and again gathers tracebacks.
            raise SettingsError(self.problem.happened, self.problem.remedy)
        if self.api_token is None:
            raise TokenMissingError
        return self.api_token


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables.

    A variable that is empty, blank or still an unfilled placeholder (`${…}`) counts as not set.

    Raises:
        SettingsError: a value cannot be used; the message names the variable, never the token.

    """
    return Settings(
        api_token=_token(environ.get(TOKEN_VARIABLE, "")),
        api_base_url=_base_url(environ.get(BASE_URL_VARIABLE, "")),
        request_timeout_seconds=_timeout(environ.get(TIMEOUT_VARIABLE, "")),
        max_wait_seconds=_max_wait(environ.get(MAX_WAIT_VARIABLE, "")),
        log_level=_log_level(environ.get(LOG_LEVEL_VARIABLE, "")),
    )


def settings_in_force(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables; if one cannot be used, that is their problem.

    A host shows a server that does not start as "disconnected", and its user learns nothing. With
    these settings it starts, and says at each call what to mend.
    """
    try:
        return read_settings(environ)
    except SettingsError as error:
        return Settings(problem=error)


def _filled_in(text: str) -> str | None:
    """Return what a variable is set to; None if it was left empty or unfilled."""
    value = text.strip()
    return None if not value or _PLACEHOLDER.fullmatch(value) else value


def _token(text: str) -> str | None:
    # People copy the whole header from the documentation.
    value = _filled_in(re.sub(r"\A\s*bearer\s+", "", text, flags=re.IGNORECASE))
    if value is not None and not re.fullmatch(r"[!-~]+", value):
        raise SettingsError(
            f"{TOKEN_VARIABLE} holds characters that no token has (white space, control or "
            "non-ASCII characters)",
            "Ask the user to copy the token again and to restart this server.",
        )
    return value


def _base_url(text: str) -> str:
    value = _filled_in(text)
    if value is None:
        return DEFAULT_API_BASE_URL
    try:
        # The parser that will make the requests, so that both see the same host.
        url = httpx.URL(value)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL()
    # The value is not repeated: it may hold a password.
    if url.scheme not in {"http", "https"} or not names_a_host(url):
        raise SettingsError(
            f"{BASE_URL_VARIABLE} is not a URL such as {DEFAULT_API_BASE_URL}", _CORRECT_IT
        )
    if url.userinfo or "?" in value or "#" in value:
        raise SettingsError(
            f"{BASE_URL_VARIABLE} must be a plain URL, without user, query or fragment, such as "
            f"{DEFAULT_API_BASE_URL}",
            _CORRECT_IT,
        )
    base_url = str(url).rstrip("/")
    if url.scheme != "https" and not _is_loopback(url.host):
        raise SettingsError(
            f"{BASE_URL_VARIABLE} must start with https:// (http:// only for this machine: "
            f"localhost, 127.0.0.1, [::1]), or the token would travel in the clear",
            _CORRECT_IT,
        )
    return base_url


def names_a_host(url: httpx.URL) -> bool:
    """Tell whether a URL has a host, and a port if any, that a connection can be opened to."""
    host = url.raw_host.decode("ascii")
    plain = re.fullmatch(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?", host, re.ASCII)
    # httpx lets a colon into a host only in an IPv6 address, which it has checked.
    return bool(plain or ":" in host) and (url.port is None or url.port in _PORTS)


_CORRECT_IT = (
    "Ask the user to correct it, or to unset it to use the default, and to restart this server."
)


def _timeout(text: str) -> float:
    value = _filled_in(text)
    if value is None:
        return DEFAULT_REQUEST_TIMEOUT_SECONDS
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_REQUEST_TIMEOUT_SECONDS:
        raise SettingsError(
            f"{TIMEOUT_VARIABLE} must be a number of seconds above 0 and at most "
            f"{MAX_REQUEST_TIMEOUT_SECONDS:g}",
            _CORRECT_IT,
        )
    return seconds


def _max_wait(text: str) -> int:
    value = _filled_in(text)
    if value is None:
        return DEFAULT_MAX_WAIT_SECONDS
    # As many digits as the highest has: int() chokes on thousands of them.
    seconds = int(value) if re.fullmatch(r"[0-9]{1,4}", value) else 0
    if not 1 <= seconds <= HIGHEST_MAX_WAIT_SECONDS:
        raise SettingsError(
            f"{MAX_WAIT_VARIABLE} must be a whole number of seconds from 1 to "
            f"{HIGHEST_MAX_WAIT_SECONDS}",
            _CORRECT_IT,
        )
    return seconds


def _log_level(text: str) -> str:
    value = _filled_in(text)
    if value is None:
        return DEFAULT_LOG_LEVEL
    level = value.upper()
    if level not in LOG_LEVELS:
        raise SettingsError(
            f"{LOG_LEVEL_VARIABLE} must be one of {', '.join(LOG_LEVELS)}", _CORRECT_IT
        )
    return level


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
