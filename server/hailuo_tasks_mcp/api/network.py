"""Which proxy and which certificates the environment names.

Requests and the command `check` both use this, so that they take the same route.
"""

import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import getproxies

import httpx

from hailuo_tasks_mcp.errors import NetworkConfigurationError
from hailuo_tasks_mcp.settings import parse_url

PROXY_VARIABLES = "HTTPS_PROXY, ALL_PROXY and NO_PROXY"

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
    kind = "https" if proxies.get("https") else "all"
    named = proxies.get(kind)
    # Plain http goes to this machine only, and through no proxy.
    if not named or url.scheme != "https" or _is_excepted(url, proxies.get("no", "")):
        return None
    proxy = parse_url(named if "://" in named else f"http://{named}")
    if proxy is None or proxy.scheme not in _PROXY_SCHEMES:
        # In lower case first, as `getproxies` has it; else it is a setting of the system.
        names = (f"{kind}_proxy", f"{kind}_proxy".upper())
        variable = next((name for name in names if os.environ.get(name)), None)
        raise NetworkConfigurationError(
            f"{variable or 'The environment'} names no proxy that can be used "
            f"({', '.join(_PROXY_SCHEMES)}; user and password percent-encoded)",
            variables=variable or PROXY_VARIABLES,
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
    Python has it write the keys of its connections to the file in `SSLKEYLOGFILE`.

    Raises:
        NetworkConfigurationError: what one of these names cannot be used.

    """
    if key_log := os.environ.get("SSLKEYLOGFILE"):
        with _told_of("SSLKEYLOGFILE"):
            _refuse_pipe(key_log)
            # As OpenSSL opens it, which would say no more than that a file could not be opened.
            Path(key_log).open("ab").close()
    if file := os.environ.get("SSL_CERT_FILE"):
        with _told_of("SSL_CERT_FILE"):
            _refuse_pipe(file)
            return httpx.create_ssl_context()
    if folder := os.environ.get("SSL_CERT_DIR"):
        with _told_of("SSL_CERT_DIR"):
            _require_certificates(folder)
            return httpx.create_ssl_context()
    return httpx.create_ssl_context()


@contextmanager
def _told_of(variable: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NetworkConfigurationError(
            f"{variable} cannot be used ({reason_of(error)})", variables=variable
        ) from error


def _refuse_pipe(path: str) -> None:
    # Opening it would block until something opens its other end.
    if Path(path).is_fifo():
        raise OSError("it is a pipe")


def _require_certificates(folder: str) -> None:
    """Raise an OSError if OpenSSL, which would not say so, finds no certificates in a folder."""
    folders = [each for each in folder.split(os.pathsep) if Path(each).is_dir()] or [folder]
    names = [path.name for each in folders for path in Path(each).iterdir()]
    if not any(re.fullmatch(r"[0-9a-f]{8}\.[0-9]+", name) for name in names):
        raise OSError("it holds no certificate under a name that `openssl rehash` gives")


def reason_of(error: OSError) -> str:
    """Return in a few words why something of the network or of a file failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").replace("_", " ").lower()
    if isinstance(error, socket.gaierror) and error.strerror:
        return error.strerror
    return os.strerror(error.errno) if error.errno else str(error) or "the connection was closed"
