"""Speaks Streamable HTTP on raw sockets, with requests whose bytes are made beforehand.

An MCP client would take longer for a call than the servers that are measured.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

Json = dict[str, Any]

# Without a handshake, each request complete in itself; and the older way, with one answer in SSE.
MODERN, OLDER = "2026-07-28", "2025-06-18"
REVISIONS = (MODERN, OLDER)

_END_OF_HEAD = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Caller(NamedTuple):
    """Who sends requests: to which port of this machine, at which revision, with which token."""

    port: int
    revision: str
    token: str


def call_request(caller: Caller, tool: str, arguments: Json, number: int = 1) -> bytes:
    """Return the bytes of a request that calls a tool."""
    port, revision, token = caller
    params: Json = {"name": tool, "arguments": arguments}
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": revision,
    }
    if revision == MODERN:
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": tool}
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    body = json.dumps(message).encode()
    headers["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode() + body


def get_request(port: int, path: str) -> bytes:
    """Return the bytes of a request that gets a resource."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


class Connection(asyncio.Protocol):
    """A connection, kept alive, with one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._response: asyncio.Future[bytes] | None = None
        self._is_complete: Callable[[bytearray], bool] | None = None
        self._transport: asyncio.Transport | None = None
        self.surplus = 0
        """Bytes that were received without a request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport that requests are written to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP client's
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Complete the response that is waited for."""
        response = self._response
        if response is None or response.done():
            self.surplus += len(data)
            return
        self._received += data
        if self._is_complete is None:
            self._is_complete = _framing(self._received)
        if self._is_complete is not None and self._is_complete(self._received):
            response.set_result(bytes(self._received))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for a response that none will come."""
        if self._response is not None and not self._response.done():
            self._response.set_exception(exc or ConnectionResetError("closed without a response"))
        self._transport = None

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, data: bytes) -> "asyncio.Future[bytes]":
        """Send a request, or a part of one; return what becomes the response, head and body."""
        if self._transport is None:
            raise ConnectionResetError("closed by the server")
        self._received.clear()
        self._is_complete = None
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return self._response

    def close(self, *, reset: bool = False) -> None:
        """End the connection, in order or, as a client that is killed, with a reset."""
        if self._response is not None:
            self._response.cancel()
        if self._transport is not None:
            (self._transport.abort if reset else self._transport.close)()


def _framing(received: bytearray) -> Callable[[bytearray], bool] | None:
    """Return what tells whether a response is complete; None while its head is not."""
    end = received.find(_END_OF_HEAD)
    if end < 0:
        return None
    head = bytes(received[:end]).lower()
    _, found, rest = head.partition(b"content-length:")
    if found:
        total = end + len(_END_OF_HEAD) + int(rest.split(b"\r\n", 1)[0])
        return lambda received: len(received) >= total
    return lambda received: received.endswith(_LAST_CHUNK)


async def connect(port: int) -> Connection:
    """Open a connection to a port of this machine."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
    return connection


async def fetch(port: int, request: bytes) -> bytes:
    """Return the response to a request on a connection of its own."""
    connection = await connect(port)
    try:
        return await connection.send(request)
    finally:
        connection.close()


def status_of(response: bytes) -> int:
    """Return the status of a response."""
    return int(response.split(b" ", 2)[1])


def body_of(response: bytes) -> bytes:
    """Return the body of a response."""
    head, _, body = response.partition(_END_OF_HEAD)
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    chunks = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        chunks.append(rest[:length])
        body = rest[length + 2 :] if length else b""
    return b"".join(chunks)


def messages_of(response: bytes) -> list[Json]:
    """Return the messages of a response, which is one of JSON or a stream of events."""
    body = body_of(response)
    if b"text/event-stream" not in response.partition(_END_OF_HEAD)[0]:
        return [json.loads(body)]
    data = [line[6:] for line in body.splitlines() if line.startswith(b"data: ")]
    return [json.loads(each) for each in data if each]
