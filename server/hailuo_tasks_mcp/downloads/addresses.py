"""Which URLs may be fetched, and which addresses connected to, where a stranger names them."""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

from hailuo_tasks_mcp.api.records import Redact
from hailuo_tasks_mcp.api.streams import Address
from hailuo_tasks_mcp.errors import DownloadRefusedError
from hailuo_tasks_mcp.settings import is_loopback, parse_url
from hailuo_tasks_mcp.text import clean_text

_HOST_LIMIT = 64
# Well-known prefix of RFC 6052: where networks have IPv6 only, names resolve into it.
_NAT64 = IPv6Network("64:ff9b::/96")
# What of IPv6 is given out at all.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# What the tables of some versions of Python lack.
_SPECIAL = (
    *(IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24")),
    *(IPv6Network("2001::/23"), IPv6Network("3fff::/20")),
)
_LAST_FOUR_BYTES = 0xFFFFFFFF


class AddressRules:
    """What may be fetched from by those who ask at a base URL.

    Args:
        base_url: where the API is. If that is this machine, so may the files be, by plain http too.
        redact: returns a text without the tokens in use.

    """

    def __init__(self, base_url: str, redact: Redact) -> None:
        base = httpx.URL(base_url)
        self._redact = redact
        self._base_host = base.host
        self._on_this_machine = is_loopback(base.host)

    def checked_url(self, text: str) -> httpx.URL:
        """Return a URL that may be fetched.

        Raises:
            DownloadRefusedError: it may not be.

        """
        url = parse_url(text)
        if url is None:
            raise DownloadRefusedError("The link is no URL that can be fetched")
        if url.scheme == "http" and self._on_this_machine and is_loopback(url.host):
            return url
        if url.scheme != "https":
            raise DownloadRefusedError(f"Only https is fetched, not {self._shown(url.scheme)}:")
        return url

    def check_literal(self, url: httpx.URL) -> None:
        """Check the address that a URL has in place of a name, for a proxy resolves names itself.

        Raises:
            DownloadRefusedError: it may not be connected to.

        """
        address = _literal(url.host)
        if address is not None:
            self.allowed(url, [(address, 0)])

    def allowed(self, url: httpx.URL, addresses: Sequence[Address]) -> Sequence[Address]:
        """Return the addresses of a URL that may be connected to, at least one.

        Raises:
            DownloadRefusedError: none may.

        """
        if url.host == self._base_host:
            # Requests with the token go there already.
            return addresses
        found = [address for address in addresses if self._may_connect(address[0])]
        if not found:
            host = self._shown(url.host)
            raise DownloadRefusedError(f"{host} is at an address that is not public")
        return found

    def _shown(self, text: str) -> str:
        # Redacted first, because the cut could go through a token.
        return clean_text(self._redact(text), _HOST_LIMIT)

    def _may_connect(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return is_public(address) or (self._on_this_machine and address.is_loopback)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is one of the internet, and holds none that is not."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & _LAST_FOUR_BYTES))
        embedded = address.ipv4_mapped or address.sixtofour
        if embedded is not None and not is_public(embedded):
            return False
        if address.ipv4_mapped is not None:
            return True
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_link_local
        or address.is_loopback
        or address.is_private
        or address.is_unspecified
        or any(address in network for network in _SPECIAL)
    )


def _literal(host: str) -> str | None:
    """Return the address that a host is, in any form that a resolver takes; None for a name."""
    # A dot at the end says only that the name is complete.
    host = host.rstrip(".")
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    if host == "localhost" or host.endswith(".localhost"):
        return "127.0.0.1"
    try:
        # Such as 2130706433 or 0x7f.1.
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None
