"""A soak: thousands of calls over stdio to an API that fails now and then.

    python benchmarks/soak.py [--calls 10000] [--route all] [--faults 0.05] [--seconds 300]

For each route to the API (directly, through a proxy of HTTP, through one of SOCKS5), starts the
server as a host does, and makes its share of the calls, of which it cancels some. The API is a raw
stand-in on 127.0.0.1 that speaks TLS. It breaks one response in twenty, and the proxy as many of
the connections, in every way that a network can. Prints what it saw, and ends with 0 if no call
was lost, no answer was wrong or another request's, no descriptor was left and the server's memory
did not grow.

Needs /proc, so Linux.
"""

import argparse
import asyncio
import json
import os
import re
import ssl
import sys
import time
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from random import Random

import trustme

from attack_inputs import SMALL_BUT_HUGE, SURPLUS, SURPLUS_ANSWER, as_json, http
from connections import Listener, listening, read_request
from proxies import Proxy
from stdio_driver import OURS, Json, Server, running

Fault = Callable[[StreamReader, StreamWriter, bytes], Awaitable[None]]
"""Breaks a response, of which it is given the good one; the connection ends with it."""

# By route, the variable that names the proxy; it speaks both of their protocols.
ROUTES = {"direct": None, "http": "HTTPS_PROXY", "socks5": "ALL_PROXY"}
AT_ONCE = 20
WARM_UP_CALLS = 500
MAX_GROWTH_MB = 10.0
# The platform allows five requests of a token in flight, of which the server uses four.
LIMIT_IN_FLIGHT = 5
REQUEST_TIMEOUT_SECONDS = 0.5
MAX_LATENCY_SECONDS = 0.01
# Of the connections, after a good response: so there are always new ones.
SHARE_ENDED = 0.2
# Of the calls, each after a random time up to this one.
SHARE_CANCELLED = 0.05
MAX_PATIENCE_SECONDS = 0.05
# Calls queue here, so this is far beyond what any should take.
CALL_SECONDS = 60
# Until the server has closed what it does not need any more.
SETTLE_SECONDS = 5


