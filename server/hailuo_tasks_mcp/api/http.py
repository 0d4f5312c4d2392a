"""HTTP: sends a request, with retries, and reads the complete response within bounds."""

import asyncio
import logging
import math
import random
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Self

import httpx

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.api.network import proxy_for, trusted_certificates
from hailuo_tasks_mcp.api.transport import NetworkTransport
from hailuo_tasks_mcp.errors import HailuoTasksError, UntrustedCertificateError, WrongBaseUrlError
from hailuo_tasks_mcp.settings import Settings

# Bodies up to here may be held for any number of requests at once, larger ones for a few. What
# an error response says fits in too.
_SMALL_BODY_BYTES = 64_000
_MAX_LARGE_BODIES = 4
# After so many chunks or decompressed parts the event loop gets a turn, though more are there.
_PARTS_AT_ONCE = 16
MAX_CONNECTIONS = 100
# A `Retry-After` up to here is waited for; beyond, the caller learns when to ask again.
MAX_RETRY_AFTER_SECONDS = 10.0
# So long a service is not asked again that sets a longer one; the limit may be lifted before.
_MAX_HELD_SECONDS = 60.0
# A longer `Retry-After` is not believed.
_DAY_SECONDS = 86_400.0

# The pause after the first attempt, doubled after each. Jitter of one half, so that clients that
# failed together do not retry together.
_BACKOFF_SECONDS = 0.5
_RATE_LIMITED = 429
_TRANSIENT_STATUSES = frozenset({408, _RATE_LIMITED, 500, 502, 503, 504})
# Not ProxyError: a proxy may lock out a user whom it refuses again and again.
_TRANSIENT_ERRORS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)

# TLS 1.3 and 1.2; what a server sends that gets no certificate where it wants one.
_CLIENT_CERTIFICATE_ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "SSLV3_ALERT_NO_CERTIFICATE",
}

_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip",
    "user-agent": f"hailuo-tasks-mcp/{__version__}",
}

# zlib's word for gzip.
_GZIP_WBITS = 31

logger = logging.getLogger(__name__)


class ResponseTooLargeError(Exception):
    """A response has more bytes than the request allows; it was not read to its end."""


Result = httpx.Response | httpx.RequestError | ResponseTooLargeError | HailuoTasksError
"""What an attempt brought: the complete response, or why there is none."""

OnAttempt = Callable[[Result], None]


class _Refusal(NamedTuple):
    """A rate limit that is too long to wait for: what it said, when it came, and how long."""

    content: bytes
    came_at: float
    seconds: float


