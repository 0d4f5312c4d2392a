"""The transport of httpx that carries the requests: connections to one origin, kept for a while.

Not `httpx.AsyncHTTPTransport`: the pool of httpcore 1.0.9 keeps for ever a connection through a
proxy that failed or was cancelled between CONNECT and the end of the TLS handshake, its SOCKS5
handshake has no time-out and takes each reply for complete, TLS faults after the handshake are
not turned into errors of httpx, and what is left over of a response becomes the next one. Here a
connection in use belongs to its request alone, and one that is kept is open, quiet and whole.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence

import httpx

from hailuo_tasks_mcp.api.http1 import Http1Connection
from hailuo_tasks_mcp.api.network import reason_of
from hailuo_tasks_mcp.api.proxies import open_tunnel
from hailuo_tasks_mcp.api.streams import Address, ByteStream, connect, resolve

MAX_IDLE_CONNECTIONS = 20
# Longer than the pause between two polls of a call that waits.
KEEPALIVE_SECONDS = 30.0
_SHARED_RESOLUTION_SECONDS = 5.0
_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def host_and_port(url: httpx.URL) -> Address:
    """Return what is connected to for a URL of the API or of a proxy."""
    return url.raw_host.decode("ascii"), url.port or _DEFAULT_PORTS[url.scheme]


class NetworkTransport(httpx.AsyncBaseTransport):
    """Carries requests to one origin. Nothing here has a time-out: its caller has one for all.

    Args:
        origin: a URL of it.
        proxy: through which it is reached; None if directly.
        certificates: what those of the origin are checked against; None for plain http.
        allowed: returns those of the origin's addresses that may be connected to, or raises an
            error, of each connection that is opened; not asked where a proxy resolves the name.

    """

    def __init__(
        self,
        origin: httpx.URL,
        proxy: httpx.Proxy | None,
        certificates: ssl.SSLContext | None,
        *,
        allowed: Callable[[Sequence[Address]], Sequence[Address]] | None = None,
    ) -> None:
        self._host, self._port = host_and_port(origin)
        self._proxy = proxy
        self._certificates = certificates
        self._allowed = None if proxy else allowed
        # With the time when each was last used, in that order.
        self._idle: list[tuple[float, Http1Connection]] = []
        self._resolving: asyncio.Task[list[Address]] | None = None
        self._resolving_since = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return its response with the body still to be read."""
        connection = self._take_idle() or Http1Connection(await self._open())
        try:
            response = await connection.send(
                request.method.encode("ascii"),
                request.url.raw_path,
                request.headers.raw,
                request.content,
            )
        except BaseException:
            connection.stream.abort()
            raise
        return httpx.Response(
            response.status_code,
            headers=response.headers.raw_items(),
            stream=_Body(self, connection),
        )

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        if self._resolving is not None:
            self._resolving.cancel()
        for _, connection in self._idle:
            connection.stream.abort()
        self._idle.clear()

    def keep(self, connection: Http1Connection) -> None:
        """Keep a connection for the next request, if it can take one; else close it."""
        if len(self._idle) < MAX_IDLE_CONNECTIONS and connection.start_next_request():
            self._idle.append((asyncio.get_running_loop().time(), connection))
        else:
            connection.stream.abort()

    def _take_idle(self) -> Http1Connection | None:
        """Return the connection used last, if it can be used again; close those that cannot."""
        oldest = asyncio.get_running_loop().time() - KEEPALIVE_SECONDS
        while self._idle and self._idle[0][0] <= oldest:
            self._idle.pop(0)[1].stream.abort()
        while self._idle:
            _, connection = self._idle.pop()
            if connection.is_quiet():
                return connection
            connection.stream.abort()
        return None

    async def _open(self) -> ByteStream:
        """Return a new stream to the origin, through the proxy and with TLS as need be.

        Raises:
            httpx.RequestError: there is no way.

        """
        peer = "" if self._proxy is None else "the proxy: "
        try:
            addresses: Sequence[Address] = await self._resolve()
            if self._allowed is not None:
                addresses = self._allowed(addresses)
            stream = await connect(addresses)
            try:
                if self._proxy is not None:
                    if self._proxy.ssl_context is not None:
                        name, _ = host_and_port(self._proxy.url)
                        await stream.start_tls(self._proxy.ssl_context, name)
                    await open_tunnel(stream, self._proxy, self._host, self._port)
                    peer = "through the proxy: "
                if self._certificates is not None:
                    await stream.start_tls(self._certificates, self._host)
            except BaseException:
                stream.abort()
                raise
        except OSError as error:
            raise httpx.ConnectError(f"{peer}{reason_of(error)}") from error
        except (httpx.ReadError, httpx.RemoteProtocolError) as error:
            # The proxy's, so it is not the API that broke off.
            raise httpx.ConnectError(f"{peer}{error}") from error
        return stream

    async def _resolve(self) -> list[Address]:
        """Return the addresses; for some seconds, requests share the question.

        So a resolver that hangs has few threads, however many attempts there are, and one that
        works again is not waited for in vain.
        """
        resolving, now = self._resolving, asyncio.get_running_loop().time()
        old = now - self._resolving_since > _SHARED_RESOLUTION_SECONDS
        if resolving is None or resolving.done() or old:
            self._resolving_since = now
            peer = host_and_port(self._proxy.url) if self._proxy else (self._host, self._port)
            resolving = self._resolving = asyncio.create_task(resolve(*peer))
            # Nobody may be waiting any more when it fails.
            resolving.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Not awaited itself: whoever gives up must not end it for the others.
        await asyncio.wait([resolving])
        return resolving.result()


class _Body(httpx.AsyncByteStream):
    """The body of a response; closing it gives its connection back, or closes that too."""

    def __init__(self, transport: NetworkTransport, connection: Http1Connection) -> None:
        self._transport = transport
        self._connection = connection
        self._complete = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._connection.read_body():
            yield part
        self._complete = True

    async def aclose(self) -> None:
        if self._complete:
            self._transport.keep(self._connection)
        else:
            self._connection.stream.abort()
