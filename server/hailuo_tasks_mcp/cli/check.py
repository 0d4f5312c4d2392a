"""`hailuo-tasks-mcp check`: finds out, step by step, why look-ups do not work here."""

import argparse
import asyncio
import json
import platform
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal, Self

import httpx

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.api.client import ApiClient, open_client
from hailuo_tasks_mcp.api.network import (
    PROXY_VARIABLES,
    proxy_for,
    reason_of,
    trusted_certificates,
)
from hailuo_tasks_mcp.api.services import SERVICES, Service
from hailuo_tasks_mcp.api.streams import connect, resolve
from hailuo_tasks_mcp.api.transport import host_and_port
from hailuo_tasks_mcp.cli.startup import Startup, start
from hailuo_tasks_mcp.errors import (
    Failure,
    HailuoTasksError,
    NetworkConfigurationError,
    TokenMissingError,
    UnreadableResponseError,
    UntrustedCertificateError,
)
from hailuo_tasks_mcp.messages import remedy_and_trace_id
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import (
    BASE_URL_VARIABLE,
    READ_IN_SANDBOX,
    VARIABLES,
    Settings,
    Variable,
)

# No generation ever gets this id, so the request only shows whether look-ups are allowed.
IMPOSSIBLE_TASK_ID = "00000000-0000-0000-0000-000000000000"
STEP_SECONDS = 10.0
_SHOWN_TOKEN_CHARACTERS = 4
# Of a shorter one, that many would reveal too much.
_MIN_SHOWN_TOKEN_LENGTH = 12

_CHECK_DIRECT_ROUTE = (
    f"Check {BASE_URL_VARIABLE}, the network, its DNS and firewall; if this network wants a proxy, "
    "set HTTPS_PROXY."
)
_CHECK_TLS = f"Check the scheme, the host and the port of {BASE_URL_VARIABLE}."

