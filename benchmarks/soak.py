"""A soak: thousands of calls over stdio to an API that fails now and then.

    python benchmarks/soak.py [--calls 10000] [--faults 0.05] [--seconds 300]

Starts the server as a host does, and a raw stand-in of the API on 127.0.0.1 that breaks one
response in twenty, in every way that a network can. Prints what it saw, and ends with 0 if no call
was lost, no answer was wrong, no connection leaked and the server's memory did not grow.

Needs `ps`, so Linux or macOS.
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Fault = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

AT_ONCE = 20
WARM_UP_CALLS = 500
MAX_GROWTH_MB = 10.0
# The platform allows five requests of a token in flight, of which the server uses four.
LIMIT_IN_FLIGHT = 5
TOKEN = "soak-token-0123456789"  # noqa: S105 - valid nowhere
REQUEST_TIMEOUT_SECONDS = 0.5
MAX_LATENCY_SECONDS = 0.01
# Calls queue here, so this is far beyond what any should take.
CALL_SECONDS = 60


class Api:
    """The stand-in: a task is done, runs or is unknown by the first letter of its id."""

    def __init__(self, share_of_faults: float, rng: random.Random) -> None:
        self.share_of_faults = share_of_faults
        self.rng = rng
        self.requests = 0
        self.faults: Counter[str] = Counter()
        self.in_flight = 0
        self.most_in_flight = 0
        self.refused = 0
        self.open = 0
        self.most_open = 0
        self.connections: set[asyncio.Task[Any] | None] = set()

    async def on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Respond to the requests of a connection until one side ends it."""
        self.connections.add(asyncio.current_task())
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self.respond(reader, writer):
                    pass
        finally:
            self.open -= 1
            self.connections.discard(asyncio.current_task())
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Respond to a request; return whether the connection can go on."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        payload = json.loads(await reader.readexactly(int(length[1]) if length else 0))
        self.requests += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self.respond_to(payload, b" /minimax/" in head, reader, writer)
        finally:
            self.in_flight -= 1

    async def respond_to(
        self,
        payload: Json,
        is_minimax: bool,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Respond to a look-up at one of the services."""
        if self.in_flight > LIMIT_IN_FLIGHT:
            self.refused += 1
            await FAULTS["rate_limited"](reader, writer)
            return False
        # So that look-ups overlap.
        await asyncio.sleep(self.rng.uniform(0, MAX_LATENCY_SECONDS))
        if self.rng.random() < self.share_of_faults:
            name = self.rng.choice(list(FAULTS))
            self.faults[name] += 1
            await FAULTS[name](reader, writer)
            return False
        known = h3_record if is_minimax else record
        if "id" in payload:
            body = known(payload["id"])
            body = {"task": body or None} if is_minimax else body
        else:
            items = [item for item in map(known, payload["ids"]) if item]
            body = {"items": items, "total" if is_minimax else "count": len(items)}
        writer.write(http_response("200 OK", json.dumps(body)))
        await writer.drain()
        return True


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


def http_response(status: str, body: str, *headers: str) -> bytes:
    """Return an HTTP response."""
    content = body.encode()
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(content)}", "", "")
    return "\r\n".join(lines).encode() + content


def responding(response: bytes) -> Fault:
    """Return a fault that sends this response and ends the connection."""

    async def fault(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response)
        await writer.drain()

    return fault


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Abort the connection without a response."""
    writer.transport.abort()


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Send nothing until the other side gives up."""
    await reader.read()


FAULTS: dict[str, Fault] = {
    "reset": reset,
    "torn": responding(http_response("200 OK", json.dumps(record("done")))[:-9]),
    "hang": hang,
    "closed": responding(b""),
    "nonsense": responding(b"SSH-2.0-OpenSSH\r\n"),
    "429": responding(http_response("429 Too Many Requests", "{}", "Retry-After: 0")),
    "rate_limited": responding(
        http_response("429 Too Many Requests", '{"error": {"code": "rate_limited"}}')
    ),
    "500": responding(
        http_response("500 Internal Server Error", '{"error": {"code": "api_error"}}')
    ),
    "502": responding(http_response("502 Bad Gateway", "<html>" * 1000)),
    "null": responding(http_response("200 OK", "null")),
    "html": responding(http_response("200 OK", "<html>" * 1000)),
    "deep": responding(http_response("200 OK", "[" * 100_000)),
    "9 MB": responding(http_response("200 OK", " " * 9_000_000)),
}


class Host:
    """Calls the server as a host does: one line of JSON a message, responses in any order."""

    def __init__(self, process: Process) -> None:
        assert process.stdin  # noqa: S101 - for the type checker
        assert process.stdout  # noqa: S101
        self.process = process
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.waiting: dict[int, asyncio.Future[Json]] = {}
        self.last_id = 0
        self.unexpected = 0

    async def listen(self) -> None:
        """Pass each response to the request that waits for it."""
        while line := await self.stdout.readline():
            message = json.loads(line)
            waiting = self.waiting.pop(message.get("id"), None)
            if waiting is None:
                self.unexpected += 1
            else:
                waiting.set_result(message)

    async def request(self, method: str, params: Json) -> Json:
        """Send a request and return its response."""
        self.last_id += 1
        response: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.waiting[self.last_id] = response
        message = {"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}
        self.stdin.write(json.dumps(message).encode() + b"\n")
        await self.stdin.drain()
        async with asyncio.timeout(CALL_SECONDS):
            return await response

    def memory_mb(self) -> float:
        """Return the server's resident size."""
        command = ("ps", "-o", "rss=", "-p", str(self.process.pid))
        return int(subprocess.check_output(command)) / 1024  # noqa: S603 - ours

    def open_files(self) -> int | None:
        """Return how many files and sockets the server holds open; None where /proc is missing."""
        folder = Path("/proc") / str(self.process.pid) / "fd"
        return len(list(folder.iterdir())) if folder.exists() else None


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[str]:
    """Serve the stand-in; yield its base URL."""
    server = await asyncio.start_server(api.on_connection, "127.0.0.1", 0, limit=2**20)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        # In later Pythons a server waits for its connections, so it must not do so before this.
        await asyncio.gather(*filter(None, api.connections))


@asynccontextmanager
async def hosting(base_url: str) -> AsyncIterator[Host]:
    """Start the server; close its stdin at the end, and wait for it to go."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HAILUO_")},
        "ACEDATACLOUD_API_TOKEN": TOKEN,
        "ACEDATACLOUD_API_BASE_URL": base_url,
        "HAILUO_REQUEST_TIMEOUT_SECONDS": str(REQUEST_TIMEOUT_SECONDS),
    }
    command = (sys.executable, "-m", "hailuo_tasks_mcp")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, env=environ, limit=2**24
    )
    host = Host(process)
    listening = asyncio.create_task(host.listen())
    try:
        yield host
        host.stdin.close()
        async with asyncio.timeout(CALL_SECONDS):
            await process.wait()
            await listening
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def pick_call(number: int, rng: random.Random) -> tuple[Json, dict[str, str]]:
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


def judge(result: Json, states: dict[str, str]) -> str:
    """Return the verdict on an answer."""
    if result.get("isError"):
        text = result["content"][0]["text"]
        if not states:
            return "refused, as it should be" if "may only hold" in text else "WRONG"
        return "error told" if re.search("ask(ing)? again", text, re.IGNORECASE) else "WRONG"
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


async def soak(calls: int, share_of_faults: float, seed: int) -> bool:
    """Make the calls, print the results, and return whether all are as they should be."""
    rng = random.Random(seed)  # noqa: S311 - a seed, so that a run can be had again
    api = Api(share_of_faults, rng)
    verdicts: Counter[str] = Counter()
    started = time.monotonic()
    async with serving(api) as base_url, hosting(base_url) as host:
        client = {"name": "soak", "version": "1"}
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        await host.request("initialize", hello)
        host.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        numbers = iter(range(calls))

        async def work(until: int) -> None:
            while sum(verdicts.values()) < until:
                number = next(numbers, None)
                if number is None:
                    return
                params, states = pick_call(number, rng)
                message = await host.request("tools/call", params)
                verdicts[judge(message["result"], states)] += 1

        async def work_together(until: int) -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(work(until))

        await work_together(WARM_UP_CALLS)
        early_mb, early_files = host.memory_mb(), host.open_files()
        await work_together(calls)
        late_mb, late_files = host.memory_mb(), host.open_files()
        left_waiting, idle = len(host.waiting), api.open
    seconds = time.monotonic() - started
    answered = sum(verdicts.values())
    print(
        f"calls      {answered} of {calls} answered, {left_waiting} left, {host.unexpected} unasked"
    )
    print(f"answers    {dict(verdicts.most_common())}")
    print(f"requests   {api.requests}, {api.faults.total()} of them broken: {dict(api.faults)}")
    early = min(WARM_UP_CALLS, calls)
    print(f"memory     {early_mb:.1f} MB after {early} calls, {late_mb:.1f} MB at the end")
    print(
        f"in flight  at most {api.most_in_flight}, {api.refused} refused beyond {LIMIT_IN_FLIGHT}"
    )
    print(f"connected  at most {api.most_open} at once, {idle} at the end, {api.open} after it")
    print(f"files      {early_files} after {early} calls, {late_files} at the end")
    print(f"time       {seconds:.0f} s, exit code {host.process.returncode}")
    good = bool(
        answered == calls
        and not left_waiting
        and not host.unexpected
        and not verdicts["WRONG"]
        and verdicts["true"]
        # A broken response is that of every call whose ids went out with it.
        and verdicts["error told"] + verdicts["true in part"] <= api.faults.total() * AT_ONCE
        and late_mb - early_mb <= MAX_GROWTH_MB
        and not api.refused
        and idle <= AT_ONCE
        and not api.open
        and (early_files is None or late_files is None or late_files - early_files <= AT_ONCE)
        and host.process.returncode == 0
    )
    print("GOOD" if good else "NOT GOOD")
    return good


def main() -> int:
    """Run the soak; return 0 if all was as it should be, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--faults", type=float, default=0.05, help="share of broken answers")
    parser.add_argument("--seconds", type=float, default=300, help="give up after so long")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    async def bounded() -> bool:
        async with asyncio.timeout(options.seconds):
            return await soak(options.calls, options.faults, options.seed)

    return 0 if asyncio.run(bounded()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
