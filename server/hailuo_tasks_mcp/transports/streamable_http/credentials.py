"""Who sends a request: the token in its `Authorization` header."""

import hmac

from starlette.datastructures import Headers
from starlette.responses import Response

from hailuo_tasks_mcp.callers import Caller
from hailuo_tasks_mcp.errors import SettingsError
from hailuo_tasks_mcp.settings import PLATFORM_URL, Settings, parse_token
from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions, digest
from hailuo_tasks_mcp.transports.streamable_http.refusals import refusal

_OWN_TOKEN = (
    f"a token of Ace Data Cloud, which is made at {PLATFORM_URL}/console/applications, as "
    "`Authorization: Bearer YOUR-TOKEN`"
)
_ACCESS_TOKEN = (
    "an access token, which whoever runs this server gives out, as "  # noqa: S105 - words
    "`Authorization: Bearer YOUR-TOKEN`"
)
# Each is added by some proxies; what comes through one comes from elsewhere.
_OF_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
_CLIENTS = (
    'Claude Code: claude mcp add --transport http hailuo-tasks URL --header "Authorization: Bearer '
    'YOUR-TOKEN". Codex: codex mcp add hailuo-tasks --url URL --bearer-token-env-var VARIABLE. '
    'Cursor (mcp.json): {"mcpServers": {"hailuo-tasks": {"url": "URL", "headers": '
    '{"Authorization": "Bearer YOUR-TOKEN"}}}}. VS Code (.vscode/mcp.json): {"servers": '
    '{"hailuo-tasks": {"type": "http", "url": "URL", "headers": {"Authorization": "Bearer '
    'YOUR-TOKEN"}}}}.'
)


def caller_of(headers: Headers, settings: Settings, options: HttpOptions) -> Caller | Response:
    """Return who sent a request, or the response to one that does not say it.

    Args:
        headers: of the request.
        settings: with the token that is used for all callers, if it is shared.
        options: whether it is, and what a caller must send then.

    """
    if not options.asks_for_token:
        if not settings.sandbox and any(name in headers for name in _OF_PROXIES):
            return refusal(
                403,
                "No token is asked for here, so nothing that a proxy passes on is answered. "
                "Whoever runs this server can have tokens asked for with --access-token-file.",
            )
        return Caller(settings.api_token)
    try:
        token = _bearer_token(headers)
    except SettingsError as error:
        return _unauthorized(str(error), options, invalid="authorization" in headers)
    key = digest(token)
    if not options.shared_token:
        return Caller(token, key.hex(), (token,))
    if not _is_one_of(key, options):
        return _unauthorized("This access token is not known here", options, invalid=True)
    return Caller(settings.api_token, key.hex(), (token,))


def how_to_send_a_token(options: HttpOptions) -> str:
    """Return the words for whoever sets a client up; empty if callers need no token."""
    if not options.asks_for_token:
        return ""
    wanted = _ACCESS_TOKEN if options.shared_token else _OWN_TOKEN
    return f"With every request send {wanted}. {_CLIENTS}"


def _bearer_token(headers: Headers) -> str:
    """Return the token of a request.

    Raises:
        SettingsError: it has none that can be used; the message does not repeat it.

    """
    values = headers.getlist("authorization")
    if len(values) > 1:
        raise SettingsError("The request has more than one Authorization header")
    if not values:
        raise SettingsError("The request has no Authorization header")
    scheme = values[0].split(maxsplit=1)[:1]
    if scheme and scheme[0].lower() != "bearer":
        raise SettingsError("The Authorization header is not of the scheme Bearer")
    token = parse_token(values[0], "The Authorization header")
    if token is None:
        raise SettingsError("The Authorization header holds no token")
    return token


def _is_one_of(key: bytes, options: HttpOptions) -> bool:
    """Return whether an access token is one of those known, always in the same time."""
    return any([hmac.compare_digest(key, each) for each in options.access_tokens])  # noqa: C419 - all


def _unauthorized(problem: str, options: HttpOptions, *, invalid: bool) -> Response:
    challenge = 'Bearer realm="hailuo-tasks-mcp"' + (', error="invalid_token"' if invalid else "")
    return refusal(
        401,
        f"{problem}. {how_to_send_a_token(options)}",
        {"www-authenticate": challenge},
    )