class Api:
    """The stand-in: a task is done, runs or is unknown by the first letter of its id."""

    def __init__(self, share_of_faults: float, rng: Random) -> None:
        self.share_of_faults = share_of_faults
        self.rng = rng
        self.requests = 0
        self.faults: Counter[str] = Counter()
        self.readers: set[StreamReader] = set()
        self.most_in_flight = 0
        self.refused = 0

    async def on_connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Respond to the requests of a connection until one side ends it."""
        going_on = True
        while going_on:
            head, body = await read_request(reader)
            self.requests += 1
            self.readers.add(reader)
            try:
                good = http(as_json(good_body(json.loads(body), b" /minimax/" in head)))
                going_on = await self.respond(reader, writer, good)
            finally:
                self.readers.discard(reader)

    async def respond(self, reader: StreamReader, writer: StreamWriter, good: bytes) -> bool:
        """Respond to a request; return whether the connection can go on."""
        # A request whose client has gone is not in flight.
        in_flight = sum(not (each.at_eof() or each.exception()) for each in self.readers)
        self.most_in_flight = max(self.most_in_flight, in_flight)
        if in_flight > LIMIT_IN_FLIGHT:
            self.refused += 1
            await FAULTS["rate_limited"](reader, writer, good)
            return False
        # So that look-ups overlap.
        await asyncio.sleep(self.rng.uniform(0, MAX_LATENCY_SECONDS))
        if self.rng.random() < self.share_of_faults:
            name = self.rng.choice(list(FAULTS))
            self.faults[name] += 1
            await FAULTS[name](reader, writer, good)
            return False
        writer.write(good)
        await writer.drain()
        return self.rng.random() >= SHARE_ENDED


def good_body(payload: Json, is_minimax: bool) -> Json:
    """Return what a service responds to a look-up."""
    known = h3_record if is_minimax else record
    if "id" in payload:
        body = known(payload["id"])
        return {"task": body or None} if is_minimax else body
    items = [item for item in map(known, payload["ids"]) if item]
    return {"items": items, "total" if is_minimax else "count": len(items)}


def record(task_id: str) -> Json:
    """Return the record that Hailuo has of a task."""
    if task_id.startswith(("unknown", "h3")):
        return {}
    head: Json = {"id": task_id, "created_at": time.time() - 20, "started_at": time.time() - 18}
    if task_id.startswith("running"):
        return head
    url = f"https://cdn.invalid/{task_id}.mp4"
    data = [{"id": "v", "state": "succeeded", "video_url": url, "prompt": "p" * 500}]
    return head | {"response": {"success": True, "data": data}}


def h3_record(task_id: str) -> Json:
    """Return the record that MiniMax H3 has of a task."""
    if not task_id.startswith("h3"):
        return {}
    url = f"https://cdn.invalid/{task_id}.mp4"
    return {
        "id": task_id,
        "model": "MiniMax-H3",
        "status": "succeeded",
        "created_at": int(time.time()) - 120,
        "updated_at": int(time.time()) - 20,
        "content": {"url": url},
        "duration": 4,
    }


def responding(response: bytes) -> Fault:
    """Return a fault that sends this response."""

    async def fault(_: StreamReader, writer: StreamWriter, __: bytes) -> None:
        writer.write(response)
        await writer.drain()

    return fault


async def reset(_: StreamReader, writer: StreamWriter, __: bytes) -> None:
    """Abort the connection without a response."""
    writer.transport.abort()


async def hang(reader: StreamReader, _: StreamWriter, __: bytes) -> None:
    """Send nothing until the other side gives up."""
    await reader.read()


async def tear(_: StreamReader, writer: StreamWriter, good: bytes) -> None:
    """Send a part of the response."""
    writer.write(good[:-1])
    await writer.drain()


def past_tls(plain: bytes) -> Fault:
    """Return a fault that sends bytes past TLS, in the middle of the body."""

    async def fault(reader: StreamReader, writer: StreamWriter, good: bytes) -> None:
        await tear(reader, writer, good)
        os.write(writer.get_extra_info("socket").fileno(), plain)
        await reader.read()

    return fault


async def surplus(reader: StreamReader, writer: StreamWriter, good: bytes) -> None:
    """Send a second response right behind the good one, of which nothing says whose it is."""
    video = {"state": "succeeded", "video_url": f"https://cdn.invalid/{SURPLUS}.mp4"}
    writer.write(good + http(as_json({"response": {"success": True, "data": [video]}})))
    await reader.read()


async def late_surplus(reader: StreamReader, writer: StreamWriter, good: bytes) -> None:
    """Send a second response when another request may have been sent already."""
    writer.write(good)
    await asyncio.sleep(MAX_LATENCY_SECONDS)
    writer.write(SURPLUS_ANSWER)
    await reader.read()


FAULTS: dict[str, Fault] = {
    "reset": reset,
    "torn": tear,
    "hang": hang,
    "closed": responding(b""),
    "nonsense": responding(b"SSH-2.0-OpenSSH\r\n"),
    "429": responding(http(b"{}", "Retry-After: 0", status="429 Too Many Requests")),
    "rate_limited": responding(
        http(b'{"error": {"code": "rate_limited"}}', status="429 Too Many Requests")
    ),
    "500": responding(
        http(b'{"error": {"code": "api_error"}}', status="500 Internal Server Error")
    ),
    "502": responding(http(b"<html>" * 1000, status="502 Bad Gateway")),
    "null": responding(http(b"null")),
    "html": responding(http(b"<html>" * 1000)),
    "deep": responding(http(b"[" * 100_000)),
    "9 MB": responding(http(b" " * 9_000_000)),
    "300,000 items": responding(http(b'{"items":[' + b"1," * 300_000 + b"1]}")),
    "plain past TLS": past_tls(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "broken record": past_tls(b"\x17\x03\x03\x00\x20" + b"x" * 32),
    "surplus": surplus,
    "late surplus": late_surplus,
    **{name: responding(response) for name, response in SMALL_BUT_HUGE.items()},
}


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
    """Makes calls and counts the verdicts on their answers."""

    def __init__(self, server: Server, rng: Random) -> None:
        self.server = server
        self.rng = rng
        self.verdicts: Counter[str] = Counter()
        self.cancelled: set[int] = set()

    async def make(self, numbers: Iterable[int]) -> None:
        """Make the calls of these numbers, some at once."""
        left = iter(numbers)

        async def work() -> None:
            for number in left:
                self.verdicts[await self.call(number)] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())

    async def call(self, number: int) -> str:
        """Make a call, or cancel it meanwhile, and return the verdict."""
        params, states = pick_call(number, self.rng)
        cancels = self.rng.random() < SHARE_CANCELLED
        seconds = self.rng.uniform(0, MAX_PATIENCE_SECONDS) if cancels else CALL_SECONDS
        request_id = self.server.new_id()
        try:
            async with asyncio.timeout(seconds):
                message = await self.server.ask("tools/call", params, request_id)
        except TimeoutError:
            self.server.send("notifications/cancelled", {"requestId": request_id})
            self.cancelled.add(request_id)
            return "cancelled" if cancels else "LOST"
        return "WRONG" if SURPLUS in json.dumps(message) else judge(message["result"], states)

    def unasked(self) -> int:
        """Return how many messages came that nobody waits for, nor waited before."""
        return sum(message.get("id") not in self.cancelled for message in self.server.others)


async def soak(route: str, calls: int, share_of_faults: float, seed: int, seconds: float) -> bool:
    """Make calls by a route, print the results, and return whether all are as they should be."""
    rng = Random(f"{seed} {route}")  # noqa: S311 - a seed, so that a run can be had again
    api, proxy = Api(share_of_faults, rng), Proxy(share_of_faults, rng)
    authority = trustme.CA()
    certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(certificates)
    environ = {"HAILUO_REQUEST_TIMEOUT_SECONDS": str(REQUEST_TIMEOUT_SECONDS)}
    early = min(WARM_UP_CALLS, calls)
    started = time.monotonic()
    with authority.cert_pem.tempfile() as certificate_file:
        async with (
            listening(api.on_connection, certificates) as to_api,
            listening(proxy.on_connection) as to_proxy,
        ):
            environ["SSL_CERT_FILE"] = certificate_file
            if variable := ROUTES[route]:
                environ[variable] = f"{route}://127.0.0.1:{to_proxy.port}"
            listener = to_proxy if variable else to_api
            base_url = f"https://localhost:{to_api.port}"
            async with running(OURS, base_url, sys.stderr.fileno(), seconds, **environ) as server:
                first_files, made = server.open_files(), Calls(server, rng)
                await made.make(range(early))
                early_mb = server.memory_mb()
                await made.make(range(early, calls))
                late_mb = server.memory_mb()
                more_files, kept = await settle(server, first_files, to_api)
    faults, verdicts = api.faults + proxy.faults, made.verdicts
    print(
        f"route      {route}\n"
        f"calls      {verdicts.total()} of {calls} answered, {made.unasked()} unasked\n"
        f"answers    {dict(verdicts.most_common())}\n"
        f"requests   {api.requests}, {api.refused} refused beyond {LIMIT_IN_FLIGHT} in flight, "
        f"at most {api.most_in_flight}\n"
        f"faults     {faults.total()}: {dict(faults)}\n"
        f"memory     {early_mb:.1f} MB after {early} calls, {late_mb:.1f} MB at the end\n"
        f"connected  {listener.total} times, at most {listener.most_open} at once, "
        f"{kept} kept at the end\n"
        f"files      {more_files} more at the end than at the start\n"
        f"time       {time.monotonic() - started:.0f} s, exit code {server.process.returncode}",
        flush=True,
    )
    return bool(
        verdicts.total() == calls
        and not made.unasked()
        and not verdicts["WRONG"]
        and not verdicts["LOST"]
        and verdicts["true"]
        # A broken response is that of every call whose ids went out with it.
        and verdicts["error told"] + verdicts["true in part"] <= faults.total() * AT_ONCE
        and late_mb - early_mb <= MAX_GROWTH_MB
        and not api.refused
        and more_files <= kept < LIMIT_IN_FLIGHT
        and server.process.returncode == 0
    )


async def settle(server: Server, first_files: int, to_api: Listener) -> tuple[int, int]:
    """Return how many more files are open than at first, and how many connections to the API."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while server.open_files() - first_files > len(to_api.open):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.02)
    return server.open_files() - first_files, len(to_api.open)


async def soak_each(routes: list[str], calls: int, faults: float, seed: int, seconds: float) -> int:
    """Share the calls among the routes; return the exit code."""
    good = True
    async with asyncio.timeout(seconds):
        for number, route in enumerate(routes):
            share = len(range(number, calls, len(routes)))
            good = await soak(route, share, faults, seed, seconds) and good
    print("GOOD" if good else "NOT GOOD")
    return 0 if good else 1


def main() -> int:
    """Run the soak; return 0 if all was as it should be, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--route", choices=[*ROUTES, "all"], default="all")
    parser.add_argument("--faults", type=float, default=0.05, help="share of what is broken")
    parser.add_argument("--seconds", type=float, default=300, help="give up after so long")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    routes = list(ROUTES) if chosen.route == "all" else [chosen.route]
    return asyncio.run(soak_each(routes, chosen.calls, chosen.faults, chosen.seed, chosen.seconds))


if __name__ == "__main__":
    raise SystemExit(main())