Verdict = Literal["ok", "FAIL", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one step.

    Attributes:
        step: what was checked.
        verdict: how it is; "skip" where there is nothing to check.
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

    def redacted(self, redactor: Redactor) -> Self:
        """Return the finding without tokens: a gateway may want the token in the base URL."""
        remedy = self.remedy and redactor.redact(self.remedy)
        return replace(self, detail=redactor.redact(self.detail), remedy=remedy)

    def lines(self) -> str:
        """Return the finding as people read it."""
        took = "" if self.seconds is None else f" ({self.seconds * 1000:.0f} ms)"
        remedy = f"\n      {self.remedy}" if self.remedy else ""
        return f"{self.verdict:4}  {self.step}: {self.detail}{took}{remedy}"


def run(options: argparse.Namespace) -> int:
    """Print what is found, and return the exit code."""
    return asyncio.run(run_check(start(sandbox=options.sandbox), as_json=options.json))


async def run_check(startup: Startup, *, as_json: bool) -> int:
    """Print the effective settings and how far a look-up gets; return 0 if all is well, else 1.

    Args:
        startup: the settings, and what carries the requests.
        as_json: print one JSON object, when all is known, in place of lines.

    """
    findings: list[Finding] = []
    if not as_json:
        python = f"Python {platform.python_version()} on {platform.system()}"
        print(f"hailuo-tasks-mcp {__version__}, {python}")
    async for found in _check(startup):
        finding = found.redacted(startup.redactor)
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


async def _check(startup: Startup) -> AsyncIterator[Finding]:
    """Check the settings, the route to the API step by step, and the token at each service.

    Steps that a failure makes pointless are left out.
    """
    settings = startup.settings
    ok = True
    for finding in _check_settings(settings):
        ok = ok and not finding.failed
        yield finding
    if settings.problem is not None:
        return
    # Without a token the route to the API can still be checked.
    async for finding in _check_network_path(settings):
        ok = ok and not finding.failed
        yield finding
    if ok:
        for finding in await _check_token(startup):
            yield finding


def _check_settings(settings: Settings) -> Iterator[Finding]:
    """Check every variable, so that all that is wrong can be corrected at once."""
    if settings.sandbox:
        own = "the sandbox's own; of yours only these are read"
        yield Finding(step="settings", verdict="skip", detail=own)
    for name, variable in VARIABLES.items():
        if variable.name in READ_IN_SANDBOX or not settings.sandbox:
            yield _check_variable(name, variable, settings)


def _check_variable(setting: str, variable: Variable, settings: Settings) -> Finding:
    for problem in settings.problems:
        if problem.details["variable"] == variable.name:
            # The step has the name already.
            message = problem.message.removeprefix(f"{variable.name} ")
            return _failed(variable.name, replace(problem, message=message))
    value = getattr(settings, setting)
    if value is None and variable.required:
        return _failed(variable.name, Failure(TokenMissingError, "not set"))
    if value is None:
        detail = "not set"
    elif variable.secret:
        detail = _masked(value)
    else:
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        detail = f"{shown}, the default" if value == variable.default else shown
    return Finding(step=variable.name, verdict="ok", detail=detail)


def _failed(step: str, failure: Failure, seconds: float | None = None) -> Finding:
    return Finding(
        step=step,
        verdict="FAIL",
        detail=failure.message,
        remedy=remedy_and_trace_id(failure, "person"),
        seconds=seconds,
    )


def _masked(token: str) -> str:
    long_enough = len(token) >= _MIN_SHOWN_TOKEN_LENGTH
    ending = f", ending in {token[-_SHOWN_TOKEN_CHARACTERS:]}" if long_enough else ""
    return f"set, {len(token)} characters{ending}"


async def _check_network_path(settings: Settings) -> AsyncIterator[Finding]:
    """Take the route of a request, one step at a time, as far as it leads."""
    if settings.sandbox:
        yield Finding(step="network", verdict="skip", detail="the sandbox is in this process")
        return
    url = httpx.URL(settings.api_base_url)
    try:
        proxy = proxy_for(settings.api_base_url)
        certificates = trusted_certificates() if url.scheme == "https" else None
    except NetworkConfigurationError as error:
        yield _failed("network", error.failure)
        return
    peer = _Peer(*host_and_port(proxy.url if proxy else url))
    if proxy:
        yield Finding(step="proxy", verdict="ok", detail=f"requests go through {peer}")
    check_peer = f"Check {PROXY_VARIABLES}." if proxy else _CHECK_DIRECT_ROUTE
    finding = await _run_step("name", _resolve(peer), peer, check_peer)
    yield finding
    if not finding.failed:
        finding = await _run_step("connection", _connect(peer), peer, check_peer)
        yield finding
    if finding.failed:
        return
    if certificates is None or (proxy and proxy.url.scheme != "https"):
        why = "the proxy is in between" if proxy else "plain http, to this machine only"
        yield Finding(step="TLS", verdict="skip", detail=why)
        return
    check_tls = check_peer if proxy else _CHECK_TLS
    yield await _run_step("TLS", _tls_handshake(peer, certificates), peer, check_tls)


@dataclass(frozen=True, slots=True)
class _Peer:
    """What is connected to first: the proxy or the API."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def _resolve(peer: _Peer) -> str:
    addresses = sorted({host for host, _ in await resolve(peer.host, peer.port)})
    return f"{peer.host} is {', '.join(addresses)}"


async def _connect(peer: _Peer) -> str:
    (await connect(await resolve(peer.host, peer.port))).abort()
    return f"port {peer.port} answers"


async def _tls_handshake(peer: _Peer, certificates: ssl.SSLContext) -> str:
    stream = await connect(await resolve(peer.host, peer.port))
    version = await stream.start_tls(certificates, peer.host)
    stream.abort()
    return f"{version}, the certificate is good"


async def _run_step(step: str, awaitable: Awaitable[str], peer: _Peer, remedy: str) -> Finding:
    start_seconds = time.monotonic()
    failed = True
    try:
        async with asyncio.timeout(STEP_SECONDS):
            detail, failed = await awaitable, False
    except OSError as error:
        # The bound's own error has no number; one of the system is a TimeoutError too.
        ours = isinstance(error, TimeoutError) and not error.errno
        reason = f"no answer in {STEP_SECONDS:g} s" if ours else reason_of(error)
        detail = f"{peer}: {reason}"
        if isinstance(error, ssl.SSLCertVerificationError):
            remedy = remedy_and_trace_id(Failure(UntrustedCertificateError, ""), "person")
    return Finding(
        step=step,
        verdict="FAIL" if failed else "ok",
        detail=detail,
        remedy=remedy if failed else None,
        seconds=round(time.monotonic() - start_seconds, 3),
    )


async def _check_token(startup: Startup) -> list[Finding]:
    """Ask each service for a task that cannot exist: "not found" means that look-ups are allowed.

    Both at once, so that one that does not answer keeps nobody waiting twice.
    """
    settings, transport, redactor = startup
    peer_name = "the sandbox" if settings.sandbox else settings.api_base_url
    async with open_client(settings, transport=transport, redactor=redactor) as client:
        return await asyncio.gather(
            *(_check_token_at(service, client, peer_name) for service in SERVICES)
        )


async def _check_token_at(service: Service, client: ApiClient, peer_name: str) -> Finding:
    step = f"token at {service.label}"
    start_seconds = time.monotonic()
    failure: Failure | None = None
    try:
        if (await client.look_up_at(service, [IMPOSSIBLE_TASK_ID])).records:
            message = f"{peer_name} tells of a task that cannot be"
            failure = Failure(UnreadableResponseError, message)
    except HailuoTasksError as error:
        failure = error.failure
    seconds = round(time.monotonic() - start_seconds, 3)
    if failure is not None:
        return _failed(step, failure, seconds)
    return Finding(step=step, verdict="ok", detail=f"accepted by {peer_name}", seconds=seconds)
