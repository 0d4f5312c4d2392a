"""How the environment says that the network is reached: which proxy, which certificates.

The requests and the check of the way to the API both ask here, so that they go the same way.
"""

import os
import socket
import ssl
from urllib.request import getproxies, proxy_bypass

import httpx

from hailuo_tasks_mcp.errors import NetworkSetupError

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


def proxy_for(base_url: str) -> httpx.Proxy | None:
    """Return the proxy for what is at a base URL; None if it is reached directly.

    `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` decide or, where none is set, the settings of Windows
    and macOS.

    Raises:
        NetworkSetupError: what is named there is no proxy; the message does not repeat it, since it
            may hold a password.

    """
    url = httpx.URL(base_url)
    host = url.raw_host.decode("ascii")
    # What travels in the clear is meant for this machine, and passes no proxy.
    if url.scheme != "https" or proxy_bypass(f"{host}:{url.port}" if url.port else host):
        return None
    proxies = getproxies()
    named = proxies.get("https") or proxies.get("all")
    if not named:
        return None
    try:
        proxy = httpx.URL(named if "://" in named else f"http://{named}")
    except httpx.InvalidURL:
        proxy = httpx.URL()
    if proxy.scheme not in _PROXY_SCHEMES or not proxy.host:
        raise NetworkSetupError("The environment names a proxy that is none")
    return httpx.Proxy(proxy)


def trusted_certificates() -> ssl.SSLContext:
    """Return what a certificate is checked against: `SSL_CERT_FILE` or, without it, certifi.

    Raises:
        NetworkSetupError: the file that the environment names cannot be used.

    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise NetworkSetupError(f"SSL_CERT_FILE cannot be used ({reason_of(error)})") from error


def reason_of(error: OSError) -> str:
    """Return in a few words why something of the network or of a file failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").replace("_", " ").lower()
    if isinstance(error, socket.gaierror) and error.strerror:
        return error.strerror
    return os.strerror(error.errno) if error.errno else str(error) or "the connection was closed"
