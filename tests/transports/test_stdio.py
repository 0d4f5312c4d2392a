"""The process boundary: every protocol revision, and a clean end, over real pipes."""

import asyncio
import codecs
import json
import os
import signal
import socket
import struct
import sys
import threading
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.client.stdio import PROCESS_TERMINATION_TIMEOUT

from hailuo_tasks_mcp.sandbox.tasks import RUNNING_TASK_ID
from hailuo_tasks_mcp.tasks_extension import TASKS_EXTENSION
from hailuo_tasks_mcp.transports.stdio import (
    FLUSH_SECONDS,
    GRACE_SECONDS,
    MAX_IN_FLIGHT,
    MAX_LINE_BYTES,
)
from helpers import (
    DOCUMENTED_ID,
    TIMEOUT_SECONDS,
    TOKEN,
    example,
    http_response,
    listening,
)
from stdio_process import (
    CLIENT,
    INITIALIZED,
    MODERN_VERSION,
    ServerProcess,
    declaring,
    envelope,
    initialize,
    measured_command,
    message,
    server_process,
)
from two_services import running

pytestmark = pytest.mark.real_time

HANDSHAKE_VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
WITH_STRUCTURED_CONTENT = {"2025-06-18", "2025-11-25"}
TOO_MUCH = b"x" * (2 * MAX_LINE_BYTES)
LOOK_UP: dict[str, Any] = {"name": "retrieve_task", "arguments": {"task_id": DOCUMENTED_ID}}


async def handshake(server: ServerProcess, version: str = "2025-06-18") -> dict[str, Any]:
    response = await server.request(initialize(version))
    server.stdin.write(INITIALIZED)
    result: dict[str, Any] = response["result"]
    return result


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_a_host_of_any_handshake_revision_is_served(version: str) -> None:
    async with server_process("--sandbox") as server:
        hello = await handshake(server, version)
        tools = await server.request(message(1, "tools/list"))
        look_up = await server.request(message(2, "tools/call", LOOK_UP))
        unknown = await server.request(message(3, "tools/call", {"name": "nope", "arguments": {}}))
        rest, err = await server.finish()

    assert hello["protocolVersion"] == version
    assert hello["capabilities"] == {
        "tools": {"listChanged": False},
        "resources": {"listChanged": False, "subscribe": False},
        "extensions": {"io.modelcontextprotocol/ui": {}},
    }
    assert hello["serverInfo"]["name"] == "hailuo-tasks-mcp"
    names = [tool["name"] for tool in tools["result"]["tools"]]
    assert names == ["retrieve_task", "retrieve_tasks_batch", "list_recent_tasks"]
    block, sandbox = look_up["result"]["content"]
    assert sandbox["text"].startswith("SANDBOX: ")
    assert json.loads(block["text"])["state"] == "succeeded"
    if version in WITH_STRUCTURED_CONTENT:
        assert look_up["result"]["structuredContent"] == json.loads(block["text"])
    assert unknown["error"]["code"] == -32602
    assert (rest, err, server.process.returncode) == ([], "", 0)


async def test_a_host_of_the_revision_without_a_handshake_is_served() -> None:
    async with server_process("--sandbox", measured=True) as server:
        hello = await server.request(message(1, "server/discover", envelope()))
        tools = await server.request(message(2, "tools/list", envelope()))
        look_up = await server.request(message(3, "tools/call", envelope(**LOOK_UP)))
        unknown = await server.request(
            message(4, "tools/call", envelope(name="nope", arguments={}))
        )
        rest, err = await server.finish()

    assert MODERN_VERSION in hello["result"]["supportedVersions"]
    assert hello["result"]["capabilities"] == {
        "tools": {"listChanged": False},
        "resources": {"listChanged": False, "subscribe": False},
        "extensions": {"io.modelcontextprotocol/ui": {}, TASKS_EXTENSION: {}},
    }
    assert len(tools["result"]["tools"]) == 3
    block, sandbox = look_up["result"]["content"]
    assert sandbox["text"].startswith("SANDBOX: ")
    assert look_up["result"]["structuredContent"] == json.loads(block["text"])
    assert look_up["result"]["structuredContent"]["state"] == "succeeded"
    assert unknown["error"]["code"] == -32602
    assert (rest, err, server.process.returncode) == ([], "", 0)


