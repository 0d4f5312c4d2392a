"""How a server is served over HTTP."""

from dataclasses import dataclass, field
from pathlib import Path

from hailuo_tasks_mcp.errors import SettingsError

MIN_ACCESS_TOKEN_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How a server is served over HTTP.

    Attributes:
        loopback: whether only this machine can reach it, under its own names.
        allowed_hosts: further names, with or without a port, by which clients may reach it.
        allowed_origins: origins of web pages that may send requests.
        shared_token: whether all callers use the token of the settings, not one of their own.
        access_tokens: what a caller of a shared token must send; without any, nothing.

    """

    loopback: bool = True
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    shared_token: bool = False
    access_tokens: tuple[str, ...] = field(default=(), repr=False)


def read_access_tokens(path: str) -> tuple[str, ...]:
    """Return the access tokens of a file, which has one in each line.

    Raises:
        SettingsError: it cannot be read, or one of them is no token; none is repeated.

    """
    try:
        lines = Path(path).read_text(encoding="ascii").split("\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not ASCII text"
        raise SettingsError(f"--access-token-file cannot be read: {reason}") from None
    tokens = []
    for number, line in enumerate(lines, 1):
        token = line.strip()
        if not token:
            continue
        if len(token) < MIN_ACCESS_TOKEN_LENGTH or not all("!" <= each <= "~" for each in token):
            raise SettingsError(
                f"Line {number} of --access-token-file is no access token: one has at least "
                f"{MIN_ACCESS_TOKEN_LENGTH} characters, and no white space"
            )
        tokens.append(token)
    if not tokens:
        raise SettingsError("--access-token-file holds no access token")
    return tuple(dict.fromkeys(tokens))
