"""How the environment says that the network is reached: which proxy, which certificates.

The requests and the check of the way to the API both ask here, so that they go the same way.
"""

import os
import socket
import ssl
from urllib.request import getproxies

import httpx

from hailuo_tasks_mcp.errors import NetworkSetupError
from hailuo_tasks_mcp.settings import names_a_host

PROXY_VARIABLES = "HTTPS_PROXY, ALL_PROXY and NO_PROXY"
CERTIFICATE_VARIABLES = "SSL_CERT_FILE and SSL_CERT_DIR"

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


def proxy_for(base_url: str) -> httpx.Proxy | None:
    """Return the proxy for what is at a base URL; None if it is reached directly.

    `HTTPS_PROXY`, else `ALL_PROXY`, unless `NO_PROXY` names the host; where no variable names any
    proxy, the settings of Windows or macOS.

    Raises:
        NetworkSetupError: what is named there is no proxy. The message does not repeat it, since
            it may hold a password.

    """
    url = httpx.URL(base_url)
    proxies = getproxies()
    named = proxies.get("https") or proxies.get("all")
    # What travels in the clear is meant for this machine, and passes no proxy.
    if not named or url.scheme != "https" or _is_excepted(url, proxies.get("no", "")):
        return None
    try:
        proxy = httpx.URL(named if "://" in named else f"http://{named}")
    except httpx.InvalidURL:
        proxy = httpx.URL()
    if proxy.scheme not in _PROXY_SCHEMES or not names_a_host(proxy):
        raise NetworkSetupError(
            f"The environment names no proxy that can be used ({', '.join(_PROXY_SCHEMES)})",
            PROXY_VARIABLES,
        )
    certificates = trusted_certificates() if proxy.scheme == "https" else None
    return httpx.Proxy(proxy, ssl_context=certificates)


def _is_excepted(url: httpx.URL, no_proxy: str) -> bool:
    """Tell whether `NO_PROXY` names a URL's host, with its port or without, its domain, or all."""
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
        NetworkSetupError: the file cannot be used.

    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise NetworkSetupError(
            f"SSL_CERT_FILE cannot be used ({reason_of(error)})", CERTIFICATE_VARIABLES
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
