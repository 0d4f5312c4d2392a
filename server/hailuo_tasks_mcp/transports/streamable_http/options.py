"""How a server is served over HTTP."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from hailuo_tasks_mcp.errors import SettingsError

MIN_ACCESS_TOKEN_LENGTH = 16
METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Of Prometheus' client: where processes keep their numbers, so that each can tell the sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How a server is served over HTTP.

    Attributes:
        loopback: whether only this machine can reach it, under its own names.
        allowed_hosts: further names, with or without a port, by which clients may reach it.
        allowed_origins: origins of web pages that may send requests.
        shared_token: whether all callers use the token of the settings, not one of their own.
        access_tokens: digests of what a caller of a shared token must send one of; without any,
            nothing must be sent.

    """

    loopback: bool = True
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    shared_token: bool = False
    access_tokens: tuple[bytes, ...] = ()

    @property
    def asks_for_token(self) -> bool:
        """Whether a request must have a token, of whichever kind."""
        return not self.shared_token or bool(self.access_tokens)


def digest(token: str) -> bytes:
    """Return by what a token is told from others where it is not kept itself."""
    return hashlib.sha256(token.encode()).digest()


def read_access_tokens(path: str) -> tuple[bytes, ...]:
    """Return digests of the access tokens of a file, which has one in each line.

    Raises:
        SettingsError: it cannot be read, or one of them is no token; the message repeats none.

    """
    try:
        lines = Path(path).read_text(encoding="ascii").split("\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not ASCII text"
        raise SettingsError(f"--access-token-file cannot be read: {reason}") from None
    digests = []
    for number, line in enumerate(lines, 1):
        token = line.strip()
        if not token:
            continue
        if len(token) < MIN_ACCESS_TOKEN_LENGTH or not all("!" <= each <= "~" for each in token):
            raise SettingsError(
                f"Line {number} of --access-token-file is no access token: one has at least "
                f"{MIN_ACCESS_TOKEN_LENGTH} characters, and no white space"
            )
        digests.append(digest(token))
    if not digests:
        raise SettingsError("--access-token-file holds no access token")
    return tuple(dict.fromkeys(digests))
