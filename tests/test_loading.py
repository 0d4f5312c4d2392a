"""What is loaded when: with no descriptor left, nothing can be loaded any more."""

import asyncio
import sys
from pathlib import Path

import pytest

from helpers import TIMEOUT_SECONDS, http_response, raw_server, read_request

pytestmark = pytest.mark.real_time

# Answers some calls over streams in memory, and prints which modules that loaded.
ANSWER = """
import asyncio
import json
import sys

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

import hailuo_tasks_mcp.transports.stdio
from hailuo_tasks_mcp.cli.startup import start
from hailuo_tasks_mcp.server import create_server

CALLS = [
    ("retrieve_task", {"task_id": "t"}),
    ("retrieve_tasks_batch", {"task_ids": ["t", "u"]}),
    ("retrieve_task", {"task_id": 5}),
    ("list_recent_tasks", {"hours": 1}),
    ("list_recent_tasks", {"states": "done"}),
]

async def main():
    settings, _, redactor = start(sandbox=False)
    server = create_server(settings, redactor=redactor)
    to_server, received = anyio.create_memory_object_stream(9)
    sent, from_server = anyio.create_memory_object_stream(9)

    async def ask(number, method, **params):
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        await to_server.send(SessionMessage(jsonrpc_message_adapter.validate_python(request)))
        return (await from_server.receive()).message

    async with asyncio.TaskGroup() as tasks:
        options = server.create_initialization_options()
        serving = tasks.create_task(server.run(received, sent, options))
        client = {"name": "test", "version": "1"}
        await ask(0, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
        await ask(1, "tools/list")
        loaded = set(sys.modules)
        texts = []
        for number, (name, arguments) in enumerate(CALLS * 3, start=2):
            answer = await ask(number, "tools/call", name=name, arguments=arguments)
            texts.append(answer.result["content"][0]["text"])
        print(json.dumps([sorted(set(sys.modules) - loaded), texts]))
        serving.cancel()

asyncio.run(main())
"""


async def test_answering_loads_no_module() -> None:
    responses = [
        http_response({"id": "t", "created_at": "2025-01-01T00:00:00Z"}),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\xef\xbb\xbf{}",
        (
            b"HTTP/1.1 500 x\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
            b"Content-Length: 1\r\n\r\n\xff"
        ),
    ]
    requests = 0

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while True:
            await read_request(reader)
            writer.write(responses[requests % len(responses)])
            await writer.drain()
            requests += 1

    async with raw_server(on_connection) as address:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            ANSWER,
            cwd=Path(__file__).parent,
            env={
                "ACEDATACLOUD_API_TOKEN": "planted-token-0123456789",
                "ACEDATACLOUD_API_BASE_URL": f"http://localhost:{address.rpartition(':')[2]}",
            },
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(TIMEOUT_SECONDS):
            output, _ = await process.communicate()

    assert process.returncode == 0
    assert requests > 3
    assert output.startswith(b"[[], ")
