"""Which proxy and which certificates the environment names.

Requests and the command `check` both use this, so that they take the same route.
"""

import os
import socket
import ssl
from urllib.request import getproxies

import httpx

from hailuo_tasks_mcp.errors import NetworkConfigurationError
from hailuo_tasks_mcp.settings import has_valid_host

PROXY_VARIABLES = "HTTPS_PROXY, ALL_PROXY and NO_PROXY"
CERTIFICATE_VARIABLES = "SSL_CERT_FILE and SSL_CERT_DIR"

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


def proxy_for(base_url: str) -> httpx.Proxy | None:
    """Return the proxy for what is at a base URL; None if it is reached directly.

    `HTTPS_PROXY`, else `ALL_PROXY`, unless `NO_PROXY` names the host; where no variable names any
    proxy, the settings of Windows or macOS.

    Raises:
        NetworkConfigurationError: what is named there is no proxy. The message does not repeat it,
            because it may hold a password.

    """
    url = httpx.URL(base_url)
    proxies = getproxies()
    named = proxies.get("https") or proxies.get("all")
    # Plain http goes to this machine only, and through no proxy.
    if not named or url.scheme != "https" or _is_excepted(url, proxies.get("no", "")):
        return None
    try:
        proxy = httpx.URL(named if "://" in named else f"http://{named}")
    except httpx.InvalidURL:
        proxy = httpx.URL()
    if proxy.scheme not in _PROXY_SCHEMES or not has_valid_host(proxy):
        raise NetworkConfigurationError(
            f"The environment names no proxy that can be used ({', '.join(_PROXY_SCHEMES)})",
            variables=PROXY_VARIABLES,
        )
    certificates = trusted_certificates() if proxy.scheme == "https" else None
    return httpx.Proxy(proxy, ssl_context=certificates)


def _is_excepted(url: httpx.URL, no_proxy: str) -> bool:
    """Return whether `NO_PROXY` names a URL's host, with its port or not, its domain, or `*`."""
    host = url.raw_host.decode("ascii").lower()
    for entry in no_proxy.lower().split(","):
        name = entry.strip().lstrip(".").replace("[", "").replace("]", "")
        if name in {"*", host, f"{host}:{url.port or 443}"} or (name and host.endswith(f".{name}")):
            return True
    return False


def trusted_certificates() -> ssl.SSLContext:
    """Return what a certificate is checked against.

    The file in `SSL_CERT_FILE`, else the folder in `SSL_CERT_DIR`, else those that httpx brings.

    Raises:
        NetworkConfigurationError: the file cannot be used.

    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise NetworkConfigurationError(
            f"SSL_CERT_FILE cannot be used ({reason_of(error)})", variables=CERTIFICATE_VARIABLES
        ) from error


def reason_of(error: OSError) -> str:
    """Return in a few words why something of the network or of a file failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").replace("_", " ").lower()
    if isinstance(error, socket.gaierror) and error.strerror:
        return error.strerror
    return os.strerror(error.errno) if error.errno else str(error) or "the connection was closed"
