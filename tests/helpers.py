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
from mcp import Client
from mcp_types import CallToolResult, TextContent

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.api.records import TaskRecord
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
PATIENCE_SECONDS = 20

Json = dict[str, Any]
Answer = httpx.Response | Exception


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
    """Answers each request with the next of the given answers, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        # A response can be read once.
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
        )

    @property
    def questions(self) -> list[Json]:
        return [json.loads(request.content) for request in self.requests]


class PagingApi(httpx.AsyncBaseTransport):
    """Knows some tasks and answers batches in pages, newest (last known) first."""

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
        self.questions: list[Json] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        question = json.loads(request.content)
        self.questions.append(question)
        wanted = set(question["ids"])
        found = [succeeded(task_id) for task_id in reversed(self.known) if task_id in wanted]
        page = found[: question["limit"] if self.obeys_limit else self.page_size]
        count = len(found) if self.counts_all else len(page)
        return httpx.Response(200, json={"items": page, "count": count})


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
    async with Client(create_server(settings(**changes), transport=transport, now=now)) as client:
        return await client.call_tool(tool, arguments)


def text_of(result: CallToolResult) -> str:
    """Return the one text block of a result."""
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def data_of(result: CallToolResult) -> Json:
    """Return the answer of a call that went well, having seen that both channels agree."""
    assert not result.is_error, text_of(result)
    assert json.loads(text_of(result)) == result.structured_content
    data: Json = result.structured_content
    return data


def error_of(result: CallToolResult) -> str:
    """Return the text of a call that failed, which has nothing else."""
    assert result.is_error
    assert result.structured_content is None
    return text_of(result)


Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(
    on_connection: Connection, tls: ssl.SSLContext | None = None
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
    async with server, asyncio.timeout(PATIENCE_SECONDS):
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*filter(None, handlers))


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return the next HTTP request of a connection, its body included."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


def http_answer(body: Any) -> bytes:
    """Return an HTTP answer with a JSON body."""
    content = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)


@asynccontextmanager
async def listening(
    answer: bytes, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answer every connection on a loopback port alike; yield its address and what was heard."""
    heard: list[bytes] = []

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await read_request(reader))
        writer.write(answer)
        await writer.drain()

    async with raw_server(on_connection, tls) as address:
        yield address, heard


async def retrieve(transport: httpx.AsyncBaseTransport, task_id: str = "t") -> TaskRecord | None:
    async with open_client(settings(), transport=transport) as client:
        return await client.retrieve(task_id)


def told(error: HailuoTasksError) -> str:
    """Return what a model reads of an error."""
    return error_text(error.failure, "model")


@contextmanager
def raises(
    kind: type[HailuoTasksError], match: str
) -> Iterator[pytest.ExceptionInfo[HailuoTasksError]]:
    """Expect an error of which a model reads words that match."""
    with pytest.raises(kind) as caught:
        yield caught
    assert re.search(match, told(caught.value))


async def failure_of(*answers: httpx.Response | Exception) -> HailuoTasksError:
    with pytest.raises(HailuoTasksError) as caught:
        await retrieve(ScriptedApi(*answers))
    return caught.value
