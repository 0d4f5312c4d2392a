"""A raw stand-in of the Hailuo API that costs as little as Python can make it cost.

    python benchmarks/stand_in.py [--delay-seconds 0.2]

Prints its base URL and serves on 127.0.0.1 until its stdin ends. Every task is the documented one,
finished, but one whose id begins with `running` runs until `GET /end`. A batch has pages of 12
unless the request has `limit`, as in the API's contract. MiniMax H3, the other service, knows no
task. Each GET returns how many requests were received before.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

PAGE_SIZE = 12
RECORD = (Path(__file__).parent.parent / "tests" / "examples" / "retrieve.json").read_bytes()
DOCUMENTED_ID = b"58cc618b-9639-4ee7-add2-d2fcf260d9a3"
_RECORD = json.dumps(json.loads(RECORD), separators=(",", ":")).encode().split(DOCUMENTED_ID)
# Says of one task and of several that they are not known.
_NOTHING = b'{"task":null,"items":[],"total":0}'
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class StandIn(asyncio.Protocol):
    """One connection: reads requests, and responds to each after the delay."""

    requests = 0
    runs_end = False
    delay_seconds = 0.0

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport that responses are written to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server's
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond to the requests that are complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            total = end + 4 + length
            if len(self._buffer) < total:
                return
            body, self._buffer = self._buffer[end + 4 : total], self._buffer[total:]
            if not body:
                StandIn.runs_end = StandIn.runs_end or b" /end " in head
                self._respond(b"%d" % StandIn.requests)
                continue
            StandIn.requests += 1
            content = _NOTHING if b" /minimax/" in head else response_body(body, StandIn.runs_end)
            if self.delay_seconds:
                loop = asyncio.get_running_loop()
                loop.call_later(self.delay_seconds, self._respond, content)
            else:
                self._respond(content)

    def _respond(self, content: bytes) -> None:
        if self._transport is not None:
            self._transport.write(_HEAD % len(content) + content)


def response_body(body: bytes, runs_end: bool = False) -> bytes:
    """Return the body of the API's response to a request body."""
    payload = json.loads(body)
    if "ids" not in payload:
        return _record(payload["id"], runs_end)
    page = payload["ids"][: payload.get("limit", PAGE_SIZE)]
    items = b",".join(_record(task_id, runs_end) for task_id in page)
    return b'{"items":[%b],"count":%d}' % (items, len(page))


def _record(task_id: str, runs_end: bool) -> bytes:
    if task_id.startswith("running") and not runs_end:
        now = int(time.time())
        return b'{"id":"%b","created_at":%d,"started_at":%d}' % (task_id.encode(), now, now)
    return task_id.encode().join(_RECORD)


async def serve(delay_seconds: float) -> None:
    """Serve until stdin ends."""
    StandIn.delay_seconds = delay_seconds
    loop = asyncio.get_running_loop()
    server = await loop.create_server(StandIn, "127.0.0.1", 0, backlog=500)
    async with server:
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay-seconds", type=float, default=0.0)
    asyncio.run(serve(parser.parse_args().delay_seconds))
