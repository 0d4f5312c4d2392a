"""The token is nowhere but in the header that carries it, whatever is received."""

import asyncio
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.cli.check import run_check
from hailuo_tasks_mcp.cli.retrieve import run_retrieve
from hailuo_tasks_mcp.errors import HailuoTasksError
from hailuo_tasks_mcp.hidden_characters import without_hidden
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.server import create_server
from helpers import (
    TOKEN,
    HailuoAlone,
    ScriptedApi,
    ScriptedResponse,
    call,
    listening,
    look_up_one,
    raw_server,
    read_request,
    settings,
    startup,
    succeeded,
    text_of,
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


def base64_of(text: str) -> str:
    return b64encode(text.encode()).decode()


# How the platform, or what stands before it, may repeat what it received.
DISGUISES: list[Callable[[str], str]] = [
    str.upper,
    "\u200b".join,
    "\ufe0f".join,
    lambda token: "".join(f"%{ord(char):02X}" for char in token),
    lambda token: f"%{token}",
    lambda token: base64_of(f"Bearer {token}"),
    lambda token: base64_of(f"user:{token}\n"),
    lambda token: token.encode().hex(),
]


def undisguised(text: str) -> str:
    """Return all that can be read of a text without effort."""
    shown = unquote(without_hidden(text)).replace("\ufe0f", "").lower()
    for code in re.findall(r"[A-Za-z0-9+/]{8,}", text.translate({ord("-"): "+", ord("_"): "/"})):
        for start in range(4):
            shown += b64decode(code[start:] + "A" * (-len(code[start:]) % 4)).decode("latin-1")
    return shown + "".join(
        bytes.fromhex(digits).decode("latin-1")
        for digits in re.findall("(?:[0-9a-f]{2}){8,}", text)
    )


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

        received.append((await client.call_tool("list_recent_tasks", {})).model_dump_json())

    assert len(received) >= 5
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


def replaced(value: Any, token: str) -> Any:
    """Return JSON with something in place of the token."""
    return json.loads(json.dumps(value).replace(TOKEN, json.dumps(token)[1:-1]))


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("status", [200, 401, 500])
async def test_no_answer_repeats_the_token_in_disguise(
    status: int, disguise: Callable[[str], str]
) -> None:
    body = replaced(echoing_record() if status == httpx.codes.OK else ERROR_BODY, disguise(TOKEN))
    api = ScriptedApi(httpx.Response(status, json=body))

    result = await call("retrieve_task", {"task_id": "t"}, api)

    told = text_of(result)
    assert "[token]" in told
    assert TOKEN not in undisguised(told)
    assert TOKEN not in undisguised(repr(result.structured_content))


@pytest.mark.parametrize("token", [TOKEN, TOKEN * 20, f"{'x' * 60}{TOKEN}", f"{'+' * 120}{TOKEN}"])
async def test_no_answer_repeats_a_token_that_was_given_as_an_argument(token: str) -> None:
    secret = token if token.startswith("+") else TOKEN
    api = HailuoAlone(ScriptedApi(httpx.Response(200, json={})))
    async with Client(create_server(settings(api_token=secret), transport=api)) as client:
        told = [
            repr(await client.call_tool(tool, arguments))
            for tool, arguments in (
                ("retrieve_task", {"task_id": token}),
                ("retrieve_task", {"task_id": "t", token: 1}),
                ("list_recent_tasks", {"states": [token]}),
                ("list_recent_tasks", {"hours": token}),
                ("retrieve_tasks_batch", {"task_ids": [token, "t"]}),
                ("retrieve_tasks_batch", {"task_ids": [f"{token} !", f"no id: {token}", "t"]}),
            )
        ]
        with pytest.raises(MCPError) as caught:
            await client.call_tool(token, {})

    for text in [*told, str(caught.value)]:
        # A cut would leave its beginning.
        assert TOKEN[:12] not in text
        assert "++++" not in text


AT_TOKEN = [f"https://api.test/{TOKEN}", f"https://api.test/v1/{TOKEN.upper()}/x"]


@pytest.mark.parametrize("base_url", AT_TOKEN)
@pytest.mark.parametrize("echo", [httpx.Response(404), httpx.ConnectError(""), TimeoutError()])
async def test_a_token_in_the_base_url_is_shown_to_nobody(
    base_url: str, echo: ScriptedResponse, capsys: pytest.CaptureFixture[str]
) -> None:
    there: dict[str, Any] = {"api_base_url": base_url}
    for arguments in ({"task_id": "t"}, {"task_id": "t", "wait_seconds": 5}):
        result = await call("retrieve_task", arguments, ScriptedApi(echo), **there)
        assert TOKEN not in text_of(result).lower()

    for as_json in (True, False):
        given = startup(ScriptedApi(echo), **there)
        await run_retrieve(given, ["t"], wait_seconds=0, as_json=as_json)
        assert TOKEN not in repr(capsys.readouterr()).lower()


@pytest.mark.real_time
@pytest.mark.parametrize("as_json", [True, False])
async def test_check_shows_no_token_of_the_base_url(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as (address, _):
        given = startup(api_base_url=f"http://{address}/{TOKEN}")
        assert await run_check(given, as_json=as_json) == 1

    out = capsys.readouterr().out
    assert f"http://{address}/[token]" in out
    assert TOKEN not in out


async def test_retrieve_repeats_no_token_that_was_given_as_an_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = f"{'+' * 120}{TOKEN}"
    for ids in ([TOKEN], [TOKEN, f"no id: {TOKEN}"], [long, "t"], [long]):
        for as_json in (True, False):
            given = startup(HailuoAlone(ScriptedApi(httpx.Response(200, json={}))))
            given = given._replace(redactor=Redactor(TOKEN, long))
            await run_retrieve(given, ids, wait_seconds=0, as_json=as_json)
            shown = repr(capsys.readouterr())
            assert TOKEN[:12] not in shown
            assert "++++" not in shown


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
