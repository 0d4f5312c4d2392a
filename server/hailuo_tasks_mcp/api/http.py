"""HTTP: sends a question again where that may help, and reads the answer whole, within bounds."""

import asyncio
import logging
import random
import ssl
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from socksio import SOCKSError

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.api.network import proxy_for, trusted_certificates
from hailuo_tasks_mcp.errors import UntrustedError
from hailuo_tasks_mcp.settings import Settings

TRIES = 3
MAX_ANSWER_BYTES = 8_000_000
# Of 200 calls at once none waits for more than one other, and it stays a polite guest. Nobody ever
# waits in the pool for one, because nobody gets that far without a turn.
MAX_CONNECTIONS = 100
MAX_IDLE_CONNECTIONS = 20
# Longer than the pause between two looks of a call that waits.
_IDLE_SECONDS = 30.0
# The API's `Retry-After` up to here is waited for; beyond, the caller is told when to come back.
MAX_RETRY_AFTER_SECONDS = 10.0
# No pause is believed in beyond this.
_DAY_SECONDS = 86_400.0

# The pause after the first try, doubled after each; half of it is left to chance, so that clients
# that failed together do not come back together.
_PAUSE_SECONDS = 0.5
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
# Not ProxyError: a proxy that refuses its user would lock them out at last.
_PASSING_ERRORS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)

_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip",
    "user-agent": f"hailuo-tasks-mcp/{__version__}",
}

# zlib's word for gzip.
_GZIP_WBITS = 31

logger = logging.getLogger(__name__)


class AnswerTooLargeError(Exception):
    """An answer has more than `MAX_ANSWER_BYTES`; it was not read to its end."""


class Transport:
    """Posts JSON to the API over one pool of connections.

    Args:
        settings: where the API is, and how long a try may take.
        carrier: carries the requests in place of the network.

    Raises:
        NetworkSetupError: the environment's proxy or certificates cannot be used.

    """

    def __init__(self, settings: Settings, carrier: httpx.AsyncBaseTransport | None) -> None:
        self._base_url = settings.api_base_url
        timeout = httpx.Timeout(settings.request_timeout_seconds)
        self._extensions = {"timeout": timeout.as_dict()}
        self._seconds = settings.request_timeout_seconds
        proxy = None if carrier else proxy_for(settings.api_base_url)
        # A bare transport: a client would add cookies, redirects and its own reading of the
        # environment, none of which is wanted, and a tenth of what a call costs.
        self._carrier = carrier or _open(settings, proxy)
        self._shows = _shows(settings, proxy)
        # So that waiting for a connection does not count as waiting for an answer.
        self._turn = asyncio.Semaphore(MAX_CONNECTIONS)

    async def post(
        self,
        path: str,
        question: Mapping[str, Any],
        token: str,
        *,
        tries: int,
        deadline: float,
    ) -> httpx.Response:
        """Send a question and return the answer, its body read and decoded.

        Args:
            path: what to post to, below the base URL.
            question: the JSON to post.
            token: the bearer token.
            tries: how often it may be sent; more than once only if it may arrive twice.
            deadline: when to give up, on the event loop's clock; the answer is then that to the
                last try, if there was any.

        Raises:
            TimeoutError: the deadline came in the first try.
            UntrustedError: what answers is not trusted, so nothing was sent.
            httpx.RequestError: no whole answer came, the last time it was tried.
            AnswerTooLargeError: too much came.

        """
        request = httpx.Request(
            "POST",
            self._base_url + path,
            headers=_HEADERS | {"authorization": f"Bearer {token}"},
            json=question,
            extensions=self._extensions,
        )
        came: httpx.Response | httpx.RequestError | None = None
        try:
            async with asyncio.timeout_at(deadline):
                for number in range(tries):
                    came = await self._try(request)
                    pause = _pause_after(number, came)
                    if pause is None or number == tries - 1:
                        break
                    await asyncio.sleep(pause)
        except TimeoutError:
            # Perhaps in a pause between two tries: what the last one brought says more.
            if came is None:
                raise
        if isinstance(came, httpx.RequestError):
            raise came from None
        assert came is not None  # noqa: S101 - it is tried at least once
        return came

    async def aclose(self) -> None:
        """Close all connections."""
        await self._carrier.aclose()

    async def _try(self, request: httpx.Request) -> httpx.Response | httpx.RequestError:
        """Send a request once; return the whole answer, or a fault that may pass.

        A body that breaks off, or drips in for ever, is a fault like any other.
        """
        async with self._turn:
            try:
                # httpx bounds each read; all of them together must end as well.
                async with asyncio.timeout(self._seconds):
                    response = await self._carrier.handle_async_request(request)
                    try:
                        content = await _read(response)
                    finally:
                        await response.aclose()
            except TimeoutError:
                return httpx.ReadTimeout("The answer took too long")
            except SOCKSError as error:
                # The one fault that httpx does not know for one of its own.
                raise httpx.ProxyError("It does not speak SOCKS5") from error
            except httpx.RequestError as error:
                if (reason := _distrust(error)) is not None:
                    # It will not be trusted a second later.
                    raise UntrustedError(
                        f"The certificate of {self._shows} is not trusted ({reason})"
                    ) from error
                if not isinstance(error, _PASSING_ERRORS):
                    raise
                return error.with_traceback(None)
        logger.debug("HTTP %d, %d bytes", response.status_code, len(content))
        # As bytes: a header may hold what no encoding can.
        kept = (b"content-type", b"retry-after")
        headers = [field for field in response.headers.raw if field[0].lower() in kept]
        return httpx.Response(response.status_code, headers=headers, content=content)


