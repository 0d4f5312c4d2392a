"""HTTP: sends a question again where that may help, and reads the answer whole, within bounds.

httpx carries the requests, httpx-retries repeats them. Both of the API's actions only read, so
sending one again is always safe.
"""

import asyncio
import logging
import math
import ssl
import zlib
from collections.abc import Mapping
from typing import Any

import httpx
from httpx_retries import Retry, RetryTransport
from socksio import SOCKSError

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.errors import UntrustedError
from hailuo_tasks_mcp.network import proxy_for, trusted_certificates
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

# The pause doubles with each try, from half a second; half of it is left to chance, so that
# clients that failed together do not come back together.
_BACKOFF_FACTOR = 0.25
_BACKOFF_JITTER = 0.5
_PASSING_STATUSES = (408, 429, 500, 502, 503, 504)

# The extension in which a request keeps what its last try brought.
_LAST_TRY = "hailuo_tasks_mcp.last_try"

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
        proxy = None if carrier else proxy_for(settings.api_base_url)
        # A bare transport: a client would add cookies, redirects and its own reading of the
        # environment, none of which is wanted, and a tenth of what a call costs.
        self._carrier = carrier or _open(settings, proxy)
        self._retrying = RetryTransport(
            _WholeAnswers(self._carrier, settings.request_timeout_seconds, _shows(settings, proxy)),
            Retry(
                total=TRIES - 1,
                allowed_methods=["POST"],
                status_forcelist=_PASSING_STATUSES,
                # Not ProxyError: a proxy that refuses its user would lock them out at last.
                retry_on_exceptions=[
                    httpx.TimeoutException,
                    httpx.NetworkError,
                    httpx.RemoteProtocolError,
                ],
                backoff_factor=_BACKOFF_FACTOR,
                backoff_jitter=_BACKOFF_JITTER,
            ),
        )

    async def post(
        self, path: str, question: Mapping[str, Any], token: str, *, deadline: float
    ) -> httpx.Response:
        """Send a question, up to `TRIES` times, and return the answer, its body read and decoded.

        Args:
            path: what to post to, below the base URL.
            question: the JSON to post.
            token: the bearer token.
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
            extensions=self._extensions.copy(),
        )
        try:
            async with asyncio.timeout_at(deadline):
                return await self._retrying.handle_async_request(request)
        except _ComeBackLater as later:
            return later.answer
        except TimeoutError:
            # Perhaps in a pause between two tries: what the last one brought says more.
            match request.extensions.get(_LAST_TRY):
                case httpx.Response() as answer:
                    return answer
                case httpx.RequestError() as error:
                    raise error from None
            raise

    async def aclose(self) -> None:
        """Close all connections."""
        await self._carrier.aclose()


def retry_after_seconds(answer: httpx.Response) -> float | None:
    """Return how long an answer asks to be left alone, in seconds; None if it does not say."""
    value = answer.headers.get("retry-after")
    if value is None:
        return None
    try:
        # In seconds or as a date, of which some make the parser overflow.
        seconds = Retry().parse_retry_after(value)
    except (ValueError, OverflowError):
        return None
    return min(seconds, _DAY_SECONDS)


class _ComeBackLater(Exception):  # noqa: N818 - an answer, not an error
    """Ends the tries with an answer that asks for a longer pause than is waited for."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.answer = answer


class _WholeAnswers(httpx.AsyncBaseTransport):
    """Makes a try, when its turn has come, and says what it brought in terms that can be retried.

    A body that breaks off, or drips in for ever, is a failed try like any other. An answer that
    asks for a long pause ends the tries.
    """

    def __init__(self, carrier: httpx.AsyncBaseTransport, seconds: float, shows: str) -> None:
        self._carrier = carrier
        self._seconds = seconds
        self._shows = shows
        # So that waiting for a connection does not count as waiting for an answer.
        self._turn = asyncio.Semaphore(MAX_CONNECTIONS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with self._turn:
            try:
                answer = await self._try(request)
            except httpx.RequestError as error:
                if (reason := _distrust(error)) is not None:
                    # It will not be trusted a second later.
                    raise UntrustedError(
                        f"The certificate of {self._shows} is not trusted ({reason})"
                    ) from error
                request.extensions[_LAST_TRY] = error.with_traceback(None)
                raise
        request.extensions[_LAST_TRY] = answer
        # Read once and for all: the library would stumble over some dates.
        pause = retry_after_seconds(answer)
        answer.headers.pop("retry-after", None)
        if pause is not None:
            answer.headers["retry-after"] = str(math.ceil(pause))
            if pause > MAX_RETRY_AFTER_SECONDS:
                raise _ComeBackLater(answer)
        return answer

    async def _try(self, request: httpx.Request) -> httpx.Response:
        try:
            # httpx bounds each read; all of them together must end as well.
            async with asyncio.timeout(self._seconds):
                response = await self._carrier.handle_async_request(request)
                try:
                    content = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise httpx.ReadTimeout("The answer took too long") from error
        except SOCKSError as error:
            # The one fault that httpx does not know for one of its own.
            raise httpx.ProxyError("It does not speak SOCKS5") from error
        logger.debug("HTTP %d, %d bytes", response.status_code, len(content))
        # As bytes: a header may hold what no encoding can.
        kept = (b"content-type", b"retry-after")
        headers = [field for field in response.headers.raw if field[0].lower() in kept]
        return httpx.Response(response.status_code, headers=headers, content=content)


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
