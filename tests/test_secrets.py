"""The token is nowhere but in the header that carries it, whatever is received."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from mcp import Client

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.errors import HailuoTasksError
from hailuo_tasks_mcp.server import create_server
from helpers import (
    TOKEN,
    HailuoAlone,
    ScriptedApi,
    ScriptedResponse,
    look_up_one,
    raw_server,
    read_request,
    settings,
    succeeded,
)
from stdio_process import INITIALIZED, initialize, message, server_process

HEADERS = {"retry-after": TOKEN, "content-type": f"text/{TOKEN}", "x-echo": TOKEN}


def echoing_record(task_id: str = "t") -> dict[str, Any]:
    """Return a record with the token wherever there is room for a text."""
    record = succeeded(task_id)
    record["trace_id"] = record["status"] = record["error"] = TOKEN
    record["request"] |= {"prompt": f"Bearer {TOKEN}", "model": TOKEN}
    url = f"https://cdn.test/a.mp4?token={TOKEN}"
    echo = {"model": TOKEN, "prompt": TOKEN, "video_url": url, "first_image_url": url}
    record["response"]["data"][0] |= echo
    return record


ERROR_BODY = {"error": {"code": TOKEN, "message": f"Bearer {TOKEN}"}, "trace_id": TOKEN}
ECHOES: list[ScriptedResponse] = [
    httpx.Response(200, json=echoing_record(), headers=HEADERS),
    httpx.Response(200, json={"items": [echoing_record(), TOKEN], "count": TOKEN}),
    httpx.Response(200, json={"id": "t", "response": {"success": False, **ERROR_BODY}}),
    httpx.Response(200, json={"id": TOKEN, "items": [{"id": TOKEN}]}),
    httpx.Response(200, json={TOKEN: TOKEN}),
    httpx.Response(200, json=TOKEN),
    httpx.Response(200, text=TOKEN, headers=HEADERS),
    httpx.Response(302, headers={"location": f"https://elsewhere.test/?token={TOKEN}"}),
    *(httpx.Response(status, json=ERROR_BODY, headers=HEADERS) for status in (400, 401, 403, 404)),
    *(httpx.Response(status, json=ERROR_BODY, headers=HEADERS) for status in (429, 500, 503)),
    httpx.Response(500, json={"error": TOKEN}),
    httpx.Response(502, text=f"<html>{TOKEN}"),
    httpx.ConnectError(f"cannot connect with {TOKEN}"),
    httpx.RemoteProtocolError(f"illegal header line: {TOKEN}"),
    httpx.ProxyError(TOKEN),
    httpx.DecodingError(TOKEN),
    KeyError(TOKEN),
]


@pytest.mark.parametrize("echo", ECHOES)
async def test_no_answer_and_no_progress_repeats_the_token(echo: ScriptedResponse) -> None:
    received: list[Any] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        received.append((progress, total, message))

    async with Client(
        create_server(settings(), transport=HailuoAlone(ScriptedApi(echo)))
    ) as client:
        for ids in ({"task_id": "t"}, {"task_ids": ["t", "u"]}):
            tool = "retrieve_task" if "task_id" in ids else "retrieve_tasks_batch"
            for wait_seconds in (0, 5):
                result = await client.call_tool(
                    tool, {**ids, "wait_seconds": wait_seconds}, progress_callback=on_progress
                )
                received.append(result.model_dump_json())

    assert len(received) >= 4
    assert TOKEN not in repr(received)


@pytest.mark.parametrize("echo", ECHOES[:-1])
async def test_no_error_and_no_repr_holds_the_token(echo: ScriptedResponse) -> None:
    async with open_client(settings(), transport=ScriptedApi(echo)) as client:
        try:
            received: object = await look_up_one(client, "t")
        except HailuoTasksError as error:
            received = error

        assert TOKEN not in repr(received) + str(received)
        assert TOKEN not in repr(client) + repr(settings())


ERROR = json.dumps(ERROR_BODY)
BODIES: list[Callable[[str], str]] = [
    lambda task_id: json.dumps(echoing_record(task_id)),
    *(lambda _, text=text: text for text in (ERROR, TOKEN, json.dumps(TOKEN), f"<html>{TOKEN}")),
]


def on_the_wire(status: int, body: Callable[[str], str], cut: int) -> Callable[[str], bytes]:
    """Return what makes a response for a task, with the token in every part of it."""

    def response(task_id: str) -> bytes:
        text = body(task_id)
        return (
            f"HTTP/1.1 {status} {TOKEN}\r\nX-Echo: {TOKEN}\r\nRetry-After: {TOKEN}\r\n"
            f"Set-Cookie: a={TOKEN}\r\nContent-Length: {len(text) + cut}\r\n\r\n{text}"
        ).encode()

    return response


RESPONSES: list[Callable[[str], bytes]] = [
    *(
        on_the_wire(status, body, cut)
        for status in (200, 302, 401, 429, 503)
        for body in BODIES
        for cut in (0, 9)
    ),
    lambda _: f"{TOKEN}\r\n".encode(),
    lambda _: f"HTTP/1.1 200 OK\r\n{TOKEN}\r\n\r\n".encode(),
]
# The server has no more requests in flight, and collects what is asked meanwhile.
CALLS_AT_ONCE = 4


@pytest.mark.real_time
async def test_the_log_never_holds_the_token_whatever_is_received() -> None:
    requests = 0

    async def on_connection(reader: Any, writer: Any) -> None:
        nonlocal requests
        response = RESPONSES[requests % len(RESPONSES)]
        requests += 1
        request = await read_request(reader)
        assert TOKEN.encode() in request
        payload = json.loads(request.partition(b"\r\n\r\n")[2])
        writer.write(response(payload.get("id") or payload["ids"][0]))
        await writer.drain()

    async def converse(address: str) -> tuple[bytes, str]:
        """Call a server until every response was received; return what it wrote."""
        environ: dict[str, Any] = {
            "ACEDATACLOUD_API_TOKEN": TOKEN,
            "ACEDATACLOUD_API_BASE_URL": f"http://{address}",
            "HAILUO_LOG_LEVEL": "DEBUG",
        }
        lines: list[bytes] = []
        async with server_process(**environ) as server:
            await server.request(initialize("2025-06-18"))
            server.stdin.write(INITIALIZED)
            sent = 0
            while requests <= 2 * len(RESPONSES) or sent < CALLS_AT_ONCE:
                if sent >= CALLS_AT_ONCE:
                    lines.append(await server.stdout.readline())
                # Of different tasks, because calls for one task share one request.
                tool, arguments = (
                    ("retrieve_task", {"task_id": f"t{sent}"}),
                    ("retrieve_tasks_batch", {"task_ids": [f"t{sent}", f"u{sent}"]}),
                    ("retrieve_task", {"task_id": TOKEN * 20}),
                )[sent % 3]
                call = {"name": tool, "arguments": arguments}
                server.stdin.write(message(sent, "tools/call", call))
                sent += 1
            lines += [await server.stdout.readline() for _ in range(CALLS_AT_ONCE)]
            rest, err = await server.finish()
        assert len(lines) == sent
        assert all(lines)
        assert rest == []
        return b"".join(lines), err

    async with raw_server(on_connection) as address:
        # Several, because the pauses between the attempts of one add up.
        conversations = await asyncio.gather(*(converse(address) for _ in range(3)))

    assert requests > 2 * len(RESPONSES)
    for out, err in conversations:
        assert "DEBUG" in err
        assert TOKEN not in err
        assert TOKEN.encode() not in out
