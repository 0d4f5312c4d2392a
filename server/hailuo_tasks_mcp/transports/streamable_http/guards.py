"""Which names and which web pages a server over HTTP is used from.

A web page can have its own name resolved to this machine (DNS rebinding), and then its browser
sends what it asks for here. So the `Host` must be a known name, and the `Origin`, which browsers
send and programs do not, a known page's.
"""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from hailuo_tasks_mcp.settings import is_loopback
from hailuo_tasks_mcp.text import quoted
from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions
from hailuo_tasks_mcp.transports.streamable_http.refusals import refusal
from hailuo_tasks_mcp.uvicorn_protocol import MAX_HEAD_BYTES

_LOOPBACK_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?"
_PORT = re.compile(r":[0-9]{1,5}\Z")
_NOTHING = r"(?!)"
_SHOWN_LENGTH = 80


def head_refusal(scope: Scope) -> Response | None:
    """Return the response to a request with too large a head, of which h11 bounds a part only."""
    head_bytes = sum(len(name) + len(value) for name, value in scope["headers"])
    if head_bytes + len(scope["path"]) + len(scope.get("query_string", b"")) <= MAX_HEAD_BYTES:
        return None
    return refusal(431, f"The head of the request has more than {MAX_HEAD_BYTES:,} bytes.")


def host_refusal(headers: Headers, options: HttpOptions) -> Response | None:
    """Return the response to a request for a host by whose name this server is not reached."""
    host = headers.get("host", "").lower()
    name = _PORT.sub("", host)
    if host in options.allowed_hosts or name in options.allowed_hosts:
        return None
    if options.loopback and is_loopback(name[1:-1] if re.fullmatch(r"\[.*\]", name) else name):
        return None
    return refusal(
        421,
        f"This server is not reached as {quoted(host, _SHOWN_LENGTH)}. Whoever runs it can allow "
        "this name with --allowed-host.",
    )


def origin_refusal(headers: Headers, options: HttpOptions) -> Response | None:
    """Return the response to a request of a web page that may not send any."""
    origin = headers.get("origin")
    if origin is None or origin.lower() in options.allowed_origins:
        return None
    if _takes_loopback_origins(options) and re.fullmatch(_LOOPBACK_ORIGIN, origin):
        return None
    return refusal(
        403,
        f"Web pages of the origin {quoted(origin, _SHOWN_LENGTH)} may not use this server. Whoever "
        "runs it can allow them with --allowed-origin.",
    )


def _takes_loopback_origins(options: HttpOptions) -> bool:
    """Return whether a page of this machine may be one of the machine that serves."""
    return options.loopback and not options.allowed_hosts


def with_cors(app: ASGIApp, options: HttpOptions, methods: Sequence[str]) -> ASGIApp:
    """Return an app whose answers a browser hands to the pages of allowed origins."""
    return CORSMiddleware(
        app,
        allow_origins=options.allowed_origins,
        allow_origin_regex=_LOOPBACK_ORIGIN if _takes_loopback_origins(options) else _NOTHING,
        allow_methods=methods,
        # Each revision of MCP has further ones, and a token is asked for anyway.
        allow_headers=["*"],
        expose_headers=["WWW-Authenticate", "Retry-After"],
        # A page of the internet may be allowed to use a server of this machine.
        allow_private_network=True,
    )
