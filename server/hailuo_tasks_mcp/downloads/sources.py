"""A file from whichever server has it: one GET, with its redirects, and the head of the response.

No token, no cookie and no address of a page goes to such a server.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from functools import partial

import httpx

from hailuo_tasks_mcp.api.network import proxy_for, trusted_certificates
from hailuo_tasks_mcp.api.proxies import ProxyRefusalError
from hailuo_tasks_mcp.api.records import Redact
from hailuo_tasks_mcp.api.transport import NetworkTransport
from hailuo_tasks_mcp.downloads.addresses import AddressRules
from hailuo_tasks_mcp.errors import (
    DownloadInterruptedError,
    DownloadRefusedError,
    HailuoTasksError,
    UntrustedCertificateError,
)
from hailuo_tasks_mcp.text import clean_quoting_text

MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {
    "accept": "video/*,*/*;q=0.5",
    # A compressed one could be a thousandth of what it decodes to, and could not be resumed.
    "accept-encoding": "identity",
    "user-agent": "hailuo-tasks-mcp",
}
_WORDS_LIMIT = 120


class FileServers:
    """All servers of files.

    Args:
        base_url: where the API is, which decides on what may be fetched.
        redact: returns a text without the tokens in use.
        transport: carries the requests in place of the network.

    """

    def __init__(
        self,
        base_url: str,
        redact: Redact,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._rules = AddressRules(base_url, redact)
        self._redact = redact
        self._transport = transport
        self._certificates: ssl.SSLContext | None = None

    async def get(self, link: str, headers: Mapping[str, str]) -> "Download":
        """Return the response to a GET, its body still to be read, after all redirects.

        Nothing here has a time-out.

        Args:
            link: the URL as the API has it.
            headers: what is sent beside the headers of every request.

        Raises:
            DownloadRefusedError: the URL, or one that it leads to, must not be fetched.
            DownloadInterruptedError: there is no response.
            HailuoTasksError: the environment's proxy or certificates cannot be used, or the
                server's certificate is not trusted.

        """
        url = self._rules.checked_url(link)
        for _ in range(MAX_REDIRECTS + 1):
            download = await self._get(url, headers)
            if download.response.status_code not in _REDIRECTS:
                return download
            location = download.response.headers.get("location", "")
            await download.aclose()
            url = self._rules.checked_url(_joined(url, location))
        raise DownloadRefusedError(f"The link leads through more than {MAX_REDIRECTS} redirects")

    async def _get(self, url: httpx.URL, headers: Mapping[str, str]) -> "Download":
        transport = self._transport or self._open(url)
        request = httpx.Request("GET", url, headers={**_HEADERS, **headers})
        try:
            response = await transport.handle_async_request(request)
        except httpx.RequestError as error:
            raise interrupted(error, self._redact) from error
        return Download(response, self._redact, transport if self._transport is None else None)

    def _open(self, url: httpx.URL) -> NetworkTransport:
        """Return what reaches a server, of which the addresses are checked, not only the name."""
        proxy = proxy_for(str(url))
        if proxy is not None:
            self._rules.check_literal(url)
        certificates = None
        if url.scheme == "https":
            # Reading them takes a while.
            certificates = self._certificates = self._certificates or trusted_certificates()
        return NetworkTransport(url, proxy, certificates, allowed=partial(self._rules.allowed, url))


class Download:
    """A response whose body is still to be read.

    Args:
        response: the response.
        redact: returns a text without the tokens in use.
        transport: brought it, and is closed with it; None if that is not ours to close.

    Attributes:
        response: the response.

    """

    def __init__(
        self,
        response: httpx.Response,
        redact: Redact,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.response = response
        self._redact = redact
        self._transport = transport

    def chunks(self) -> AsyncIterator[bytes]:
        """Return the parts of the body, as they come; raises httpx.RequestError where it breaks."""
        stream = self.response.stream
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - of an async transport
        return aiter(stream)

    def interrupted(self, error: httpx.RequestError) -> HailuoTasksError:
        """Return why not all of the body came."""
        return interrupted(error, self._redact)

    async def aclose(self) -> None:
        """Close the connection."""
        await self.response.aclose()
        if self._transport is not None:
            await self._transport.aclose()


def interrupted(error: httpx.RequestError, redact: Redact) -> HailuoTasksError:
    """Return why there is no response, or not all of it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return UntrustedCertificateError(
            f"The certificate of the server of the file is not trusted ({cause.verify_message})"
        )
    # Some of these texts quote what was received, and the cut could go through a token.
    words = clean_quoting_text(redact(str(error)), _WORDS_LIMIT)
    if isinstance(error, ProxyRefusalError):
        return DownloadRefusedError(f"The proxy refuses: {words}")
    if isinstance(error, httpx.ConnectError):
        return DownloadInterruptedError(f"The server of the file cannot be reached: {words}")
    return DownloadInterruptedError(f"The download broke off: {words}")


def _joined(url: httpx.URL, location: str) -> str:
    try:
        return str(url.join(location))
    except (httpx.InvalidURL, ValueError):
        return ""
