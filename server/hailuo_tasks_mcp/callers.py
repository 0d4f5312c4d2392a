"""Who sends requests to this server."""

from typing import NamedTuple


class Caller(NamedTuple):
    """Who sent a request.

    Attributes:
        token: the bearer token with which the API is asked; None if there is none.
        key: tells this caller from all others, and holds no secret.
        secrets: what no answer and no line of the log may hold.

    """

    token: str | None
    key: str = ""
    secrets: tuple[str, ...] = ()
