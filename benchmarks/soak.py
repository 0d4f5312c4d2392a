"""A soak: thousands of calls over stdio or HTTP to an API that fails now and then.

    python benchmarks/soak.py [--transport stdio] [--calls 10000] [--route all] [--faults 0.05]

For each route to the API (directly, through a proxy of HTTP, through one of SOCKS5), starts the
server as a host does, and makes its share of the calls, of which it cancels some. Over HTTP there
are several callers, each with a token of their own, who ask for the same ids at the same time. The
API is a raw stand-in on 127.0.0.1 that speaks TLS. It breaks one response in twenty, and the proxy
as many of the connections, in every way that a network can; what it responds names the owner of
the token. Prints what it saw, and ends with 0 if no call was lost, no answer was wrong, another
request's or another caller's, no token was in the log, nothing of a caller in the metrics, no
descriptor was left and the server's memory did not grow.

Needs /proc, so Linux.
"""

import argparse
import asyncio
import json
import re
import ssl
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from random import Random
from tempfile import TemporaryFile
from typing import IO

import trustme

from attack_inputs import SURPLUS
from connections import Listener, listening
from hailuo_tasks_mcp.api.transport import MAX_IDLE_CONNECTIONS
from proxies import Proxy
from soak_api import LIMIT_IN_FLIGHT, Api, owner_of
from soak_drivers import Driver, over_http, over_stdio
from stdio_driver import Json

# By route, the variable that names the proxy; it speaks both of their protocols.
ROUTES = {"direct": None, "http": "HTTPS_PROXY", "socks5": "ALL_PROXY"}
# Calls of each caller.
AT_ONCE = 20
CALLERS = {"stdio": 1, "http": 4}
WARM_UP_CALLS = 500
MAX_GROWTH_MB = 10.0
REQUEST_TIMEOUT_SECONDS = 0.5
# Of the calls, each after a random time up to this one.
SHARE_CANCELLED = 0.05
MAX_PATIENCE_SECONDS = 0.05
# Calls queue here, so this is far beyond what any should take.
CALL_SECONDS = 60
# Until the server has closed what it does not need any more.
SETTLE_SECONDS = 5
# In each token, and nowhere else.
_SECRET = "soak-secret"  # noqa: S105 - a part of what is valid nowhere
_OWNER = re.compile(r"owner-[0-9a-f]{12}")
# What no metric may hold: ids, tokens, owners, URLs and prompts.
_OF_CALLERS = re.compile(rf"(done|running|unknown|h3)-\d|{_SECRET}|owner-|cdn\.invalid|pppp")
_QUIET_LINE = re.compile(rb"\S+ \S+ (DEBUG|INFO) ")
_SHOWN_LINES = 20


def pick_call(number: int, rng: Random) -> tuple[Json, dict[str, str]]:
    """Return the params of a call, and the states of a true answer, by task id."""
    kind = rng.choices(("one", "batch", "wait", "refused"), (70, 20, 5, 5))[0]
    if kind == "refused":
        return {"name": "retrieve_task", "arguments": {"task_id": "not an id"}}, {}
    if kind == "batch":
        states = {f"done-{number}": "succeeded", f"running-{number}": "processing"}
        states |= {f"done-{number}-{n}": "succeeded" for n in range(4)}
        states |= {f"h3-{number}-{n}": "succeeded" for n in range(4)}
        states[f"unknown-{number}"] = "not_found"
        return {"name": "retrieve_tasks_batch", "arguments": {"task_ids": list(states)}}, states
    arguments: Json = {"task_id": f"{rng.choice(('done', 'h3'))}-{number}"}
    if kind == "wait":
        arguments = {"task_id": f"running-{number}", "wait_seconds": 1}
    state = "processing" if kind == "wait" else "succeeded"
    return {"name": "retrieve_task", "arguments": arguments}, {arguments["task_id"]: state}


# An error that says when to ask again, or that a call has tried for as long as it may.
TRANSIENT = re.compile("Ask again in|so asking again now")