async def test_an_older_revision_whose_client_declares_mcp_tasks_is_given_none() -> None:
    params = {"protocolVersion": "2025-11-25", "clientInfo": CLIENT}
    capabilities: dict[str, Any] = {"extensions": {TASKS_EXTENSION: {}}}
    arguments = {"task_id": RUNNING_TASK_ID, "wait_seconds": 1}
    async with server_process("--sandbox") as server:
        await server.request(message(0, "initialize", {**params, "capabilities": capabilities}))
        server.stdin.write(INITIALIZED)
        call = {"name": "retrieve_task", "arguments": arguments}
        response = await server.request(message(1, "tools/call", call))
        await server.finish()

    assert response["result"]["structuredContent"]["state"] == "processing"


async def test_the_video_of_a_wait_is_brought_by_another_process_once_the_first_was_killed() -> (
    None
):
    environ: Any = {"ACEDATACLOUD_API_TOKEN": TOKEN}
    arguments = {"task_id": DOCUMENTED_ID, "wait_seconds": 50}
    call = {"name": "retrieve_task", "arguments": arguments}

    def request(number: int, method: str, **params: Any) -> bytes:
        return message(number, method, declaring(envelope(**params), TASKS_EXTENSION))

    async def started(server: ServerProcess) -> Any:
        return (await server.request(request(1, "tools/call", **call)))["result"]

    async def polled(server: ServerProcess, task: Any) -> Any:
        return (await server.request(request(2, "tasks/get", taskId=task["taskId"])))["result"]

    async with listening(http_response(running(DOCUMENTED_ID))) as (api, _):
        environ["ACEDATACLOUD_API_BASE_URL"] = f"http://{api}"
        async with server_process(**environ) as server:
            task = await started(server)
            during = await polled(server, task)
            err = await server.end(signal.SIGKILL)
    async with listening(http_response(example("retrieve"))) as (api, _):
        environ["ACEDATACLOUD_API_BASE_URL"] = f"http://{api}"
        async with server_process(**environ) as server:
            ended = await polled(server, task)
            await server.finish()

    assert (task["status"], during["status"], err) == ("working", "working", "")
    assert ended["status"] == "completed"
    answer = ended["result"]["structuredContent"]
    assert answer["video_urls"] == [example("retrieve")["response"]["data"][0]["video_url"]]


async def test_requests_sent_before_stdin_closes_are_answered() -> None:
    lines = [message(number, "tools/call", envelope(**LOOK_UP)) for number in range(1, 21)]

    async with server_process("--sandbox") as server:
        responses, err = await server.finish(b"".join(lines))

    assert sorted(response["id"] for response in responses) == list(range(1, 21))
    assert all(response["result"]["structuredContent"]["final"] for response in responses)
    assert (err, server.process.returncode) == ("", 0)


async def test_a_server_without_requests_ends_when_stdin_closes() -> None:
    async with server_process("--sandbox") as server:
        assert await server.finish() == ([], "")

    assert server.process.returncode == 0


async def test_a_call_that_never_ends_does_not_keep_the_server_alive() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unresponsive:
        url = f"http://127.0.0.1:{unresponsive.getsockname()[1]}"
        async with server_process(
            measured=True, ACEDATACLOUD_API_TOKEN=TOKEN, ACEDATACLOUD_API_BASE_URL=url
        ) as server:
            await handshake(server)
            responses, err = await server.finish(message(1, "tools/call", LOOK_UP))

    assert [response["id"] for response in responses] == [1]
    assert "Connection closed" in responses[0]["error"]["message"]
    assert (err, server.process.returncode) == ("", 0)


async def test_more_calls_than_are_held_are_read_when_others_are_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unresponsive:
        url = f"http://127.0.0.1:{unresponsive.getsockname()[1]}"
        async with server_process(
            measured=True, ACEDATACLOUD_API_TOKEN=TOKEN, ACEDATACLOUD_API_BASE_URL=url
        ) as server:
            await handshake(server)
            calls = [message(number, "tools/call", LOOK_UP) for number in range(MAX_IN_FLIGHT + 50)]
            server.stdin.write(b"".join(calls[: MAX_IN_FLIGHT - 1]))
            await server.request(message("first", "tools/list"))
            # The next call is the last that is held, so what follows waits until they are given up.
            responses, err = await server.finish(
                b"".join(calls[MAX_IN_FLIGHT - 1 :]) + message("last", "tools/list")
            )

    told = Counter("error" if "error" in response else response["id"] for response in responses)
    assert told == {"error": MAX_IN_FLIGHT + 50, "last": 1}
    assert (err, server.process.returncode) == ("", 0)


