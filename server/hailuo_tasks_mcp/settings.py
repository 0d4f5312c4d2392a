"""The environment, read once into `Settings`.

Each variable is one entry: its field of `Settings`. Help, `check`, the documents' tables, the
registry's entry and the bundle's manifest are made of the same entries, or tested against them.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hailuo_tasks_mcp.errors import (
    Failure,
    SettingsError,
    SeveralSettingsError,
    TokenMalformedError,
    TokenPlaceholderError,
    TokenQuotedError,
)

if TYPE_CHECKING:
    import httpx

PLATFORM_URL = "https://platform.acedata.cloud"

TOKEN_VARIABLE = "ACEDATACLOUD_API_TOKEN"  # noqa: S105 - the name, not a token
BASE_URL_VARIABLE = "ACEDATACLOUD_API_BASE_URL"
LOG_LEVEL_VARIABLE = "HAILUO_LOG_LEVEL"
SAVE_DIR_VARIABLE = "HAILUO_SAVE_DIR"
MAX_VIDEO_MB_VARIABLE = "HAILUO_MAX_VIDEO_MB"

READ_IN_SANDBOX = (LOG_LEVEL_VARIABLE, SAVE_DIR_VARIABLE)
"""Which variables decide on something where the sandbox's own stand for all others."""