def judge(result: Json, states: dict[str, str]) -> str:
    """Return the verdict on an answer."""
    if result.get("isError"):
        text = result["content"][0]["text"]
        if not states:
            return "refused, as it should be" if "may only hold" in text else "WRONG"
        return "error told" if TRANSIENT.search(text) else "WRONG"
    answer = result["structuredContent"]
    tasks = answer.get("tasks", [answer])
    if [task["task_id"] for task in tasks] != list(states):
        return "WRONG"
    returned = {task["task_id"]: task["state"] for task in tasks}
    if returned == states:
        return "true"
    unknown = {task_id for task_id in states if returned[task_id] == "unknown"}
    if len(unknown) == len(states):
        # Of which nothing is known is an error, not an answer.
        return "WRONG"
    rest = {task_id: state for task_id, state in returned.items() if task_id not in unknown}
    return "true in part" if rest.items() <= states.items() else "WRONG"


class Calls:
    """Makes the callers' calls and counts the verdicts on their answers."""

    def __init__(self, driver: Driver, tokens: Sequence[str], rng: Random) -> None:
        self.driver = driver
        self.tokens = tokens
        self.rng = rng
        self.verdicts: Counter[str] = Counter()

    async def make(self, first: int, last: int) -> None:
        """Make the calls of these numbers, those of each caller some at once."""
        count = len(self.tokens)

        async def work(token: str, left: Iterable[int]) -> None:
            for number in left:
                # The callers ask for the same ids.
                self.verdicts[await self.call(token, number // count)] += 1

        async with asyncio.TaskGroup() as group:
            for place, token in enumerate(self.tokens):
                left = iter(range(first + place, last, count))
                for _ in range(AT_ONCE):
                    group.create_task(work(token, left))

    async def call(self, token: str, number: int) -> str:
        """Make a call, or cancel it meanwhile, and return the verdict."""
        params, states = pick_call(number, Random(number))  # noqa: S311 - the same for each caller
        cancels = self.rng.random() < SHARE_CANCELLED
        seconds = self.rng.uniform(0, MAX_PATIENCE_SECONDS) if cancels else CALL_SECONDS
        try:
            message = await self.driver.ask(token, params, seconds)
        except TimeoutError:
            return "cancelled" if cancels else "LOST"
        text = json.dumps(message)
        if set(_OWNER.findall(text)) - {owner_of(token)}:
            return "ANOTHER'S"
        if SURPLUS in text or "result" not in message:
            return "WRONG"
        return judge(message["result"], states)


def secret_lines(log: IO[bytes]) -> int:
    """Return how many lines of the log hold a token or a part of one; pass on its warnings."""
    log.seek(0)
    lines = log.readlines()
    for line in [line for line in lines if not _QUIET_LINE.match(line)][:_SHOWN_LINES]:
        print(line.decode(errors="replace"), end="", file=sys.stderr)
    return sum(_SECRET.encode() in line for line in lines)


async def soak(transport: str, route: str, calls: int, share_of_faults: float, seed: int) -> bool:
    """Make calls by a route, print the results, and return whether all are as they should be."""
    rng = Random(f"{seed} {route}")  # noqa: S311 - a seed, so that a run can be had again
    api, proxy = Api(share_of_faults, rng), Proxy(share_of_faults, rng)
    authority = trustme.CA()
    certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(certificates)
    environ = {
        "HAILUO_REQUEST_TIMEOUT_SECONDS": str(REQUEST_TIMEOUT_SECONDS),
        "HAILUO_LOG_LEVEL": "DEBUG",
    }
    tokens = [f"{_SECRET}-{rng.getrandbits(64):016x}" for _ in range(CALLERS[transport])]
    early = min(WARM_UP_CALLS * len(tokens), calls)
    started = time.monotonic()
    with authority.cert_pem.tempfile() as certificate_file, TemporaryFile() as log:
        async with (
            listening(api.on_connection, certificates) as to_api,
            listening(proxy.on_connection) as to_proxy,
        ):
            environ["SSL_CERT_FILE"] = certificate_file
            if variable := ROUTES[route]:
                environ[variable] = f"{route}://127.0.0.1:{to_proxy.port}"
            listener = to_proxy if variable else to_api
            base_url = f"https://localhost:{to_api.port}"
            async with (
                over_http(base_url, log, rng, **environ)
                if transport == "http"
                else over_stdio(base_url, log, tokens[0], **environ)
            ) as driver:
                server = driver.server
                first_files, made = server.open_files(), Calls(driver, tokens, rng)
                await made.make(0, early)
                early_mb = server.memory_mb()
                await made.make(early, calls)
                late_mb = server.memory_mb()
                of_callers = _OF_CALLERS.findall(await driver.metrics())
                driver.close()
                more_files, kept = await settle(driver, first_files, to_api)
        secrets = secret_lines(log)
    faults, verdicts = api.faults + proxy.faults, made.verdicts
    print(
        f"route      {route}\n"
        f"calls      {verdicts.total()} of {calls} answered, {driver.unasked()} unasked\n"
        f"answers    {dict(verdicts.most_common())}\n"
        f"requests   {api.requests}, {api.refused} refused beyond {LIMIT_IN_FLIGHT} in flight, "
        f"at most {api.most_in_flight}\n"
        f"faults     {faults.total()}: {dict(faults)}\n"
        f"told       {secrets} lines of the log with a token, {len(of_callers)} things of callers "
        f"in the metrics\n"
        f"memory     {early_mb:.1f} MB after {early} calls, {late_mb:.1f} MB at the end\n"
        f"connected  {listener.total} times, at most {listener.most_open} at once, "
        f"{kept} kept at the end\n"
        f"files      {more_files} more at the end than at the start\n"
        f"time       {time.monotonic() - started:.0f} s, exit code {server.process.returncode}",
        flush=True,
    )
    return bool(
        verdicts.total() == calls
        and not driver.unasked()
        and not any(verdicts[verdict] for verdict in ("WRONG", "LOST", "ANOTHER'S"))
        and verdicts["true"]
        # A broken response is that of every call whose ids went out with it.
        and verdicts["error told"] + verdicts["true in part"] <= faults.total() * AT_ONCE
        and not secrets
        and not of_callers
        and late_mb - early_mb <= MAX_GROWTH_MB
        and not api.refused
        and more_files <= kept <= min(MAX_IDLE_CONNECTIONS, (LIMIT_IN_FLIGHT - 1) * len(tokens))
        and server.process.returncode == 0
    )


async def settle(driver: Driver, first_files: int, to_api: Listener) -> tuple[int, int]:
    """Return how many more files are open than at first, and how many connections to the API."""
    open_files = driver.server.open_files
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while open_files() - first_files > len(to_api.open):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.02)
    return open_files() - first_files, len(to_api.open)


async def soak_each(options: argparse.Namespace) -> int:
    """Share the calls among the routes; return the exit code."""
    routes = list(ROUTES) if options.route == "all" else [options.route]
    good = True
    async with asyncio.timeout(options.seconds):
        for number, route in enumerate(routes):
            share = len(range(number, options.calls, len(routes)))
            is_good = await soak(options.transport, route, share, options.faults, options.seed)
            good = is_good and good
    print("GOOD" if good else "NOT GOOD")
    return 0 if good else 1


def main() -> int:
    """Run the soak; return 0 if all was as it should be, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--transport", choices=list(CALLERS), default="stdio")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--route", choices=[*ROUTES, "all"], default="all")
    parser.add_argument("--faults", type=float, default=0.05, help="share of what is broken")
    parser.add_argument("--seconds", type=float, default=300, help="give up after so long")
    parser.add_argument("--seed", type=int, default=1)
    return asyncio.run(soak_each(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
