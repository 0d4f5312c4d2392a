"""Drives an MCP server over HTTP in memory: an `HttpApp`, with its lifespan, and requests to it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from hailuo_tasks_mcp.observer import Observer
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.tasks.waits import Waits
from hailuo_tasks_mcp.transports.streamable_http.app import HttpApp, caller_of_request
from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions
from helpers import NOW, Json, clock, settings
from stdio_process import CLIENT, MODERN_VERSION, envelope

OLD_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
VERSIONS = (*OLD_VERSIONS, MODERN_VERSION)
CALLER_TOKEN = "callers-own-token-4711"
URL = "http://127.0.0.1:8788"
ACCEPT = "application/json, text/event-stream"


@asynccontextmanager
async def running_app(
    api: httpx.AsyncBaseTransport,
    options: HttpOptions | None = None,
    waits: Waits | None = None,
    *,
    pages: Any = None,
    observer: Observer | None = None,
    **changes: Any,
) -> AsyncIterator[HttpApp]:
    """Run the app of a server whose look-ups go to `api`."""
    options, waits = options or HttpOptions(), waits or Waits()
    shared = options.shared_token
    server = create_server(
        settings(**changes),
        transport=api,
        caller_of=caller_of_request,
        reader="remote_shared" if shared else "remote",
        waits=waits,
        observer=observer,
        now=lambda: NOW + clock(),
    )
    app = HttpApp(server, settings(**changes), options, waits=waits, pages=pages)
    async with lifespan(app):
        yield app


@asynccontextmanager
async def lifespan(app: HttpApp) -> AsyncIterator[None]:
    """Start an app, and end it, as an ASGI server does."""
    to_app: asyncio.Queue[Json] = asyncio.Queue()
    from_app: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, to_app.get, from_app.put))
    for event in ("startup", "shutdown"):
        to_app.put_nowait({"type": f"lifespan.{event}"})
        assert (await from_app.get())["type"] == f"lifespan.{event}.complete"
        if event == "startup":
            yield
    await task


def headers_of(version: str, method: str = "", name: str = "") -> dict[str, str]:
    """Return the headers of a caller with a token of their own."""
    headers = {
        "authorization": f"Bearer {CALLER_TOKEN}",
        "accept": ACCEPT,
        "content-type": "application/json",
        "mcp-protocol-version": version,
    }
    if version == MODERN_VERSION:
        headers |= {"mcp-method": method} | ({"mcp-name": name} if name else {})
    return headers


def request_of(version: str, method: str, **params: Any) -> tuple[Json, dict[str, str]]:
    """Return a request of MCP as a revision wants it: its body, and its headers."""
    if version == MODERN_VERSION:
        params = envelope(**params)
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    name = params.get("name") or params.get("uri") or params.get("taskId") or ""
    return body, headers_of(version, method, name)


def call_of(version: str, task_id: str, wait_seconds: int = 0) -> tuple[Json, dict[str, str]]:
    arguments = {"task_id": task_id, "wait_seconds": wait_seconds}
    return request_of(version, "tools/call", name="retrieve_task", arguments=arguments)


def initialize_of(version: str) -> tuple[Json, dict[str, str]]:
    given = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}
    body, headers = request_of(version, "initialize", **given)
    # Which revision it will be is not settled yet.
    del headers["mcp-protocol-version"]
    return body, headers


def client_of(app: HttpApp, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL, **options)


async def post(app: HttpApp, request: tuple[Json, Any], **headers: str) -> httpx.Response:
    """Send a request of MCP, with further headers or others."""
    body, own = request
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client_of(app) as client:
        return await client.post("/mcp", json=body, headers=own | changed)


def answer_of(response: httpx.Response) -> Json:
    """Return the message of JSON-RPC that answers a request, in an event stream or alone."""
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        data = [line for line in text.splitlines() if line.startswith("data: {")]
        text = data[-1].removeprefix("data: ")
    answer: Json = json.loads(text)
    assert answer["jsonrpc"] == "2.0"
    return answer


def result_of(response: httpx.Response) -> Json:
    assert response.status_code == 200, response.text
    result: Json = answer_of(response)["result"]
    return result


def error_message_of(response: httpx.Response) -> str:
    message: str = answer_of(response)["error"]["message"]
    return message
