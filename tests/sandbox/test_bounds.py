"""The sandbox answers to its own names only, and bounds each request and what it keeps."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from hailuo_tasks_mcp import uvicorn_protocol
from hailuo_tasks_mcp.sandbox.app import create_sandbox
from hailuo_tasks_mcp.sandbox.hailuo import Hailuo
from hailuo_tasks_mcp.sandbox.server import bind_sandbox, sandbox_server
from hailuo_tasks_mcp.sandbox.tasks import MAX_MADE_TASKS, RUNNING_TASK_ID
from helpers import DOCUMENTED_ID, Json
from raw_http import exchange, running

LOOKUP = {"action": "retrieve", "id": DOCUMENTED_ID}
HEAD = (
    b"POST /hailuo/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sandbox\r\n"
    b"Content-Length: %d\r\n%b\r\n"
)


def request(extra: bytes = b"") -> bytes:
    body = json.dumps(LOOKUP).encode()
    return HEAD % (len(body), extra) + body


async def post(body: Json, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_sandbox())
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        headers = {"authorization": "Bearer sandbox", **headers}
        return await client.post("/hailuo/tasks", json=body, headers=headers)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8787", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8787"]
)
async def test_it_answers_to_its_own_names_whatever_the_port(host: str) -> None:
    response = await post(LOOKUP, host=host)

    assert response.json()["id"] == DOCUMENTED_ID


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:8787",
        "127.0.0.1.evil.test",
        "localhost.evil.test",
        "",
        "@",
    ],
)
async def test_a_request_for_another_name_is_told_nothing(host: str) -> None:
    response = await post(LOOKUP, host=host)

    assert (response.status_code, response.text) == (400, "Invalid host header")


@pytest.mark.parametrize("origin", ["https://evil.test", "http://localhost:3000", "null"])
async def test_a_web_page_is_told_nothing(origin: str) -> None:
    response = await post(LOOKUP, origin=origin)

    assert (response.status_code, response.text) == (403, "The sandbox answers no web pages.")
    assert not any(name.startswith("access-control") for name in response.headers)


def test_all_that_is_kept_of_large_requests_stays_below_20_mb() -> None:
    hailuo = Hailuo(lambda: 0.0, 0.0)
    large = {
        "action": "generate",
        "async": True,
        "junk": ["x"] * 9_000,
        "first_image_url": ["x"] * 9_000,
    }
    tracemalloc.start()
    try:
        for number in range(MAX_MADE_TASKS + 10):
            texts = {
                name: f"{number}{name}\N{CLAPPER BOARD}" + "\N{CLAPPER BOARD}" * 8_000
                for name in ("prompt", "model", "first_image_url")
            }
            hailuo.on_videos(large | texts)
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept_bytes < 20_000_000


@pytest.mark.parametrize("junk", [{"x": 1}, ["x"] * 4_000, 7, None])
async def test_of_a_request_only_the_texts_of_a_video_are_kept(junk: object) -> None:
    transport = httpx.ASGITransport(create_sandbox())
    headers = {"authorization": "Bearer sandbox"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", headers=headers
    ) as client:
        given = {"action": "generate", "prompt": "p" * 3_000, "async": True}
        more = {"model": "minimax-t2v", "first_image_url": junk, "junk": junk}
        made = (await client.post("/hailuo/videos", json=given | more)).json()
        lookup = {"action": "retrieve", "id": made["task_id"]}
        record = (await client.post("/hailuo/tasks", json=lookup)).json()

    kept = {"action": "generate", "prompt": "p" * 2_000, "model": "minimax-t2v"}
    assert record["request"] == kept


async def test_a_page_has_at_most_a_hundred_records() -> None:
    hailuo = Hailuo(lambda: 0.0, 0.0)
    wanted = {"action": "generate", "prompt": "p", "async": True}
    made = [json.loads(bytes(hailuo.on_videos(dict(wanted)).body))["task_id"] for _ in range(150)]

    body = {"action": "retrieve_batch", "ids": [*made, RUNNING_TASK_ID], "limit": 10**9}
    page = json.loads(bytes(hailuo.on_tasks(body).body))

    assert (len(page["items"]), page["count"]) == (100, 151)


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """Serve a sandbox; yield its port."""
    with bind_sandbox(0) as listener:
        async with running(sandbox_server(create_sandbox()), listener) as port:
            yield port


@pytest.mark.real_time
@pytest.mark.parametrize(
    "begun",
    [b"", b"POST /hailuo/tasks HTTP/1.1\r\nHost:", HEAD % (9, b""), b"POST / HTTP/1.1\r\n" * 9],
    ids=["nothing", "half a head", "no body", "no headers"],
)
async def test_a_request_that_does_not_come_to_its_end_is_cut_off(
    begun: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(uvicorn_protocol, "REQUEST_SECONDS", 0.1)

    async with served() as port:
        await asyncio.gather(*(exchange(port, begun) for _ in range(8)))
        # None of them holds a place in flight any more.
        answer = await exchange(port, request(b"Connection: close\r\n"))

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert caplog.text == ""


@pytest.mark.real_time
async def test_an_endless_body_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_protocol, "REQUEST_SECONDS", 0.1)

    async with served() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)

        async def send_endlessly() -> None:
            writer.write(HEAD % (10**12, b""))
            while True:
                writer.write(b" " * 60_000)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await send_endlessly()
        writer.close()


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (b"GET /hailuo/tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", [404]),
        (b"POST / HTTP/1.0\r\n\r\n", [400]),
        (b"\x16\x03\x01\r\n\r\n", [400]),
        (b"POST / HTTP/1.1\r\nX: " + b"x" * 20_000, [400]),
        (request(b"Expect: 100-continue\r\nConnection: close\r\n"), [100, 200]),
        (request() + request() + request(b"Connection: close\r\n"), [200, 200, 200]),
    ],
    ids=["GET", "no host", "TLS", "large head", "Expect", "pipelined"],
)
async def test_whatever_is_sent_is_answered_and_logs_nothing(
    sent: bytes, statuses: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as port:
        answer = await exchange(port, sent)

    lines = [line for line in answer.split(b"\r\n") if b"HTTP/1.1 " in line]
    assert [int(line.rpartition(b"HTTP/1.1 ")[2].split()[0]) for line in lines] == statuses
    assert caplog.text == ""
