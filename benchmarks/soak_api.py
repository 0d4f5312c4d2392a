"""The API of the soak: it speaks TLS, and breaks some of its responses, in every way there is."""

import asyncio
import hashlib
import json
import os
import re
import time
from asyncio import StreamReader, StreamWriter
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from random import Random

from attack_inputs import SMALL_BUT_HUGE, SURPLUS, SURPLUS_ANSWER, as_json, http
from connections import read_request
from stdio_driver import Json

Fault = Callable[[StreamReader, StreamWriter, bytes], Awaitable[None]]
"""Breaks a response, of which it is given the good one; the connection ends with it."""

# The platform allows five requests of a token in flight, of which the server uses four.
LIMIT_IN_FLIGHT = 5
MAX_LATENCY_SECONDS = 0.01
# Of the connections, after a good response: so there are always new ones.
SHARE_ENDED = 0.2

_BEARER = re.compile(rb"authorization: bearer (\S+)", re.IGNORECASE)


def owner_of(token: str) -> str:
    """Return the name of a token's owner, which holds nothing of the token."""
    return f"owner-{hashlib.sha256(token.encode()).hexdigest()[:12]}"


class Api:
    """The stand-in: a task is done, runs or is unknown by the first letter of its id.

    Each record and each error names the owner of the token that it was asked for with.
    """

    def __init__(self, share_of_faults: float, rng: Random) -> None:
        self.share_of_faults = share_of_faults
        self.rng = rng
        self.requests = 0
        self.faults: Counter[str] = Counter()
        self.readers: dict[str, set[StreamReader]] = defaultdict(set)
        """Of the requests in flight, by the owner of their token."""
        self.most_in_flight = 0
        self.refused = 0

    async def on_connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Respond to the requests of a connection until one side ends it."""
        going_on = True
        while going_on:
            head, body = await read_request(reader)
            self.requests += 1
            bearer = _BEARER.search(head)
            owner = owner_of(bearer[1].decode() if bearer else "nobody")
            self.readers[owner].add(reader)
            try:
                good = http(as_json(good_body(json.loads(body), b" /minimax/" in head, owner)))
                going_on = await self.respond(reader, writer, good, owner)
            finally:
                self.readers[owner].discard(reader)

    async def respond(
        self, reader: StreamReader, writer: StreamWriter, good: bytes, owner: str
    ) -> bool:
        """Respond to a request; return whether the connection can go on."""
        # A request whose client has gone is not in flight.
        in_flight = sum(not (each.at_eof() or each.exception()) for each in self.readers[owner])
        self.most_in_flight = max(self.most_in_flight, in_flight)
        if in_flight > LIMIT_IN_FLIGHT:
            self.refused += 1
            await FAULTS["rate_limited"](reader, writer, good)
            return False
        # So that look-ups overlap.
        await asyncio.sleep(self.rng.uniform(0, MAX_LATENCY_SECONDS))
        if self.rng.random() < self.share_of_faults:
            name = self.rng.choice(list(FAULTS))
            self.faults[name] += 1
            fault = api_error(owner) if name == "500" else FAULTS[name]
            await fault(reader, writer, good)
            return False
        writer.write(good)
        await writer.drain()
        return self.rng.random() >= SHARE_ENDED


def good_body(payload: Json, is_minimax: bool, owner: str) -> Json:
    """Return what a service responds to a look-up with the token of an owner."""
    known = h3_record if is_minimax else record
    if "id" in payload:
        body = known(payload["id"], owner)
        return {"task": body or None} if is_minimax else body
    items = [item for task_id in payload["ids"] if (item := known(task_id, owner))]
    return {"items": items, "total" if is_minimax else "count": len(items)}


def record(task_id: str, owner: str) -> Json:
    """Return the record that Hailuo has of an owner's task."""
    if task_id.startswith(("unknown", "h3")):
        return {}
    head: Json = {"id": task_id, "created_at": time.time() - 20, "started_at": time.time() - 18}
    if task_id.startswith("running"):
        return head
    url = f"https://cdn.invalid/{owner}/{task_id}.mp4"
    data = [{"id": "v", "state": "succeeded", "video_url": url, "prompt": f"{owner} {'p' * 500}"}]
    return head | {"response": {"success": True, "data": data}}


