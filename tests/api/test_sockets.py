"""Faults that only a socket can make, and the connections of the pool, over real sockets."""

import asyncio
import json
import socket
import struct

import pytest

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.errors import UnreachableError, UnreadableResponseError
from helpers import (
    TIMEOUT_SECONDS,
    TOKEN,
    ConnectionHandler,
    http_response,
    look_up_one,
    raw_server,
    read_request,
    settings,
    task_ids,
)

pytestmark = pytest.mark.real_time

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter

RESPONSE = http_response({"id": "t"})
TORN = RESPONSE[:-3]


async def retrieve_from(address: str, timeout_seconds: float = 15) -> TaskRecord | None:
    there = settings(api_base_url=f"http://{address}", request_timeout_seconds=timeout_seconds)
    async with open_client(there) as client:
        return await look_up_one(client, "t")


def reset(writer: Writer) -> None:
    """Close a connection with a reset, as a machine does that no longer knows of it."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def break_off(_: Reader, writer: Writer) -> None:
    writer.write(TORN)
    await writer.drain()


async def reset_before_the_response(_: Reader, writer: Writer) -> None:
    reset(writer)


async def reset_in_the_response(_: Reader, writer: Writer) -> None:
    writer.write(TORN)
    await writer.drain()
    reset(writer)


async def close_without_a_response(_: Reader, __: Writer) -> None:
    """Send nothing; the connection is closed when a handler returns."""


async def send_garbage(_: Reader, writer: Writer) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()


async def hang(reader: Reader, _: Writer) -> None:
    await reader.read()


FAULTS = [
    break_off,
    reset_before_the_response,
    reset_in_the_response,
    close_without_a_response,
    send_garbage,
    hang,
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_on_the_wire_is_retried(fault: ConnectionHandler) -> None:
    received = []

    async def on_connection(reader: Reader, writer: Writer) -> None:
        received.append(await read_request(reader))
        if len(received) == 1:
            await fault(reader, writer)
        else:
            writer.write(RESPONSE)
            await writer.drain()

    async with raw_server(on_connection) as address:
        record = await retrieve_from(address, timeout_seconds=0.2 if fault is hang else 15)

    assert record is not None
    assert record.task_id == "t"
    assert len(received) == 2
    assert received[0] == received[1]


@pytest.mark.parametrize("fault", [break_off, reset_in_the_response, hang])
async def test_a_lasting_fault_on_the_wire_is_reported(fault: ConnectionHandler) -> None:
    received = []

    async def on_connection(reader: Reader, writer: Writer) -> None:
        received.append(await read_request(reader))
        await fault(reader, writer)

    async with raw_server(on_connection) as address:
        with pytest.raises(UnreachableError) as caught:
            await retrieve_from(address, timeout_seconds=0.2 if fault is hang else 15)

    what = "No answer" if fault is hang else "broke off before it had answered"
    assert what in str(caught.value)
    assert len(received) == 3


async def test_a_port_where_nobody_listens_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"127.0.0.1:{unused.getsockname()[1]}"

    with pytest.raises(UnreachableError, match="could not be reached"):
        await retrieve_from(address)


async def test_a_body_of_200_megabytes_is_abandoned_while_it_streams() -> None:
    sent = 0

    async def flood(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        await read_request(reader)
        # Without its length, which would be enough to reject it.
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(200):
            writer.write(b" " * 1_000_000)
            await writer.drain()
            sent += 1

    async with raw_server(flood) as address:
        with pytest.raises(UnreadableResponseError, match="more than 1 MB"):
            await retrieve_from(address)

    # What is beyond 1 lies in the buffers of two sockets.
    assert 1 <= sent < 33


async def test_two_hundred_calls_at_once_share_at_most_four_connections() -> None:
    opened = requests = 0
    open_now: set[Writer] = set()
    most = 0
    all_closed = asyncio.Event()

    async def on_connection(reader: Reader, writer: Writer) -> None:
        nonlocal opened, requests, most
        opened += 1
        open_now.add(writer)
        most = max(most, len(open_now))
        try:
            while True:
                request = await read_request(reader)
                payload = json.loads(request.partition(b"\r\n\r\n")[2])
                requests += 1
                items = [{"id": task_id} for task_id in payload.get("ids", [])]
                writer.write(http_response({"items": items} if items else {"id": payload["id"]}))
                await writer.drain()
        finally:
            open_now.discard(writer)
            if not open_now:
                all_closed.set()

    async with raw_server(on_connection) as address:
        there = settings(api_base_url=f"http://{address}")
        async with open_client(there) as client:
            records = await asyncio.gather(*(look_up_one(client, each) for each in task_ids(200)))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await all_closed.wait()

    assert [record and record.task_id for record in records] == task_ids(200)
    # Four at once, and the rest by hundreds.
    assert requests == 6
    assert most <= 4
    assert opened <= 6


@pytest.mark.parametrize("before", [0, 60, 70, 75, 80, 110])
async def test_a_reason_that_is_cut_holds_no_part_of_the_token(before: int) -> None:
    async def send_nonsense(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(f"HTTP/1.1 200 OK\r\n{'x' * before}{TOKEN}\r\n\r\n".encode())
        await writer.drain()

    async with raw_server(send_nonsense) as address:
        with pytest.raises(UnreachableError) as caught:
            await retrieve_from(address)

    message = caught.value.failure.message
    assert TOKEN[:9] not in message
    # What is quoted ends with its quote.
    assert message.count('"') == 2