# What a host leaves behind when a template such as "${user_config.api_token}" was not filled in.
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
# What documents write where a token belongs, and what is left of a variable that no shell has
# filled in. The words have no digit, which tokens have.
_TOKEN_PLACEHOLDER = re.compile(
    r"""
    <.*> | \[.*\] | \{.*\}
    | \$\w+ | \$\(.*\) | %\w+%
    | (your|my|paste|insert|enter|replace|change)[a-z _.-]*
    | ((the|ace|data|cloud|api|access|secret|bearer)[ _.-]?)*(token|key)([ _.-]?here)?
    | … | [x*._…•-]{3,}
    | [你您].*
    """,
    re.VERBOSE | re.IGNORECASE,
)
# More than once, where it is pasted behind the one of a configuration.
_BEARER = re.compile(r"\A(bearer(\s+|\Z))+", re.IGNORECASE)
_QUOTES = "\"'`“”‘’"
_PORTS = range(1, 65536)
_MAX_HOST_LENGTH = 253
_MAX_PATH_LENGTH = 1_000
# A name or an IPv4 address; an IPv6 address, which httpx has checked but for its zone.
_HOST = re.compile(
    r"[\w-]{1,63}(\.[\w-]{1,63})*\.?|[0-9a-f:.]*:[0-9a-f:.]*(%[\w.~-]+)?", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One environment variable.

    Attributes:
        name: what it is called.
        default: the value of its setting where it is not set.
        meaning: what it decides, in words for the documents.
        parse: makes the value of the setting of what is set; raises a SettingsError.
        minimum: the lowest value of a number; one that need not be whole is above it.
        maximum: the highest value of a number.
        unit: of which a whole number is.
        choices: all values, where they are a few words.
        is_folder: whether its value is the path of a folder.
        required: whether nothing can be looked up without it.
        secret: whether its value must not be shown.
        rarely_set: whether a first page about the server can leave it out.
        title: what the settings page of a bundle calls it; None if it does not ask for it.
        hint: what that page says below the title, if not the meaning.

    """

    name: str
    default: Any
    meaning: str
    parse: "Callable[[str, Variable], Any]"
    minimum: float = 0
    maximum: float = math.inf
    unit: str = "seconds"
    choices: tuple[str, ...] | None = None
    is_folder: bool = False
    required: bool = False
    secret: bool = False
    rarely_set: bool = False
    title: str | None = None
    hint: str | None = None

    @property
    def default_text(self) -> str | None:
        """The default as it would be set; None if there is none."""
        if self.default is None:
            return None
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    def read(self, environ: Mapping[str, str]) -> Any:
        """Return the value of the setting.

        Raises:
            SettingsError: what is set cannot be used.

        """
        value = _value_or_none(environ.get(self.name, ""))
        return self.default if value is None else self.parse(value, self)


def _value_or_none(text: str) -> str | None:
    """Return what a variable is set to; None if it was left empty or unfilled."""
    value = text.strip()
    return None if not value or _PLACEHOLDER.fullmatch(value) else value


def _variable(**entry: Any) -> Any:
    variable = Variable(**entry)
    return field(
        default=variable.default, repr=not variable.secret, metadata={"variable": variable}
    )


def _token(value: str, variable: Variable) -> str | None:
    return parse_token(value, variable.name)


def parse_token(value: str, name: str) -> str | None:
    """Return the token of a header or a variable; None if there is none.

    Args:
        value: what was given, with or without `Bearer` before the token.
        name: what an error calls it.

    Raises:
        SettingsError: it cannot be a token; the message does not repeat it.

    """
    # People copy the whole header from the documentation.
    given = _BEARER.sub("", value)
    token = _value_or_none(_BEARER.sub("", given.strip(_QUOTES)).strip(_QUOTES))
    if token is None:
        return None
    # The value is not repeated: it may be a token in brackets.
    if _TOKEN_PLACEHOLDER.fullmatch(token):
        raise TokenPlaceholderError(f"{name} holds a placeholder, not a token")
    if given != token:
        raise TokenQuotedError(f"{name} holds its token in quotes")
    if not re.fullmatch(r"[!-~]+", token):
        raise TokenMalformedError(
            f"{name} holds characters that no token has (white space, control or "
            "non-ASCII characters)"
        )
    return token


def _base_url(value: str, variable: Variable) -> str:
    url = parse_url(value)
    # The value is not repeated: it may hold a password.
    if url is None or url.scheme not in {"http", "https"}:
        raise SettingsError(f"{variable.name} is not a URL such as {variable.default}")
    if url.userinfo or "?" in value or "#" in value:
        raise SettingsError(
            f"{variable.name} must be a plain URL, without user, query or fragment, such as "
            f"{variable.default}"
        )
    if url.scheme != "https" and not is_loopback(url.host):
        raise SettingsError(
            f"{variable.name} must start with https:// (http:// only for this machine: "
            "localhost, 127.0.0.1, [::1]), or the token would travel in the clear"
        )
    return str(url).rstrip("/")


def parse_url(text: str) -> "httpx.URL | None":
    """Return a URL with a host, and a port if any, that a connection can be opened to; else None.

    The parser is that of the requests, so that both see the same host.
    """
    # Here, so that `--help`, which prints the variables, does not load it.
    import httpx  # noqa: PLC0415

    try:
        url = httpx.URL(text)
        # These raise only now, of a zone that is not ASCII and of Punycode that nothing encodes to.
        host, _ = url.raw_host.decode("ascii"), url.host
    except (httpx.InvalidURL, ValueError):
        return None
    is_host = len(host) <= _MAX_HOST_LENGTH and _HOST.fullmatch(host)
    return url if is_host and (url.port is None or url.port in _PORTS) else None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, as a name or an IP address without brackets."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _seconds(value: str, variable: Variable) -> float:
    above, maximum = variable.minimum, variable.maximum
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not above < seconds <= maximum:
        raise SettingsError(
            f"{variable.name} must be a number of seconds above {above:g} and at most {maximum:g}"
        )
    return seconds


def _whole_number(value: str, variable: Variable) -> int:
    minimum, maximum = variable.minimum, variable.maximum
    # As many digits as the maximum has, because int() refuses thousands of them.
    digits = len(f"{maximum:g}")
    number = int(value) if re.fullmatch(rf"[0-9]{{1,{digits}}}", value) else -1
    if not minimum <= number <= maximum:
        raise SettingsError(
            f"{variable.name} must be a whole number of {variable.unit} from {minimum:g} to "
            f"{maximum:g}"
        )
    return number


def _folder(value: str, variable: Variable) -> str:
    # The value is not repeated: it may be a token that was pasted into the wrong line.
    folder = parse_folder(value)
    if folder is None or not folder.is_absolute():
        raise SettingsError(
            f"{variable.name} must be the full path of a folder, from / or a drive on; ~ may begin "
            "it"
        )
    try:
        is_something_else = folder.exists() and not folder.is_dir()
    except OSError:
        # It may be reached later; if not, saving says why.
        is_something_else = False
    if is_something_else:
        raise SettingsError(f"{variable.name} names something that is no folder")
    return str(folder)


def parse_folder(text: str) -> Path | None:
    """Return the path of a folder with `~` expanded; None if no folder can have this path."""
    if not text.isprintable() or len(text) > _MAX_PATH_LENGTH:
        return None
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError):
        # There is no such user.
        return None


def _choice(value: str, variable: Variable) -> str:
    choices = variable.choices or ()
    choice = value.upper()
    if choice not in choices:
        raise SettingsError(f"{variable.name} must be one of {', '.join(choices)}")
    return choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The effective settings; those that an environment variable decides are its entry.

    Attributes:
        api_token: bearer token of Ace Data Cloud; None if there is none.
        api_base_url: where the API is, without a slash at its end.
        request_timeout_seconds: how long one attempt of an HTTP request may take, in seconds.
        max_wait_seconds: the highest `wait_seconds` that a call may ask for, in seconds.
        max_mcp_task_seconds: how long an MCP task waits for tasks that run, in seconds.
        save_dir: the absolute path of the folder that videos are saved in; None if they are not.
        max_video_mb: how many megabytes (of 1,000,000 bytes) a file may have.
        stall_seconds: how long a download may bring next to nothing, in seconds.
        log_level: threshold of the log on stderr.
        sandbox: whether answers come from the embedded sandbox.
        problem: why these settings cannot be used, all in one; no request is sent while it is set.
        problems: the same by variable, which is the `variable` of their details.

    """

    api_token: str | None = _variable(
        name=TOKEN_VARIABLE,
        default=None,
        meaning=f"Token of Ace Data Cloud, created at {PLATFORM_URL}/console/applications",
        parse=_token,
        required=True,
        secret=True,
        title="API token",
    )
    api_base_url: str = _variable(
        name=BASE_URL_VARIABLE,
        default="https://api.acedata.cloud",
        meaning="URL of the API: https, or http to this machine only",
        parse=_base_url,
        title="API base URL",
        hint="Where the API is. Leave it as it is unless you were told otherwise.",
    )
    request_timeout_seconds: float = _variable(
        name="HAILUO_REQUEST_TIMEOUT_SECONDS",
        default=15.0,
        meaning="How long one attempt of an HTTP request may take, in seconds, up to 40",
        parse=_seconds,
        # Below `LOOKUP_SECONDS` of api/client.py, which all attempts share.
        maximum=40,
        rarely_set=True,
    )
    max_wait_seconds: int = _variable(
        name="HAILUO_MAX_WAIT_SECONDS",
        # Below the 60 seconds after which several hosts give up a call.
        default=50,
        meaning="The highest `wait_seconds` that a call may ask for, 1 to 3600; many hosts end a "
        "call after 60 seconds",
        parse=_whole_number,
        minimum=1,
        maximum=3600,
        title="Longest wait in one call",
        hint="Whole seconds, 1 to 3600. Claude Desktop may cut off a call after 60 seconds, so 50 "
        "is safe.",
    )
    max_mcp_task_seconds: int = _variable(
        name="HAILUO_MAX_MCP_TASK_SECONDS",
        # Far above the time after which a run is overdue.
        default=1800,
        meaning="How long an MCP task waits, in seconds, 1 to 43200, in hosts that have them",
        parse=_whole_number,
        minimum=1,
        maximum=43_200,
    )
    save_dir: str | None = _variable(
        name=SAVE_DIR_VARIABLE,
        default=None,
        meaning="Folder in which the tool `save_videos` saves videos; without it there is no such "
        "tool",
        parse=_folder,
        is_folder=True,
        title="Folder for videos",
        hint="Where videos are saved when you ask for it. Without a folder, nothing is saved.",
    )
    max_video_mb: int = _variable(
        name=MAX_VIDEO_MB_VARIABLE,
        default=500,
        meaning="How many MB a video that is saved may have, 1 to 100000",
        parse=_whole_number,
        minimum=1,
        maximum=100_000,
        unit="MB",
        rarely_set=True,
    )
    stall_seconds: float = _variable(
        name="HAILUO_STALL_SECONDS",
        default=30.0,
        meaning="After how many seconds with next to no data a download breaks off, up to 600",
        parse=_seconds,
        maximum=600,
        rarely_set=True,
    )
    log_level: str = _variable(
        name=LOG_LEVEL_VARIABLE,
        default="WARNING",
        meaning="Threshold of the log, which goes to stderr",
        parse=_choice,
        choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    )
    sandbox: bool = False
    problem: Failure | None = None
    problems: tuple[Failure, ...] = ()

    @property
    def at_base_url(self) -> str:
        """Where the API is, for a message: nothing where it is as usual."""
        usual = self.api_base_url == VARIABLES["api_base_url"].default
        return "" if usual else f" at {_without_token(self.api_base_url, self.api_token)}"


VARIABLES: Mapping[str, Variable] = {
    setting.name: setting.metadata["variable"]
    for setting in fields(Settings)
    if "variable" in setting.metadata
}
"""The environment variables, by the field of `Settings` that each decides."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables.

    A variable that is empty, blank or still an unfilled placeholder (`${…}`) counts as not set.

    Raises:
        SettingsError: values cannot be used; the message names the variables, never the token.

    """
    settings = effective_settings(environ)
    if settings.problem is not None:
        raise settings.problem.to_error()
    return settings


def effective_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables; keep as their problems what cannot be used.

    A host shows a server that does not start as "disconnected", and its user learns nothing. With
    these settings it starts, and each call says what to correct, all at once: whoever corrects one
    variable after the other restarts the host as often.
    """
    values: dict[str, Any] = {}
    problems: list[Failure] = []
    for name, variable in VARIABLES.items():
        try:
            values[name] = variable.read(environ)
        except SettingsError as error:
            details = {**error.failure.details, "variable": variable.name}
            problems.append(replace(error.failure, details=details))
    return Settings(**values, problem=_in_one(problems), problems=tuple(problems))


@lru_cache
def _without_token(base_url: str, token: str | None) -> str:
    """Return a base URL to show: a gateway may want the token in it."""
    # Here, because `--help` does not need it.
    from hailuo_tasks_mcp.redaction import Redactor  # noqa: PLC0415

    return Redactor(token).redact(base_url)


def _in_one(problems: Sequence[Failure]) -> Failure | None:
    """Return what a call is told of problems; None if there are none."""
    if len(problems) < 2:  # noqa: PLR2004 - one needs no list
        return problems[0] if problems else None
    messages = "; ".join(problem.message for problem in problems)
    return Failure(SeveralSettingsError, messages)