async def test_a_cancelled_call_is_not_waited_for_when_stdin_closes(tmp_path: Path) -> None:
    # With a grace period beyond the test's timeout, the server ends only if it does not wait.
    patient = tmp_path / "patient.py"
    patient.write_text(
        "import sys; from hailuo_tasks_mcp.cli import main; "
        "from hailuo_tasks_mcp.transports import stdio; "
        "stdio.GRACE_SECONDS = 3600; sys.exit(main.main())"
    )
    cancelled = message(None, "notifications/cancelled", {"requestId": 1})
    junk = message(None, "notifications/cancelled", {"requestId": [1]})
    with socket.create_server(("127.0.0.1", 0)) as unresponsive:
        url = f"http://127.0.0.1:{unresponsive.getsockname()[1]}"
        async with server_process(
            command=(str(patient),),
            measured=True,
            ACEDATACLOUD_API_TOKEN=TOKEN,
            ACEDATACLOUD_API_BASE_URL=url,
        ) as server:
            await handshake(server)
            responses, err = await server.finish(
                message(1, "tools/call", LOOK_UP) + junk + cancelled
            )

    assert (responses, server.process.returncode) == ([], 0)
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server_at_once_without_a_traceback(number: signal.Signals) -> None:
    async with server_process("--sandbox") as server:
        await handshake(server)
        err = await server.end(number)

    assert (err, server.process.returncode) == ("", -number)


async def test_ctrl_c_during_the_start_leaves_no_traceback(tmp_path: Path) -> None:
    # In place of the SDK, the start finds a module that prints a line and never ends its import.
    (tmp_path / "mcp.py").write_text("import sys; print('{}', flush=True); sys.stdin.read()")

    async with server_process("--sandbox", PYTHONPATH=str(tmp_path)) as server:
        assert await server.stdout.readline() == b"{}\n"
        assert await server.end(signal.SIGINT) == ""

    assert server.process.returncode == -signal.SIGINT


async def test_a_host_that_is_gone_leaves_no_traceback() -> None:
    async with server_process("--sandbox", measured=True) as server:
        await handshake(server)
        server.stop_reading()
        calls = [message(number, "tools/call", LOOK_UP) for number in range(1, 50)]
        _, err = await server.finish(b"".join(calls))

    assert (err, server.process.returncode) == ("", 0)


async def test_a_server_ends_when_its_host_is_gone_although_stdin_stays_open() -> None:
    async with server_process("--sandbox", measured=True) as server:
        await handshake(server)
        server.stop_reading()
        await server.process.wait()

        assert (await server.stderr, server.process.returncode) == (b"", 0)


ANSWERS_THAT_FILL_A_PIPE = {
    "calls": [message(number, "tools/call", LOOK_UP) for number in range(1, 200)],
    # While the answers to these wait for stdout, the rest of stdin is not read, nor its end: these
    # are more than the server reads ahead, and less than that and a pipe.
    "bad-lines": [b"x\n" * (MAX_LINE_BYTES + 20_000)],
}


def pipe() -> tuple[int, int]:
    """Return descriptors to read from and to write to."""
    return os.pipe()


def socket_pair() -> tuple[int, int]:
    """Return the same, with sockets as Node.js uses them: one end says that it sends no more."""
    reading, writing = socket.socketpair()
    return reading.detach(), writing.detach()


