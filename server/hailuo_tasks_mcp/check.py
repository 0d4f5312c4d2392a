"""`hailuo-tasks-mcp check`: finds out, step by step, why look-ups do not work here."""

import asyncio
import json
import platform
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Literal
from urllib.request import getproxies, proxy_bypass

import httpx

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.advice import advice
from hailuo_tasks_mcp.client import HailuoTasksClient
from hailuo_tasks_mcp.errors import (
    BASE_URL_VARIABLE,
    TOKEN_VARIABLE,
    HailuoTasksError,
    TokenMissingError,
    UnreadableAnswerError,
    UntrustedError,
)
from hailuo_tasks_mcp.settings import (
    LOG_LEVEL_VARIABLE,
    MAX_WAIT_VARIABLE,
    TIMEOUT_VARIABLE,
    Settings,
)

# No generation ever gets this id: nothing is looked up but whether one may look.
IMPOSSIBLE_TASK_ID = "00000000-0000-0000-0000-000000000000"
STEP_SECONDS = 10.0
_SHOWN_OF_TOKEN = 4
# Of a shorter one, that much would give too much away.
_SHORTEST_SHOWN_TOKEN = 12
_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

Verdict = Literal["ok", "FAIL", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one step found.

    Attributes:
        step: what was looked at.
        verdict: how it is; "skip" where there is nothing to look at.
        detail: what was found.
        remedy: what to do about a failure.
        seconds: how long it took.

    """

    step: str
    verdict: Verdict
    detail: str
    remedy: str | None = None
    seconds: float | None = None

    def lines(self) -> str:
        """Return the finding as people read it."""
        took = "" if self.seconds is None else f" ({self.seconds * 1000:.0f} ms)"
        remedy = f"\n      {self.remedy}" if self.remedy else ""
        return f"{self.verdict:4}  {self.step}: {self.detail}{took}{remedy}"


async def run_check(
    settings: Settings, *, as_json: bool, transport: httpx.AsyncBaseTransport | None = None
) -> int:
    """Print what is in force and how far a look-up comes; return 0 if all is well, else 1.

    Args:
        settings: what to check.
        as_json: print one JSON object, when all is known, in place of lines.
        transport: carries the requests in place of the network.

    """
    findings: list[Finding] = []
    if not as_json:
        python = f"Python {platform.python_version()} on {platform.system()}"
        print(f"hailuo-tasks-mcp {__version__}, {python}")
    async for finding in _examine(settings, transport):
        findings.append(finding)
        if not as_json:
            print(finding.lines(), flush=True)
    ok = all(finding.verdict != "FAIL" for finding in findings)
    if as_json:
        checks = [asdict(finding) for finding in findings]
        print(json.dumps({"version": __version__, "ok": ok, "checks": checks}, indent=2))
    else:
        print("All is well." if ok else "Not all is well: see FAIL.")
    return 0 if ok else 1


async def _examine(
    settings: Settings, transport: httpx.AsyncBaseTransport | None
) -> AsyncIterator[Finding]:
    """Look at the settings, at each step of the way to the API, and at what it says of the token.

    What a failure makes pointless is left out.
    """
    well = True
    for finding in _settings_in_force(settings):
        well = well and finding.verdict != "FAIL"
        yield finding
    if settings.problem is not None:
        return
    # Without a token the way to the API can still be looked at.
    async for finding in _way_to_the_api(settings):
        well = well and finding.verdict != "FAIL"
        yield finding
    if well:
        yield await _token(settings, transport)


def _settings_in_force(settings: Settings) -> list[Finding]:
    if settings.problem is not None:
        happened, remedy = settings.problem.happened, advice(settings.problem)
        return [Finding(step="settings", verdict="FAIL", detail=happened, remedy=remedy)]
    log_level = _in_force(LOG_LEVEL_VARIABLE, settings.log_level, Settings().log_level)
    if settings.sandbox:
        own = "the sandbox's own; of yours only the log level is read"
        return [Finding(step="settings", verdict="skip", detail=own), log_level]
    if settings.api_token is None:
        remedy = advice(TokenMissingError())
        token = Finding(step=TOKEN_VARIABLE, verdict="FAIL", detail="not set", remedy=remedy)
    else:
        token = Finding(step=TOKEN_VARIABLE, verdict="ok", detail=_masked(settings.api_token))
    default = Settings()
    others: tuple[tuple[str, object, object], ...] = (
        (BASE_URL_VARIABLE, settings.api_base_url, default.api_base_url),
        (TIMEOUT_VARIABLE, settings.request_timeout_seconds, default.request_timeout_seconds),
        (MAX_WAIT_VARIABLE, settings.max_wait_seconds, default.max_wait_seconds),
    )
    return [token, *(_in_force(*other) for other in others), log_level]


def _in_force(variable: str, value: object, default: object) -> Finding:
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    detail = f"{shown}, the default" if value == default else shown
    return Finding(step=variable, verdict="ok", detail=detail)


def _masked(token: str) -> str:
    long_enough = len(token) >= _SHORTEST_SHOWN_TOKEN
    ending = f", ending in {token[-_SHOWN_OF_TOKEN:]}" if long_enough else ""
    return f"set, {len(token)} characters{ending}"


async def _way_to_the_api(settings: Settings) -> AsyncIterator[Finding]:
    """Go the way of a request, one step at a time, as far as it leads."""
    if settings.sandbox:
        yield Finding(step="network", verdict="skip", detail="the sandbox is in this process")
        return
    url = httpx.URL(settings.api_base_url)
    proxy = _proxy(url)
    goal = proxy or url
    host = goal.raw_host.decode("ascii")
    port = goal.port or _DEFAULT_PORTS.get(goal.scheme, 443)
    if proxy is not None:
        yield Finding(step="proxy", verdict="ok", detail=f"requests go through {host}:{port}")
    for step in (_NAME, _CONNECTION, _TLS):
        if step is _TLS and (proxy is not None or url.scheme != "https"):
            why = "the proxy is in between" if proxy else "plain http, to this machine only"
            yield Finding(step=step.name, verdict="skip", detail=why)
            return
        found = await _take(step, host, port)
        yield found
        if found.verdict == "FAIL":
            return


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    take: Callable[[str, int], Awaitable[str]]
    remedy: str


async def _resolve(host: str, port: int) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = sorted({str(address[0]) for *_, address in found})
    return f"{host} is {', '.join(addresses)}"


async def _connect(host: str, port: int) -> str:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    await writer.wait_closed()
    return f"port {port} answers"


async def _shake_hands(host: str, port: int) -> str:
    # With what the requests trust: the certificates of SSL_CERT_FILE, or those that httpx brings.
    context = httpx.create_ssl_context()
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    await writer.wait_closed()
    return f"{version}, the certificate is good"


_NAME = _Step("name", _resolve, f"Check {BASE_URL_VARIABLE}, the network and its DNS.")
_CONNECTION = _Step(
    "connection",
    _connect,
    f"Check {BASE_URL_VARIABLE} and the firewall; if this network wants a proxy, set HTTPS_PROXY.",
)
_TLS = _Step("TLS", _shake_hands, advice(UntrustedError("")))


async def _take(step: _Step, host: str, port: int) -> Finding:
    started = time.monotonic()
    verdict: Verdict = "FAIL"
    try:
        async with asyncio.timeout(STEP_SECONDS):
            detail, verdict = await step.take(host, port), "ok"
    except TimeoutError:
        detail = f"no answer from {host}:{port} in {STEP_SECONDS:g} s"
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or "no TLS"
        detail = f"{host}:{port}: {reason}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        detail = f"{host}:{port}: {reason}"
    return Finding(
        step=step.name,
        verdict=verdict,
        detail=detail,
        remedy=step.remedy if verdict == "FAIL" else None,
        seconds=round(time.monotonic() - started, 3),
    )


async def _token(settings: Settings, transport: httpx.AsyncBaseTransport | None) -> Finding:
    """Ask for a task that cannot be: who is told that there is none may ask."""
    asked = "the sandbox" if settings.sandbox else settings.api_base_url
    started = time.monotonic()
    failure: HailuoTasksError | None = None
    try:
        async with HailuoTasksClient(settings, transport=transport) as client:
            if await client.retrieve(IMPOSSIBLE_TASK_ID) is not None:
                failure = UnreadableAnswerError(f"{asked} tells of a task that cannot be", "")
    except HailuoTasksError as error:
        failure = error
    return Finding(
        step="token",
        verdict="FAIL" if failure else "ok",
        detail=failure.happened if failure else f"accepted by {asked}",
        remedy=advice(failure) if failure else None,
        seconds=round(time.monotonic() - started, 3),
    )


def _proxy(url: httpx.URL) -> httpx.URL | None:
    """Return the proxy that the environment names for a URL; None if there is none."""
    # What travels in the clear is meant for this machine, and passes no proxy.
    if url.scheme != "https" or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    named = proxies.get("https") or proxies.get("all")
    if not named:
        return None
    try:
        return httpx.URL(named if "://" in named else f"http://{named}")
    except httpx.InvalidURL:
        # The request will say so.
        return None