class Throttle:
    """Holds back the requests of one caller while the API's rate limit is reached.

    Args:
        redact: takes the caller's token out of what is kept.

    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._resume_at = 0.0
        # By path, because a limit of one service must not hide what another one knows.
        self._refusals: dict[str, _Refusal] = {}

    def refuse(self, path: str, response: httpx.Response) -> None:
        """Answer the requests for a path with this response until it may be asked again."""
        seconds = retry_after_seconds(response) or 0.0
        content = self._redact(response.content.decode(errors="replace")).encode()
        self._refusals[path] = _Refusal(content, asyncio.get_running_loop().time(), seconds)

    def refusal(self, path: str) -> httpx.Response | None:
        """Return what a request for a path is answered with; None if it may be sent."""
        refusal = self._refusals.get(path)
        if refusal is None:
            return None
        passed_seconds = asyncio.get_running_loop().time() - refusal.came_at
        left_seconds = refusal.seconds - passed_seconds
        if passed_seconds >= _MAX_HELD_SECONDS or left_seconds <= 0:
            return None
        headers = {"retry-after": str(math.ceil(left_seconds))}
        return httpx.Response(_RATE_LIMITED, headers=headers, content=refusal.content)

    def pause(self, seconds: float) -> None:
        """Send nothing for so long, from now."""
        now = asyncio.get_running_loop().time()
        self._resume_at = max(self._resume_at, now + min(seconds, MAX_RETRY_AFTER_SECONDS))

    async def wait(self) -> None:
        """Return when requests may be sent."""
        # Another rate limit may move the time while this one is waited for.
        while (seconds := self._resume_at - asyncio.get_running_loop().time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(seconds)


class HttpPool:
    """Posts JSON to the API over one pool of connections, for any number of callers.

    Use it as an async context manager. It opens at the first request, so that a server whose proxy
    or certificates cannot be used still starts, and its calls say why.

    Args:
        settings: where the API is, and how long an attempt may take.
        transport: carries the requests in place of the network.

    """

    def __init__(
        self, settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._base_url = settings.api_base_url
        self._attempt_seconds = settings.request_timeout_seconds
        self._transport = transport
        self._certificate_owner = _host_of(self._base_url)
        self._closed = False
        # Before the time-out, so that the wait for a slot does not count as one for the response.
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._large_bodies = asyncio.Semaphore(_MAX_LARGE_BODIES)

    async def __aenter__(self) -> Self:
        """Return the pool; connections are opened when they are needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections, for good."""
        self._closed = True
        if self._transport is not None:
            await self._transport.aclose()

    async def post(  # noqa: PLR0913 - all of it differs from request to request
        self,
        path: str,
        payload: Mapping[str, Any],
        token: str,
        *,
        max_response_bytes: int,
        max_attempts: int,
        throttle: Throttle,
        on_attempt: OnAttempt,
    ) -> httpx.Response:
        """Send a request and return the response, its body read and decoded.

        Args:
            path: where to post to, below the base URL.
            payload: the JSON to post.
            token: the caller's bearer token.
            max_response_bytes: how long its body may be, before and after decompression.
            max_attempts: how often it may be sent; more than once only if receiving it twice does
                no harm.
            throttle: the caller's; holds back what a rate limit does not allow.
            on_attempt: called with the result of each attempt, for callers that give up before the
                last one.

        Raises:
            NetworkConfigurationError: the environment's proxy or certificates cannot be used.
            UntrustedCertificateError: nothing was sent.
            WrongBaseUrlError: the server wants a certificate of its clients.
            httpx.RequestError: the last attempt brought no complete response.
            ResponseTooLargeError: it is not read to its end.

        """
        transport = self._open()
        if (refusal := throttle.refusal(path)) is not None:
            return refusal
        request = httpx.Request(
            "POST",
            self._base_url + path,
            headers=_HEADERS | {"authorization": f"Bearer {token}"},
            json=payload,
        )
        attempt = 1
        while True:
            await throttle.wait()
            result = await self._attempt(transport, request, max_response_bytes)
            on_attempt(result)
            pause = _backoff_seconds(attempt, result)
            if isinstance(result, httpx.Response) and result.status_code == _RATE_LIMITED:
                if pause is None:
                    throttle.refuse(path, result)
                else:
                    throttle.pause(pause)
            if pause is None or attempt == max_attempts:
                break
            await asyncio.sleep(pause)
            attempt += 1
        if isinstance(result, httpx.Response):
            return result
        try:
            raise result
        finally:
            # Its traceback refers to this frame, so this frame must not refer to it.
            del result

    async def _attempt(
        self, transport: httpx.AsyncBaseTransport, request: httpx.Request, max_response_bytes: int
    ) -> Result:
        """Send a request once; return the complete response, or why there is none.

        A body that breaks off or does not end in time is an error like any other.
        """
        async with self._slots:
            try:
                # The only time-out of an attempt, so that none is cut short by another one.
                async with asyncio.timeout(self._attempt_seconds):
                    response = await transport.handle_async_request(request)
                    try:
                        content = await _read(response, max_response_bytes, self._large_bodies)
                    finally:
                        await response.aclose()
            except TimeoutError:
                return httpx.ReadTimeout("The response took too long")
            except httpx.RequestError as error:
                return self._tls_refusal(error) or error
            except ResponseTooLargeError as error:
                return error
        logger.debug("HTTP %d, %d bytes", response.status_code, len(content))
        # As bytes: a header may hold bytes of no encoding.
        kept = (b"content-type", b"date", b"retry-after")
        headers = [field for field in response.headers.raw if field[0].lower() in kept]
        return httpx.Response(response.status_code, headers=headers, content=content)

    def _open(self) -> httpx.AsyncBaseTransport:
        """Return the one transport, made at first use."""
        if self._closed:
            raise RuntimeError("This pool is closed")
        if self._transport is None:
            proxy = proxy_for(self._base_url)
            # Without an httpx.AsyncClient: it would add cookies, redirects and its own reading of
            # the environment, none of which is wanted, and a tenth of what a call costs.
            url = httpx.URL(self._base_url)
            certificates = trusted_certificates() if url.scheme == "https" else None
            if proxy and proxy.url.scheme == "https":
                self._certificate_owner += " or of the proxy"
            self._transport = NetworkTransport(url, proxy, certificates)
        return self._transport

    def _tls_refusal(self, error: BaseException | None) -> HailuoTasksError | None:
        """Return what TLS refuses, if that is why a request failed: so would the next one."""
        while error is not None and not isinstance(error, ssl.SSLError):
            error = error.__cause__ or error.__context__
        if isinstance(error, ssl.SSLCertVerificationError):
            return UntrustedCertificateError(
                f"The certificate of {self._certificate_owner} is not trusted "
                f"({error.verify_message})"
            )
        if error is not None and error.reason in _CLIENT_CERTIFICATE_ALERTS:
            return WrongBaseUrlError(
                f"{self._certificate_owner} wants a certificate of its clients, which the API "
                "does not"
            )
        return None


def _backoff_seconds(attempt: int, result: Result) -> float | None:
    """Return the pause after an attempt, in seconds; None if another one is of no use."""
    retry_after = None
    if not isinstance(result, (httpx.Response, *_TRANSIENT_ERRORS)):
        return None
    if isinstance(result, httpx.Response):
        if result.status_code not in _TRANSIENT_STATUSES:
            return None
        retry_after = retry_after_seconds(result)
        if retry_after is not None and retry_after > MAX_RETRY_AFTER_SECONDS:
            return None
    jitter = random.uniform(0.5, 1)  # noqa: S311 - nothing secret depends on it
    return retry_after or _BACKOFF_SECONDS * 2 ** (attempt - 1) * jitter


def retry_after_seconds(response: httpx.Response) -> float | None:
    """Return what `Retry-After` asks for, in seconds, be it a number or a date; None if nothing."""
    value = response.headers.get("retry-after", "").strip()
    try:
        if value.isascii() and value.isdecimal():
            seconds = float(value)
        else:
            date = parsedate_to_datetime(value)
            zoned = date if date.tzinfo else date.replace(tzinfo=UTC)
            seconds = (zoned - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _DAY_SECONDS)


def date_of(response: httpx.Response) -> float | None:
    """Return when a response was made, in Unix seconds by its server's clock; None if unknown."""
    try:
        date = parsedate_to_datetime(response.headers.get("date", ""))
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