@pytest.mark.parametrize("make", [pipe, socket_pair])
@pytest.mark.parametrize("lines", ANSWERS_THAT_FILL_A_PIPE.values(), ids=ANSWERS_THAT_FILL_A_PIPE)
async def test_a_server_ends_when_stdin_closes_although_nobody_reads_stdout(
    lines: list[bytes], make: Callable[[], tuple[int, int]]
) -> None:
    # Of our own: one that is not read, and one that takes all that has room.
    (unread, stdout), (stdin, writing) = make(), make()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *measured_command("-m", "hailuo_tasks_mcp"), "--sandbox"),
        stdin=stdin,
        stdout=stdout,
        stderr=PIPE,
    )
    os.close(stdin)
    os.close(stdout)

    def write() -> None:
        with os.fdopen(os.dup(writing), "wb") as host:
            host.write(initialize("2025-06-18") + INITIALIZED + b"".join(lines))
        if make is pipe:
            os.close(writing)
        else:
            with socket.socket(fileno=writing) as half_closed:
                half_closed.shutdown(socket.SHUT_WR)
                gone.wait(TIMEOUT_SECONDS)

    gone = threading.Event()
    writer = asyncio.create_task(asyncio.to_thread(write))
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            _, err = await process.communicate()
    finally:
        gone.set()
        await writer
        os.close(unread)

    assert (err, process.returncode) == (b"", 0)


async def test_answers_to_a_full_disk_end_the_server_with_the_reason() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *measured_command("-m", "hailuo_tasks_mcp"), "--sandbox"),
        stdin=PIPE,
        stdout=os.open("/dev/full", os.O_WRONLY),
        stderr=PIPE,
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        _, err = await process.communicate(initialize("2025-06-18"))

    assert err == b"hailuo-tasks-mcp: [Errno 28] No space left on device\n"
    assert process.returncode == 1


async def test_a_connection_that_is_reset_ends_the_server_as_the_end_of_stdin_does() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        connection, _ = listener.accept()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *measured_command("-m", "hailuo_tasks_mcp"), "--sandbox"),
        stdin=connection.fileno(),
        stdout=PIPE,
        stderr=PIPE,
    )
    connection.close()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()

    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert await process.communicate() == (b"", b"")
    assert process.returncode == 0


