"""Asks a proxy to connect a stream through: CONNECT of HTTP, or SOCKS5 (RFC 1928 and 1929)."""

import base64
import json
from ipaddress import IPv6Address, ip_address

import httpx

from hailuo_tasks_mcp.api.http1 import Http1Connection
from hailuo_tasks_mcp.api.network import reason_of
from hailuo_tasks_mcp.api.streams import ByteStream
from hailuo_tasks_mcp.text import clean_text

_WORDS_LIMIT = 80
_MAX_SOCKS_BYTES = 255

_NO_LOGIN, _LOGIN = 0, 2
_SOCKS_FAILURES = {
    1: "general failure",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
}
# Replies that another attempt does not change.
_SOCKS_REFUSALS = {2: "not allowed", 7: "command not supported", 8: "address type not supported"}


class ProxyRefusalError(httpx.ProxyError):
    """The proxy does not let this user reach this host, or cannot be used at all.

    Not to be asked again: a proxy may lock out a user whom it refuses again and again.
    """


async def open_tunnel(stream: ByteStream, proxy: httpx.Proxy, host: str, port: int) -> None:
    """Have a proxy, to which a stream leads, connect it through to a host.

    Args:
        stream: leads to the proxy.
        proxy: what it is, and its user's name and password if it wants them.
        host: a name or an address; a name is resolved by the proxy.
        port: which port of the host.

    Raises:
        httpx.ProxyError: it does not; a ProxyRefusalError if it will not.
        httpx.RequestError: the connection broke.

    """
    if proxy.url.scheme.startswith("socks"):
        try:
            await _socks5(stream, proxy, host, port)
        except OSError as error:
            raise httpx.ReadError(reason_of(error)) from error
    else:
        await _http_connect(stream, proxy, host, port)


async def _http_connect(stream: ByteStream, proxy: httpx.Proxy, host: str, port: int) -> None:
    target = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode("ascii")
    headers = [(b"host", target), (b"accept", b"*/*"), *proxy.headers.raw]
    if proxy.raw_auth is not None:
        login = base64.b64encode(b":".join(proxy.raw_auth))
        headers.append((b"proxy-authorization", b"Basic " + login))
    connection = Http1Connection(stream)
    response = await connection.send(b"CONNECT", target, headers, b"")
    status = response.status_code
    if 200 <= status < 300:  # noqa: PLR2004
        _raise_if_any(connection.left_over)
        return
    words = clean_text(response.reason.decode("ascii", "replace"), _WORDS_LIMIT)
    quoted = f": {json.dumps(words, ensure_ascii=False)}" if words else ""
    kind = httpx.ProxyError if status >= 500 else ProxyRefusalError  # noqa: PLR2004
    raise kind(f"HTTP {status}{quoted}")


async def _socks5(stream: ByteStream, proxy: httpx.Proxy, host: str, port: int) -> None:
    replies = _Replies(stream)
    method = _NO_LOGIN if proxy.raw_auth is None else _LOGIN
    stream.write(bytes([5, 1, method]))
    version, chosen = await replies.read(2)
    if version != 5:  # noqa: PLR2004
        raise ProxyRefusalError("it does not speak SOCKS5")
    if chosen != method:
        wants = "wants a user and a password" if chosen == _LOGIN else "takes no login of this kind"
        raise ProxyRefusalError(f"it {wants}")
    if proxy.raw_auth is not None:
        user, password = (_sized(part) for part in proxy.raw_auth)
        stream.write(b"\x01" + user + password)
        _, status = await replies.read(2)
        if status != 0:
            raise ProxyRefusalError("it rejects the user or the password")
    stream.write(b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2))
    _, reply, _, kind = await replies.read(4)
    if reply in _SOCKS_REFUSALS:
        raise ProxyRefusalError(_SOCKS_REFUSALS[reply])
    if reply != 0:
        raise httpx.ProxyError(_SOCKS_FAILURES.get(reply, f"failure {reply}"))
    # The address from which the proxy connects, of which nothing is needed.
    length = {1: 4, 4: 16}.get(kind) or (await replies.read(1))[0]
    await replies.read(length + 2)
    _raise_if_any(replies.left)


def _raise_if_any(left_over: bytes) -> None:
    if left_over:
        # It would be taken for what the host sends.
        raise ConnectionError("data came before the host was asked for any")


class _Replies:
    """What a proxy says, read by so many bytes at a time, in however many pieces it comes."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.left = b""

    async def read(self, length: int) -> bytes:
        while len(self.left) < length:
            data = await self._stream.read()
            if not data:
                raise httpx.ReadError("it closed the connection")
            self.left += data
        reply, self.left = self.left[:length], self.left[length:]
        return reply


def _socks_address(host: str) -> bytes:
    try:
        address = ip_address(host)
    except ValueError:
        return b"\x03" + _sized(host.encode("ascii"))
    return (b"\x04" if isinstance(address, IPv6Address) else b"\x01") + address.packed


def _sized(part: bytes) -> bytes:
    """Return bytes with their number before them."""
    if len(part) > _MAX_SOCKS_BYTES:
        raise ProxyRefusalError(
            f"SOCKS5 takes names, users and passwords of at most {_MAX_SOCKS_BYTES} bytes"
        )
    return bytes([len(part)]) + part