def _pause_after(number: int, came: httpx.Response | httpx.RequestError) -> float | None:
    """Return how long to pause after a try, in seconds; None if another one is of no use."""
    asked = None
    if isinstance(came, httpx.Response):
        if came.status_code not in _PASSING_STATUSES:
            return None
        asked = retry_after_seconds(came)
        if asked is not None and asked > MAX_RETRY_AFTER_SECONDS:
            return None
    return asked or _PAUSE_SECONDS * 2**number * random.uniform(0.5, 1)  # noqa: S311 - no secret


def retry_after_seconds(answer: httpx.Response) -> float | None:
    """Return how long an answer asks to be left alone, in seconds; None if it does not say."""
    value = answer.headers.get("retry-after", "").strip()
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


def _distrust(error: BaseException | None) -> str | None:
    """Return why a certificate is not trusted, if that is what an error comes from."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return None if error is None else error.verify_message


async def _read(response: httpx.Response) -> bytes:
    """Read a body, decoded, as far as it is allowed to go.

    httpx would decode for us, but a few compressed kilobytes can hold gigabytes.
    """
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and float(declared) > MAX_ANSWER_BYTES:
        raise AnswerTooLargeError
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    inflater = None if encoding in {"", "identity"} else zlib.decompressobj(_GZIP_WBITS)
    parts: list[bytes] = []
    came = size = 0
    async for chunk in response.stream:  # type: ignore[union-attr]
        came += len(chunk)
        part = _inflate(inflater, chunk) if inflater else chunk
        parts.append(part)
        size += len(part)
        if max(came, size) > MAX_ANSWER_BYTES:
            raise AnswerTooLargeError
    if inflater is not None and came and not inflater.eof:
        raise httpx.RemoteProtocolError("The compressed body broke off")
    return b"".join(parts)


def _inflate(inflater: "zlib._Decompress", chunk: bytes) -> bytes:
    try:
        part = inflater.decompress(chunk, MAX_ANSWER_BYTES + 1)
    except zlib.error as error:
        raise httpx.DecodingError("Not gzip") from error
    if inflater.unused_data:
        raise httpx.DecodingError("More than one gzip member")
    return part


def _shows(settings: Settings, proxy: httpx.Proxy | None) -> str:
    """Say who shows certificates on the way to the API."""
    host = httpx.URL(settings.api_base_url).netloc.decode("ascii")
    return f"{host} or of the proxy" if proxy and proxy.url.scheme == "https" else host


def _open(settings: Settings, proxy: httpx.Proxy | None) -> httpx.AsyncBaseTransport:
    secure = settings.api_base_url.startswith("https:")
    # Plain http has no certificates to check; this trusts none, and costs nothing to make.
    certificates = trusted_certificates() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.AsyncHTTPTransport(
        limits=httpx.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
        ),
        # One host has one proxy, and the check of the way there must find the same.
        trust_env=False,
        proxy=proxy,
        verify=certificates,
    )