async def test_a_log_that_nobody_reads_does_not_stop_the_server() -> None:
    # More of it than a pipe and the queue hold.
    lines = [message(number, "tools/call", envelope(**LOOK_UP)) for number in range(2500)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hailuo_tasks_mcp", "--sandbox"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "HAILUO_LOG_LEVEL": "DEBUG"},
        # Of which the stream reads twice as much: no answer is longer.
        limit=4096,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdin.write(b"".join(lines))

    async with asyncio.timeout(TIMEOUT_SECONDS):
        answers = [json.loads(await process.stdout.readline()) for _ in lines]
        process.stdin.close()
        # It ends when the process does.
        rest = await process.stdout.read()
        logged = await process.stderr.read()
        await process.wait()

    assert all(answer["result"]["structuredContent"]["final"] for answer in answers)
    assert (rest, process.returncode) == (b"", 0)
    # Read by the stream, by the pipe, and not all of it.
    assert 10 < len(logged.splitlines()) < len(lines)


async def test_without_a_token_the_server_starts_and_a_call_says_what_to_set() -> None:
    async with server_process(ACEDATACLOUD_API_TOKEN="${TOKEN}") as server:
        await handshake(server)
        response = await server.request(message(1, "tools/call", LOOK_UP))
        _, err = await server.finish()

    assert response["result"]["isError"] is True
    assert "ACEDATACLOUD_API_TOKEN" in response["result"]["content"][0]["text"]
    assert err == ""


@pytest.mark.parametrize(
    "url", ["http://api.acedata.cloud", "https://127.0.0.1:99999", "https://api.test/\udcff"]
)
async def test_a_setting_that_cannot_be_used_is_reported_in_the_log_and_at_each_call(
    url: str,
) -> None:
    async with server_process(
        measured=True, ACEDATACLOUD_API_TOKEN=TOKEN, ACEDATACLOUD_API_BASE_URL=url
    ) as server:
        await handshake(server)
        response = await server.request(message(1, "tools/call", LOOK_UP))
        _, err = await server.finish()

    for text in (response["result"]["content"][0]["text"], err):
        assert "ACEDATACLOUD_API_BASE_URL" in text
        assert TOKEN not in text
    assert response["result"]["isError"] is True


@pytest.mark.parametrize(
    ("variable", "value"), [("HTTPS_PROXY", "foo:bar:baz"), ("SSL_CERT_FILE", "/nonexistent.pem")]
)
async def test_a_proxy_or_certificate_that_cannot_be_used_does_not_stop_the_server(
    variable: str, value: str
) -> None:
    environ: dict[str, Any] = {
        "ACEDATACLOUD_API_TOKEN": TOKEN,
        "ACEDATACLOUD_API_BASE_URL": "https://api.invalid",
        variable: value,
    }
    async with server_process(**environ) as server:
        await handshake(server)
        response = await server.request(message(1, "tools/call", LOOK_UP))
        assert await server.finish() == ([], "")

    assert variable in response["result"]["content"][0]["text"]


async def test_a_sandboxed_server_never_sends_the_users_token_anywhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        async with server_process(
            "--sandbox", ACEDATACLOUD_API_TOKEN=TOKEN, ACEDATACLOUD_API_BASE_URL=url
        ) as server:
            hello = await handshake(server)
            response = await server.request(message(1, "tools/call", LOOK_UP))
            await server.finish()
        with pytest.raises(BlockingIOError):
            elsewhere.accept()

    assert "This is a sandbox" in hello["instructions"]
    assert response["result"]["structuredContent"]["state"] == "succeeded"


async def test_the_log_goes_to_stderr_and_never_holds_the_token() -> None:
    # Echoes the token where a library logs it: as the reason phrase, in a header, in the body.
    echo = (
        f"HTTP/1.1 500 {TOKEN}\r\nX-Echo: {TOKEN}\r\nContent-Length: {len(TOKEN)}\r\n\r\n{TOKEN}"
    ).encode()
    async with (
        listening(echo) as (api, received),
        server_process(
            ACEDATACLOUD_API_TOKEN=TOKEN,
            ACEDATACLOUD_API_BASE_URL=f"http://{api}",
            HAILUO_LOG_LEVEL="DEBUG",
        ) as server,
    ):
        await handshake(server)
        response = await server.request(message(1, "tools/call", LOOK_UP))
        rest, err = await server.finish()

    assert TOKEN.encode() in received[0]
    assert "HTTP 500" in response["result"]["content"][0]["text"]
    assert rest == []
    assert "DEBUG" in err
    assert TOKEN not in err
    assert TOKEN not in str(response)


async def test_an_infinite_wait_is_refused() -> None:
    # JSON can say it, and Python reads it as infinity.
    arguments = {"task_id": DOCUMENTED_ID, "wait_seconds": "BEYOND"}
    line = message(1, "tools/call", {"name": "retrieve_task", "arguments": arguments})

    async with server_process("--sandbox") as server:
        await handshake(server)
        (response,), _ = await server.finish(line.replace(b'"BEYOND"', b"1e999"))

    assert response["result"]["isError"] is True
    assert "`wait_seconds` must be a whole number" in response["result"]["content"][0]["text"]


PARSE_ERROR, INVALID_REQUEST = -32700, -32600


LINES_THAT_ARE_NO_MESSAGES: list[tuple[bytes, tuple[Any, int] | None]] = [
    (b"junk", (None, PARSE_ERROR)),
    (b"\xff\xfe\x00", (None, PARSE_ERROR)),
    (b'{"jsonrpc": "2.0", "id": 5, "meth', (None, PARSE_ERROR)),
    (b"[" * 100_000, (None, PARSE_ERROR)),
    (b"x" * 5_000_000, (None, INVALID_REQUEST)),
    (b"x" * (MAX_LINE_BYTES - 1), (None, PARSE_ERROR)),
    (
        b'{"jsonrpc": "2.0", "id": 7, "method": "x", "params": {"a": "%b"}}' % TOO_MUCH,
        (7, INVALID_REQUEST),
    ),
    (
        b'{"id": "seven", "method": "x", "params": {"a": "%b"}}' % TOO_MUCH,
        ("seven", INVALID_REQUEST),
    ),
    (
        b'{"method": "x", "params": {"a": "%b"}, "jsonrpc": "2.0", "id": 7}' % TOO_MUCH,
        (7, INVALID_REQUEST),
    ),
    (
        b'{"method": "x", "params": {"a": "%b"}, "id": 7, "jsonrpc": "2.0"}' % TOO_MUCH,
        (7, INVALID_REQUEST),
    ),
    (b'{"method": "x", "params": {"a": "%b", "id": 7}}' % TOO_MUCH, (None, INVALID_REQUEST)),
    (b'{"id": true, "method": "%b"}' % TOO_MUCH, (None, INVALID_REQUEST)),
    (b"7", (None, INVALID_REQUEST)),
    (b"null", (None, INVALID_REQUEST)),
    (b"{}", (None, INVALID_REQUEST)),
    (b'[{"jsonrpc": "2.0", "id": 5, "method": "ping"}]', (None, INVALID_REQUEST)),
    (b'{"jsonrpc": "2.0", "id": 5, "method": 7}', (5, INVALID_REQUEST)),
    (b'{"jsonrpc": "2.0", "id": "x", "method": "ping", "params": [1]}', ("x", INVALID_REQUEST)),
    (b'{"jsonrpc": "1.0", "id": 5, "method": "ping"}', (5, INVALID_REQUEST)),
    (b'{"jsonrpc": "1.0", "id": {}, "method": "ping"}', (None, INVALID_REQUEST)),
    (
        b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a": "\\ud800"}}',
        (7, INVALID_REQUEST),
    ),
    (
        b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a": %b}}'
        % (b"[" * 300 + b"]" * 300),
        (7, INVALID_REQUEST),
    ),
    (b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "ping"}', (None, INVALID_REQUEST)),
    (b'{"jsonrpc": "1.0", "id": "\\u00e9", "method": "ping"}', ("é", INVALID_REQUEST)),
    (
        b'{"jsonrpc": "1.0", "id": %b, "method": "ping"}' % (b"9" * 400),
        (int("9" * 400), INVALID_REQUEST),
    ),
    (b'{"jsonrpc": "1.0", "id": %b, "method": "ping"}' % (b"9" * 9000), (None, PARSE_ERROR)),
    (b'{"jsonrpc": "2.0", "id": 5, "error": {}}', None),
    (b'{"jsonrpc": "2.0", "id": 5, "error": {"code": "x"}}', None),
    (b'{"jsonrpc": "2.0", "id": 5, "error": null}', None),
    (b'{"id": true, "method": "ping"}', (None, INVALID_REQUEST)),
    (b'{"jsonrpc": "2.0", "id": null, "method": "ping", "result": {}}', None),
    (b"", None),
    (b" \t ", None),
    (b'{"jsonrpc": "2.0", "id": 5, "result": 7}', None),
    (b'{"jsonrpc": "2.0", "id": 5, "error": 7}', None),
    (b'{"jsonrpc": "2.0", "method": "x", "params": [1]}', None),
    (b'{"jsonrpc": "2.0", "method": "x", "params": {"id": 1.5}}', None),
]


async def test_a_line_that_is_no_message_is_answered_where_it_can_be() -> None:
    async with server_process("--sandbox", measured=True) as server:
        await handshake(server)
        lines = [line + b"\n" for line, _ in LINES_THAT_ARE_NO_MESSAGES]
        responses, err = await server.finish(b"".join(lines))

    received = [(response["id"], response["error"]["code"]) for response in responses]
    assert received == [response for _, response in LINES_THAT_ARE_NO_MESSAGES if response]
    assert (err, server.process.returncode) == ("", 0)


@pytest.mark.parametrize("version", ["2025-06-18", MODERN_VERSION])
async def test_a_request_with_an_id_of_a_wrong_type_is_refused(version: str) -> None:
    ids = ["1.5", "1.0", "null", "true", "{}", "[]"]
    params = envelope() if version == MODERN_VERSION else {}
    lines = [message(7, "tools/list", params).replace(b"7", each.encode(), 1) for each in ids]

    async with server_process("--sandbox") as server:
        if version == MODERN_VERSION:
            await server.request(message(1, "tools/list", params))
        else:
            await handshake(server, version)
        notification = message(None, "notifications/initialized", params)
        responses, err = await server.finish(b"".join(lines) + notification)

    assert [response["id"] for response in responses] == [None] * len(ids)
    assert {response["error"]["code"] for response in responses} == {INVALID_REQUEST}
    assert "its id must be a text or a whole number" in responses[0]["error"]["message"]
    assert err == ""


async def test_two_requests_with_one_id_are_both_answered_before_the_end() -> None:
    lines = [message(1, "tools/call", envelope(**LOOK_UP)) for _ in range(2)]

    async with server_process("--sandbox", measured=True) as server:
        responses, err = await server.finish(b"".join(lines))

    assert [response["id"] for response in responses] == [1, 1]
    assert all(response["result"]["structuredContent"]["final"] for response in responses)
    assert err == ""


async def test_a_byte_order_mark_and_other_line_ends_do_no_harm() -> None:
    line = message(1, "tools/list", envelope())

    async with server_process("--sandbox") as server:
        responses, err = await server.finish(
            codecs.BOM_UTF8 + line.replace(b"\n", b"\r\n") + line.rstrip(b"\n")
        )

    assert [len(response["result"]["tools"]) for response in responses] == [3, 3]
    assert err == ""


async def test_a_line_that_is_too_long_is_skipped_wherever_it_ends() -> None:
    too_long = b"x" * (3 * MAX_LINE_BYTES)

    async with server_process("--sandbox", measured=True) as server:
        responses, err = await server.finish(
            too_long + b"\n" + message(1, "tools/list", envelope()) + too_long
        )

    assert {response["id"] for response in responses} == {None, 1}
    refused = [response["error"] for response in responses if response["id"] is None]
    assert [error["code"] for error in refused] == [INVALID_REQUEST] * 2
    assert f"longer than {MAX_LINE_BYTES} bytes" in refused[0]["message"]
    assert err == ""


async def test_thousands_of_bad_lines_do_not_end_the_server() -> None:
    bad = [
        b"junk\n",
        b"\xff\xfe\n",
        b'{"jsonrpc": "2.0", "id": 5, "method": 7}\n',
        message(6, "no/such/method", {}),
        message(7, "tools/call", {"name": 7}),
        message(None, "no/such/notification", {}),
        message(8, "tools/call", {"name": "retrieve_task", "arguments": {"task_id": "x" * 10_000}}),
        b"x" * 10_000 + b"\n",
    ]

    async with server_process("--sandbox", measured=True) as server:
        await handshake(server)
        responses, err = await server.finish(
            b"".join(bad * 500) + message(9, "tools/call", LOOK_UP)
        )

    ids = [response["id"] for response in responses]
    assert [ids.count(number) for number in (None, 5, 6, 7, 8, 9)] == [1500, *[500] * 4, 1]
    assert responses[-1]["result"]["structuredContent"]["state"] == "succeeded"
    assert (err, server.process.returncode) == ("", 0)


def test_the_grace_period_ends_before_hosts_kill_the_server() -> None:
    assert GRACE_SECONDS + FLUSH_SECONDS < PROCESS_TERMINATION_TIMEOUT


@pytest.mark.parametrize("version", [None, "2025-06-18"])
async def test_the_name_of_an_unknown_method_is_repeated_short_and_without_the_token(
    version: str | None,
) -> None:
    async with server_process(ACEDATACLOUD_API_TOKEN=TOKEN) as server:
        if version is not None:
            await handshake(server, version)
        params = {} if version else envelope()
        response = await server.request(message(1, f"tools/{TOKEN}{'x' * 1000}", params))
        await server.finish()

    assert response["error"]["code"] == -32601
    assert response["error"]["data"].startswith("tools/[token]xxx")
    assert len(response["error"]["data"]) < 100


@pytest.mark.parametrize("cancelled_id", [str, lambda number: f"0{number}"])
async def test_calls_that_are_cancelled_by_an_id_in_another_form_hold_nothing_up(
    cancelled_id: Callable[[int], str],
) -> None:
    wait = {"name": "retrieve_task", "arguments": {"task_id": RUNNING_TASK_ID, "wait_seconds": 50}}
    async with server_process("--sandbox") as server:
        await handshake(server)
        for number in range(MAX_IN_FLIGHT + 10):
            server.stdin.write(message(number, "tools/call", wait))
            params = {"requestId": cancelled_id(number)}
            server.stdin.write(message(None, "notifications/cancelled", params))
            await server.stdin.drain()
        response = await server.request(message("last", "tools/list"))
        rest, err = await server.finish()

    assert response["id"] == "last"
    assert (rest, err) == ([], "")


async def test_a_response_that_is_too_long_is_not_answered() -> None:
    async with server_process("--sandbox") as server:
        await handshake(server)
        server.stdin.write(b'{"jsonrpc": "2.0", "id": 6, "result": {"a": "%b"}}\n' % TOO_MUCH)
        response = await server.request(message(7, "tools/list"))
        rest, _ = await server.finish()

    assert response["id"] == 7
    assert rest == []
