"""What several test files share: example bodies, stand-ins for the API, and one way to call."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from mcp import Client
from mcp_types import CallToolResult, TextContent

from hailuo_tasks_mcp.api.client import ApiClient, open_client
from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.services import HAILUO, MINIMAX
from hailuo_tasks_mcp.cli.startup import Startup
from hailuo_tasks_mcp.errors import HailuoTasksError
from hailuo_tasks_mcp.messages import error_text
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.settings import Settings

EXAMPLES = Path(__file__).parent / "examples"
TOKEN = "planted-token-0123456789"
DOCUMENTED_ID = "58cc618b-9639-4ee7-add2-d2fcf260d9a3"
TIMED_ID = "09d4a93e-d5c8-4778-bdf2-711773d71c59"
# 32 seconds after the timed example was created.
NOW = 1736863661.511 + 32

URL = "https://cdn.test/a.mp4"

# Bounds a hang; starting Python with the SDK takes about a second.
TIMEOUT_SECONDS = 20

Json = dict[str, Any]
ScriptedResponse = httpx.Response | Exception


def example(name: str) -> Any:
    """Return an example body of the API's contract."""
    return json.loads((EXAMPLES / f"{name}.json").read_text())


def task_ids(count: int) -> list[str]:
    return [f"task-{number}" for number in range(count)]


def succeeded(task_id: str) -> Json:
    """Return the documented record under another id."""
    record: Json = example("retrieve")
    record["id"] = record["response"]["task_id"] = task_id
    return record


def record(**fields: Any) -> dict[str, Any]:
    return {"id": "t", "created_at": 1736863661.511, **fields}


def ended(**response: Any) -> dict[str, Any]:
    return record(started_at=1736863662, finished_at=1736863730, response=response)


def video(state: str | None = "succeeded", url: str | None = URL) -> dict[str, Any]:
    return {"id": "v", "state": state, "video_url": url}


class ScriptedApi(httpx.AsyncBaseTransport):
    """Returns the next of the given responses for each request, the last one for ever."""

    def __init__(self, *responses: ScriptedResponse) -> None:
        self.responses = list(responses)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(response, Exception):
            raise response
        # A response can be read once.
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=httpx.ByteStream(response.content),
        )

    @property
    def payloads(self) -> list[Json]:
        return [json.loads(request.content) for request in self.requests]


class PagingApi(httpx.AsyncBaseTransport):
    """Knows some tasks and returns batches in pages, newest (last known) first."""

    def __init__(
        self,
        known: Sequence[str],
        *,
        page_size: int,
        obeys_limit: bool = False,
        counts_all: bool = False,
    ) -> None:
        self.known = list(known)
        self.page_size = page_size
        self.obeys_limit = obeys_limit
        self.counts_all = counts_all
        self.payloads: list[Json] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        payload = json.loads(request.content)
        self.payloads.append(payload)
        if payload["action"] == "retrieve":
            known = payload["id"] in self.known
            return httpx.Response(200, json=succeeded(payload["id"]) if known else {})
        wanted = set(payload["ids"])
        found = [succeeded(task_id) for task_id in reversed(self.known) if task_id in wanted]
        page = found[: payload["limit"] if self.obeys_limit else self.page_size]
        count = len(found) if self.counts_all else len(page)
        return httpx.Response(200, json={"items": page, "count": count})

    @property
    def asked(self) -> list[list[str]]:
        """The ids of each request."""
        return [payload.get("ids") or [payload["id"]] for payload in self.payloads]


def clock() -> float:
    """Return the event loop's time, which begins at 0 where it is simulated."""
    return asyncio.get_running_loop().time()


def settings(**changes: Any) -> Settings:
    return Settings(**({"api_token": TOKEN, "api_base_url": "https://api.test"} | changes))


def startup(transport: httpx.AsyncBaseTransport | None = None, **changes: Any) -> Startup:
    """Return what a command starts with, with a transport in place of the network."""
    return Startup(settings(**changes), transport, Redactor(TOKEN))


async def call(
    tool: str,
    arguments: Json,
    transport: httpx.AsyncBaseTransport,
    *,
    now: Callable[[], float] = lambda: NOW,
    **changes: Any,
) -> CallToolResult:
    """Call a tool of a new server in memory, as a host would."""
    server = create_server(settings(**changes), transport=HailuoAlone(transport), now=now)
    async with Client(server) as client:
        return await client.call_tool(tool, arguments)


def text_of(result: CallToolResult) -> str:
    """Return the one text block of a result."""
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def data_of(result: CallToolResult) -> Json:
    """Return the answer of a successful call; assert that its two forms agree."""
    assert not result.is_error, text_of(result)
    assert json.loads(text_of(result)) == result.structured_content
    data: Json = result.structured_content
    return data


def error_of(result: CallToolResult) -> str:
    """Return the text of a call that failed, which has nothing else."""
    assert result.is_error
    assert result.structured_content is None
    return text_of(result)


ConnectionHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(
    on_connection: ConnectionHandler, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Handle the connections on a loopback port, byte by byte; yield its address.

    A connection is closed when its handler returns, or when the other side has gone.
    """

    handlers: set[asyncio.Task[Any] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await on_connection(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server, asyncio.timeout(TIMEOUT_SECONDS):
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*filter(None, handlers))


def tls_context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    """Return what a server needs to show a certificate of an authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return the next HTTP request of a connection, its body included."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


def http_response(body: Any) -> bytes:
    """Return an HTTP response with a JSON body."""
    content = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)


@asynccontextmanager
async def listening(
    response: bytes, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Send every connection on a loopback port one response; yield the address and the requests."""
    received: list[bytes] = []

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (
            MINIMAX.path.encode() in (request := await read_request(reader)).partition(b"\r\n")[0]
        ):
            # It knows no task, so that Hailuo is asked too, over the same connection.
            writer.write(http_response({"task": None}))
            await writer.drain()
        received.append(request)
        writer.write(response)
        await writer.drain()

    async with raw_server(on_connection, tls) as address:
        yield address, received


class HailuoAlone(httpx.AsyncBaseTransport):
    """Passes on the requests to Hailuo; MiniMax H3 knows no task."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(MINIMAX.path):
            several = "ids" in json.loads(request.content)
            body = {"items": [], "total": 0} if several else {"task": None}
            return httpx.Response(200, json=body)
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def look_up_one(client: ApiClient, task_id: str, **options: Any) -> TaskRecord | None:
    """Return the record that Hailuo has of a task."""
    return (await client.look_up_at(HAILUO, [task_id], **options)).records.get(task_id)


async def retrieve(transport: httpx.AsyncBaseTransport, task_id: str = "t") -> TaskRecord | None:
    async with open_client(settings(), transport=transport) as client:
        return await look_up_one(client, task_id)


def model_text(error: HailuoTasksError) -> str:
    """Return the text of an error as a model reads it."""
    return error_text(error.failure, "model")


@contextmanager
def raises(
    kind: type[HailuoTasksError], match: str
) -> Iterator[pytest.ExceptionInfo[HailuoTasksError]]:
    """Expect an error whose text for a model matches."""
    with pytest.raises(kind) as caught:
        yield caught
    assert re.search(match, model_text(caught.value))


async def retrieve_error(*responses: httpx.Response | Exception) -> HailuoTasksError:
    with pytest.raises(HailuoTasksError) as caught:
        await retrieve(ScriptedApi(*responses))
    return caught.value
