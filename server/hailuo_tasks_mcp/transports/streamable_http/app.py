"""The ASGI app: MCP at `/mcp` for many callers, and pages for whoever runs it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hailuo_tasks_mcp.api.client import Api
from hailuo_tasks_mcp.callers import Caller
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.waits import Waits
from hailuo_tasks_mcp.tasks_extension import TASK_METHODS
from hailuo_tasks_mcp.transports.streamable_http.bodies import (
    media_refusal,
    read_body,
)
from hailuo_tasks_mcp.transports.streamable_http.credentials import (
    caller_of,
    how_to_send_a_token,
)
from hailuo_tasks_mcp.transports.streamable_http.guards import (
    head_refusal,
    host_refusal,
    origin_refusal,
    with_cors,
)
from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions
from hailuo_tasks_mcp.transports.streamable_http.refusals import refusal
from hailuo_tasks_mcp.transports.streamable_http.task_header import check_task_headers

MCP_PATH = "/mcp"

_CALLER = "hailuo_tasks_mcp.caller"
# Methods that the log shows; a header may hold anything else.
_SHOWN = frozenset(
    {
        *("get", "head", "options", "post", "server/discover", "tools/call", "tools/list"),
        *("resources/list", "resources/read"),
        *TASK_METHODS,
    }
)

Page = Callable[[], Response]

logger = logging.getLogger(__name__)


def caller_of_request(context: ServerRequestContext[Api, Any]) -> Caller:
    """Return who sent a request that came through an `HttpApp`; for `create_server`."""
    if not isinstance(context.request, Request):
        raise TypeError("This request did not come over HTTP")
    caller: Caller = context.request.scope[_CALLER]
    return caller


class HttpApp:
    """An MCP server as an ASGI app, stateless: each request stands alone, in all revisions of MCP.

    Args:
        server: made with `caller_of_request`; it is made to check headers of its requests.
        settings: those of the server.
        options: who may use it, and by which names.
        waits: the server's, which end when the app drains.
        pages: further pages, by path.

    """

    def __init__(
        self,
        server: Server[Api],
        settings: Settings,
        options: HttpOptions,
        *,
        waits: Waits,
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._waits = waits
        # Neither the SDK's Starlette app nor its bound on bodies: each call that waits would hold
        # their frames, and what they do is done here, with words that say what to do.
        self._manager = StreamableHTTPSessionManager(server, stateless=True)
        self._mcp = self._manager.asgi_app.app
        check_task_headers(server)
        self._lifespan = Router(lifespan=lambda _: self._manager.run())
        self._schema_of = server.get_tool_input_schema
        self._with_cors = with_cors(self._on_mcp, options, ["POST"])
        # After a 401, some clients look for OAuth, and show their user what they then get.
        missing = f"There is nothing here. MCP is served at {MCP_PATH}, without OAuth."
        elsewhere = refusal(404, f"{missing} {how_to_send_a_token(options)}".rstrip())
        self._elsewhere = with_cors(elsewhere, options, ["GET", "POST"])
        self._pages = {"/livez": _alive, "/readyz": self._ready, **(pages or {})}
        self._in_flight = 0
        self._draining = False
        self._idle = asyncio.Event()

    async def drain(self, within_seconds: float) -> None:
        """Turn new requests away, end every wait, and return when all requests are answered.

        Args:
            within_seconds: how long to wait for that at most.

        """
        self._draining = True
        self._waits.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while self._in_flight:
                    self._idle.clear()
                    await self._idle.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and log a line of it."""
        if scope["type"] != "http":
            await self._lifespan(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        started_at, status = clock(), 0

        async def watched_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app_for(scope)(scope, receive, watched_send)
        except ClientDisconnect:
            # In the middle of the body.
            pass
        finally:
            if logger.isEnabledFor(logging.INFO):
                milliseconds = (clock() - started_at) * 1000
                # A status of 0: the client had gone.
                logger.info("%s: %d in %.1f ms", self._shown(scope), status, milliseconds)

    def _app_for(self, scope: Scope) -> ASGIApp:
        """Return what answers a request."""
        path, headers = scope["path"], Headers(scope=scope)
        refused = head_refusal(scope) or origin_refusal(headers, self._options)
        if refused is None and path == MCP_PATH:
            # Not of the pages: a probe knows this server by its address alone.
            refused = host_refusal(headers, self._options)
        if refused is not None:
            return refused
        if path == MCP_PATH:
            return self._with_cors if "origin" in headers else self._on_mcp
        if path in self._pages:
            is_read = scope["method"] in {"GET", "HEAD"}
            return self._pages[path]() if is_read else _method_refusal("GET, HEAD")
        return self._elsewhere

    async def _on_mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        checked = self._check_head(scope)
        # Before the app counts the request, because a drain need not wait for what has not arrived.
        body = checked if isinstance(checked, Response) else await read_body(scope, receive)
        if self._draining and not isinstance(body, Response):
            body = _stopping()
        if isinstance(body, Response):
            await body(scope, receive, send)
            return
        scope[_CALLER] = checked
        self._in_flight += 1
        try:
            await self._mcp(scope, body, send)
        finally:
            self._in_flight -= 1
            self._idle.set()

    def _check_head(self, scope: Scope) -> Caller | Response:
        """Return who sent a request, or the response to one that is refused by its head."""
        if scope["method"] != "POST":
            # Nothing is ever sent that was not asked for, so there is no stream to open by a GET.
            return _method_refusal("POST")
        if self._draining:
            return _stopping()
        caller = caller_of(Headers(scope=scope), self._settings, self._options)
        return caller if isinstance(caller, Response) else media_refusal(scope) or caller

    def _shown(self, scope: Scope) -> str:
        """Return a request as the log shows it, with the method of MCP and the tool, if known."""
        is_known = scope["path"] == MCP_PATH or scope["path"] in self._pages
        headers = Headers(scope=scope)
        words = [scope["method"].lower(), headers.get("mcp-method"), headers.get("mcp-name")]
        shown = [word for word in words if word in _SHOWN or (word and self._has_tool(word))]
        return " ".join([scope["path"] if is_known else "(elsewhere)", *shown])

    def _has_tool(self, name: str) -> bool:
        return self._schema_of is not None and self._schema_of(name) is not None

    def _ready(self) -> Response:
        if self._draining:
            return PlainTextResponse("stopping\n", 503)
        return PlainTextResponse("ready\n")


def _alive() -> Response:
    return PlainTextResponse("alive\n")


def _method_refusal(allowed: str) -> Response:
    methods = allowed.replace(", ", " or ")
    return refusal(405, f"The method must be {methods}.", {"allow": allowed})


def _stopping() -> Response:
    return refusal(
        503,
        "This server is being stopped. Try again.",
        {"retry-after": "1", "connection": "close"},
    )
