"""`hailuo-tasks-mcp check`: finds out, step by step, why look-ups do not work here."""

import asyncio
import json
import platform
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import httpx

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.api.client import HailuoTasksClient
from hailuo_tasks_mcp.api.network import PROXY_VARIABLES, proxy_for, reason_of, trusted_certificates
from hailuo_tasks_mcp.errors import (
    BASE_URL_VARIABLE,
    TOKEN_VARIABLE,
    HailuoTasksError,
    NetworkSetupError,
    TokenMissingError,
    UnreadableAnswerError,
    UntrustedError,
)
from hailuo_tasks_mcp.messages import advice
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
# As httpx has it.
_HAPPY_EYEBALLS_SECONDS = 0.25

_CHECK_DIRECT_WAY = (
    f"Check {BASE_URL_VARIABLE}, the network, its DNS and firewall; if this network wants a proxy, "
    "set HTTPS_PROXY."
)
_CHECK_TLS = f"Check the scheme, the host and the port of {BASE_URL_VARIABLE}."

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

    @property
    def failed(self) -> bool:
        """Whether something is wrong."""
        return self.verdict == "FAIL"

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
            print(finding.lines())
    ok = not any(finding.failed for finding in findings)
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
        well = well and not finding.failed
        yield finding
    if settings.problem is not None:
        return
    # Without a token the way to the API can still be looked at.
    async for finding in _way_to_the_api(settings):
        well = well and not finding.failed
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
    try:
        proxy = proxy_for(settings.api_base_url)
        certificates = trusted_certificates() if url.scheme == "https" else None
    except NetworkSetupError as error:
        yield Finding(step="network", verdict="FAIL", detail=error.happened, remedy=advice(error))
        return
    goal = _Goal.of(proxy.url if proxy else url)
    if proxy:
        yield Finding(step="proxy", verdict="ok", detail=f"requests go through {goal}")
    check_goal = f"Check {PROXY_VARIABLES}." if proxy else _CHECK_DIRECT_WAY
    found = await _take("name", _resolve(goal), goal, check_goal)
    yield found
    if not found.failed:
        found = await _take("connection", _connect(goal), goal, check_goal)
        yield found
    if found.failed:
        return
    if certificates is None or (proxy and proxy.url.scheme != "https"):
        why = "the proxy is in between" if proxy else "plain http, to this machine only"
        yield Finding(step="TLS", verdict="skip", detail=why)
        return
    check_tls = check_goal if proxy else _CHECK_TLS
    yield await _take("TLS", _shake_hands(goal, certificates), goal, check_tls)


@dataclass(frozen=True, slots=True)
class _Goal:
    """What is connected to first."""

    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> Self:
        return cls(url.raw_host.decode("ascii"), url.port or _DEFAULT_PORTS[url.scheme])

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def _resolve(goal: _Goal) -> str:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(goal.host, goal.port, type=socket.SOCK_STREAM)
    addresses = sorted({str(address[0]) for *_, address in found})
    return f"{goal.host} is {', '.join(addresses)}"


async def _connect(goal: _Goal) -> str:
    await _open_and_drop(goal)
    return f"port {goal.port} answers"


async def _shake_hands(goal: _Goal, certificates: ssl.SSLContext) -> str:
    transport = await _open_and_drop(goal, ssl=certificates, server_hostname=goal.host)
    return f"{transport.get_extra_info('ssl_object').version()}, the certificate is good"


async def _open_and_drop(goal: _Goal, **tls: Any) -> asyncio.WriteTransport:
    _, writer = await asyncio.open_connection(
        # Like httpx, not held up by an address that does not answer while another one does.
        goal.host,
        goal.port,
        happy_eyeballs_delay=_HAPPY_EYEBALLS_SECONDS,
        **tls,
    )
    # Not closed politely, which could take the other side for ever.
    writer.transport.abort()
    return writer.transport


async def _take(step: str, looking: Awaitable[str], goal: _Goal, remedy: str) -> Finding:
    started = time.monotonic()
    failed = True
    try:
        async with asyncio.timeout(STEP_SECONDS):
            detail, failed = await looking, False
    except OSError as error:
        # The bound's own error has no number; one of the system is a TimeoutError too.
        ours = isinstance(error, TimeoutError) and not error.errno
        reason = f"no answer in {STEP_SECONDS:g} s" if ours else reason_of(error)
        detail = f"{goal}: {reason}"
        if isinstance(error, ssl.SSLCertVerificationError):
            remedy = advice(UntrustedError(""))
    return Finding(
        step=step,
        verdict="FAIL" if failed else "ok",
        detail=detail,
        remedy=remedy if failed else None,
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