def h3_record(task_id: str, owner: str) -> Json:
    """Return the record that MiniMax H3 has of an owner's task."""
    if not task_id.startswith("h3"):
        return {}
    url = f"https://cdn.invalid/{owner}/{task_id}.mp4"
    return {
        "id": task_id,
        "model": "MiniMax-H3",
        "status": "succeeded",
        "created_at": int(time.time()) - 120,
        "updated_at": int(time.time()) - 20,
        "content": {"url": url},
        "duration": 4,
    }


def responding(response: bytes) -> Fault:
    """Return a fault that sends this response."""

    async def fault(_: StreamReader, writer: StreamWriter, __: bytes) -> None:
        writer.write(response)
        await writer.drain()

    return fault


def api_error(owner: str) -> Fault:
    """Return a fault that is an error of the API, in which its trace id names the owner."""
    body = {"error": {"code": "api_error"}, "trace_id": owner}
    return responding(http(as_json(body), status="500 Internal Server Error"))


async def reset(_: StreamReader, writer: StreamWriter, __: bytes) -> None:
    """Abort the connection without a response."""
    writer.transport.abort()


async def hang(reader: StreamReader, _: StreamWriter, __: bytes) -> None:
    """Send nothing until the other side gives up."""
    await reader.read()


async def tear(_: StreamReader, writer: StreamWriter, good: bytes) -> None:
    """Send a part of the response."""
    writer.write(good[:-1])
    await writer.drain()


def past_tls(plain: bytes) -> Fault:
    """Return a fault that sends bytes past TLS, in the middle of the body."""

    async def fault(reader: StreamReader, writer: StreamWriter, good: bytes) -> None:
        await tear(reader, writer, good)
        os.write(writer.get_extra_info("socket").fileno(), plain)
        await reader.read()

    return fault


async def surplus(reader: StreamReader, writer: StreamWriter, good: bytes) -> None:
    """Send a second response right behind the good one, of which nothing says whose it is."""
    video = {"state": "succeeded", "video_url": f"https://cdn.invalid/{SURPLUS}.mp4"}
    writer.write(good + http(as_json({"response": {"success": True, "data": [video]}})))
    await reader.read()


async def late_surplus(reader: StreamReader, writer: StreamWriter, good: bytes) -> None:
    """Send a second response when another request may have been sent already."""
    writer.write(good)
    await asyncio.sleep(MAX_LATENCY_SECONDS)
    writer.write(SURPLUS_ANSWER)
    await reader.read()


FAULTS: dict[str, Fault] = {
    "reset": reset,
    "torn": tear,
    "hang": hang,
    "closed": responding(b""),
    "nonsense": responding(b"SSH-2.0-OpenSSH\r\n"),
    "429": responding(http(b"{}", "Retry-After: 0", status="429 Too Many Requests")),
    "rate_limited": responding(
        http(b'{"error": {"code": "rate_limited"}}', status="429 Too Many Requests")
    ),
    "500": api_error("nobody"),
    "502": responding(http(b"<html>" * 1000, status="502 Bad Gateway")),
    "null": responding(http(b"null")),
    "html": responding(http(b"<html>" * 1000)),
    "deep": responding(http(b"[" * 100_000)),
    "9 MB": responding(http(b" " * 9_000_000)),
    "300,000 items": responding(http(b'{"items":[' + b"1," * 300_000 + b"1]}")),
    "plain past TLS": past_tls(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "broken record": past_tls(b"\x17\x03\x03\x00\x20" + b"x" * 32),
    "surplus": surplus,
    "late surplus": late_surplus,
    **{name: responding(response) for name, response in SMALL_BUT_HUGE.items()},
}