async def _read(response: httpx.Response, max_bytes: int, large_bodies: asyncio.Semaphore) -> bytes:
    """Return the decoded body; nothing of an error response that is longer than any of the API.

    Not decoded by httpx, because a compressed body can be a thousandth of what it decodes to.

    Raises:
        ResponseTooLargeError: it has more than `max_bytes`.

    """
    if not response.is_success:
        try:
            return await _read_up_to(_SMALL_BODY_BYTES, response, large_bodies)
        except ResponseTooLargeError:
            return b""
    return await _read_up_to(max_bytes, response, large_bodies)


async def _read_up_to(
    max_bytes: int, response: httpx.Response, large_bodies: asyncio.Semaphore
) -> bytes:
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and float(declared) > max_bytes:
        raise ResponseTooLargeError
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    inflater = None if encoding in {"", "identity"} else zlib.decompressobj(_GZIP_WBITS)
    body = bytearray()
    received = parts = 0
    is_large = False
    try:
        async for chunk in response.stream:  # type: ignore[union-attr]
            received += len(chunk)
            for part in _inflate(inflater, chunk) if inflater else (chunk,):
                body += part
                if max(received, len(body)) > max_bytes:
                    raise ResponseTooLargeError
                if not is_large and len(body) > _SMALL_BODY_BYTES:
                    await large_bodies.acquire()
                    is_large = True
                parts += 1
                if parts % _PARTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
    finally:
        if is_large:
            large_bodies.release()
    if inflater is not None and received and not inflater.eof:
        raise httpx.RemoteProtocolError("The compressed body broke off")
    return bytes(body)


def _inflate(inflater: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    """Yield what a chunk decompresses to, in parts of bounded length, at least one."""
    part = None
    while part is None or chunk or len(part) == _SMALL_BODY_BYTES:
        try:
            part = inflater.decompress(chunk, _SMALL_BODY_BYTES)
        except zlib.error as error:
            raise httpx.DecodingError("Not gzip") from error
        if inflater.unused_data:
            raise httpx.DecodingError("More than one gzip member")
        chunk = inflater.unconsumed_tail
        yield part


def _host_of(base_url: str) -> str:
    return httpx.URL(base_url).netloc.decode("ascii")
