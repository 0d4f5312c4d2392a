"""An attack: generated input of each kind that reaches the server, from the API and from hosts.

    python benchmarks/attack.py [--seed 1] [--seconds 60] [CLASS ...]

For each class, starts the server as a host does beside a raw stand-in of the API on 127.0.0.1,
and has it read what the class generates (`attack_inputs.py`) until its share of the time is over.
Prints a line for each, and ends with 0 if all held: each call has an answer or a worded error, of
the task that was asked for and within bounds; the server stays alive and responds meanwhile; its
memory and its descriptors are bounded; no token and nothing hidden is in what it writes.

The seed decides what is generated; how much of it fits into the time, the machine does. Needs
/proc, so Linux.
"""

import argparse
import asyncio
import json
import os
import re
import tempfile
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import IO

from attack_inputs import (
    HIDDEN,
    REQUEST_TIMEOUT_SECONDS,
    SURPLUS,
    Answer,
    broken_line,
    full_answer,
    full_answers,
    full_look_up,
    good_answer,
    hidden_answer,
    hostile_answer,
    look_up,
    odd_call,
    odd_environment,
    record_answer,
)
from connections import listening, read_request
from stdio_driver import OURS, TOKEN, Json, Server, running

AT_ONCE = 8
FULL_AT_ONCE = 20
MAX_CALLS = 5_000
# Longer than the 45 seconds that all attempts of a look-up share.
CALL_SECONDS = 60.0
# No answer may hold the event loop for 100 ms; the rest is for a machine that does other things.
MAX_PING_SECONDS = 0.5
MAX_MB = 150.0
MAX_CHARACTERS = 8_000
MAX_BATCH_CHARACTERS = 100_000
# Those of connections that are kept.
MAX_MORE_FILES = 24
UNREACHABLE_URL = "https://127.0.0.1:9"
FORBIDDEN = {
    "token": re.escape(TOKEN),
    "traceback": "Traceback",
    "itself failed": "itself failed",
    "surplus answer": SURPLUS,
    "terminal escape": "[\x1b\x9b]",
    "hidden characters": f"[{''.join(map(chr, HIDDEN))}]",
}

Respond = Callable[[bytes, bytes], Answer]
"""Makes an answer of the first line and the body of a request."""


@dataclass
class Seen:
    """What was seen of a class: counts, and what did not hold."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def response(self, call: Json, message: Json) -> None:
        """Look at the response to a call."""
        result = message.get("result", {})
        failed = "error" in message or result.get("isError", False)
        self.counts["errors" if failed else "answers"] += 1
        text = "".join(block["text"] for block in result.get("content", []))
        several = call["name"] != "retrieve_task"
        self.faults["too long"] += len(text) > (MAX_BATCH_CHARACTERS if several else MAX_CHARACTERS)
        self.faults["no words"] += not (text or message.get("error", {}).get("message"))
        told = result.get("structuredContent", {}).get("task_id")
        self.faults["another task"] += not several and told not in {None, _task_id(call)}
        self.output(json.dumps(message, ensure_ascii=False))

    def output(self, text: str) -> None:
        """Look for what nothing that is written may hold."""
        for name, pattern in FORBIDDEN.items():
            self.faults[name] += bool(re.search(pattern, text))

    def line(self, name: str) -> str:
        """Return the result in a line."""
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        faults = ", ".join(f"{what} ({count})" for what, count in (+self.faults).items())
        return (
            f"{name:<11} {'NOT GOOD' if faults else 'GOOD'}: {counts}{f'; {faults}' * bool(faults)}"
        )


def _task_id(call: Json) -> object:
    arguments = call.get("arguments")
    task_id = arguments.get("task_id") if isinstance(arguments, dict) else None
    return task_id if isinstance(task_id, str) else None


@asynccontextmanager
async def serving(respond: Respond) -> AsyncIterator[str]:
    """Serve a stand-in of the API; yield its base URL."""

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            for part in respond(head.partition(b"\r\n")[0], body):
                if isinstance(part, float):
                    await asyncio.sleep(part)
                else:
                    writer.write(part)
                    await writer.drain()

    async with listening(on_connection) as listener:
        yield f"http://127.0.0.1:{listener.port}"


Drive = Callable[[Server, Seen, float], Awaitable[None]]
"""Drives a server until a time of the monotonic clock."""


async def attack_server(drive: Drive, respond: Respond, seconds: float) -> Seen:
    """Start a server, drive it for so long, and return what was seen of it."""
    seen = Seen()
    settings = {"HAILUO_REQUEST_TIMEOUT_SECONDS": str(REQUEST_TIMEOUT_SECONDS)}
    with tempfile.TemporaryFile() as stderr:
        try:
            async with (
                serving(respond) as base_url,
                running(OURS, base_url, stderr.fileno(), **settings) as server,
            ):
                await _drive_and_measure(drive, server, seen, time.monotonic() + seconds)
            seen.faults["exit code"] += server.process.returncode != 0
        except (ConnectionError, TimeoutError, ValueError) as error:
            seen.faults[f"the server ended or hangs: {error!r}"] += 1
        stderr.seek(0)
        seen.output(stderr.read().decode(errors="replace"))
    return seen


async def _drive_and_measure(drive: Drive, server: Server, seen: Seen, until: float) -> None:
    files, slowest = server.open_files(), 0.0

    async def ping() -> None:
        nonlocal slowest
        while True:
            started = time.perf_counter()
            async with asyncio.timeout(CALL_SECONDS):
                await server.request("ping", {})
            slowest = max(slowest, time.perf_counter() - started)
            await asyncio.sleep(0.02)

    pinging = asyncio.create_task(ping())
    try:
        await drive(server, seen, until)
    finally:
        pinging.cancel()
        (end,) = await asyncio.gather(pinging, return_exceptions=True)
        seen.faults["no ping"] += not isinstance(end, asyncio.CancelledError)
    # What is still under way, of calls that were cancelled, has ended when this has.
    async with asyncio.timeout(CALL_SECONDS):
        await server.ask("tools/call", look_up(1))
    for message in server.others:
        # A host's own id comes back as it is.
        seen.output(json.dumps({**message, "id": None}, ensure_ascii=False))
    seen.counts["ms at most"] = round(slowest * 1000)
    seen.counts["MB"] = round(server.peak_mb())
    seen.faults["slow"] += slowest > MAX_PING_SECONDS
    seen.faults["memory"] += server.peak_mb() > MAX_MB
    seen.faults["descriptors"] += server.open_files() > files + MAX_MORE_FILES


async def _call(  # noqa: PLR0913 - bound by `partial`
    make_call: Callable[[int], Json],
    server: Server,
    seen: Seen,
    until: float,
    patience: Callable[[], float] | None = None,
    *,
    at_once: int = AT_ONCE,
) -> None:
    """Make calls, some at once; where there is a patience, cancel what takes longer."""
    numbers = iter(range(MAX_CALLS))

    async def work() -> None:
        for number in numbers:
            if time.monotonic() > until:
                return
            call, request_id = make_call(number), server.new_id()
            try:
                async with asyncio.timeout(patience() if patience else CALL_SECONDS):
                    seen.response(call, await server.ask("tools/call", call, request_id))
            except TimeoutError:
                server.send("notifications/cancelled", {"requestId": request_id})
                seen.counts["cancelled"] += 1
                seen.faults["no response"] += patience is None

    await asyncio.gather(*(work() for _ in range(at_once)))


async def _send_lines(rng: Random, server: Server, seen: Seen, until: float) -> None:
    """Send broken lines; as many responses must come as there were requests among them."""
    assert server.process.stdin  # noqa: S101 - a pipe
    requests = 0
    while time.monotonic() < until and requests < MAX_CALLS:
        line = broken_line(requests, rng)
        requests += _wants_response(line)
        server.process.stdin.write(line + b"\n")
        await server.process.stdin.drain()
        seen.counts["lines"] += 1
        await asyncio.sleep(0.001)
    with suppress(TimeoutError):
        async with asyncio.timeout(CALL_SECONDS / 4):
            while len(server.others) < requests:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.02)
    seen.counts["responses"] = len(server.others)
    seen.faults["no response"] += max(requests - len(server.others), 0)


def _wants_response(line: bytes) -> bool:
    """Return whether a line is a request, or neither that nor anything else."""
    try:
        # As the SDK reads it: what is not UTF-8 is replaced.
        message = json.loads(line.decode(errors="replace"))
    except ValueError:
        return bool(line.strip())
    return not isinstance(message, dict) or {"id", "method"} <= message.keys()


async def attack_start(rng: Random, seconds: float) -> Seen:
    """Start the server and the check with odd variables: each starts, and says what it can."""
    seen = Seen()
    until = time.monotonic() + seconds

    async def work() -> None:
        while time.monotonic() < until:
            odd = {name: os.fsdecode(value) for name, value in odd_environment(rng).items()}
            seen.counts["environments"] += 1
            with tempfile.TemporaryFile() as stderr:
                await asyncio.gather(_serve(odd, stderr, seen), _check(odd, stderr, seen))
                stderr.seek(0)
                seen.output(stderr.read().decode(errors="replace"))

    await asyncio.gather(*(work() for _ in range(AT_ONCE // 2)))
    return seen


async def _serve(odd: dict[str, str], stderr: IO[bytes], seen: Seen) -> None:
    call = look_up(1)
    try:
        async with running(OURS, UNREACHABLE_URL, stderr.fileno(), **odd) as server:
            seen.response(call, await server.ask("tools/call", call))
    except (ConnectionError, TimeoutError, ValueError):
        seen.faults[f"no answer with {', '.join(odd)}"] += 1


async def _check(odd: dict[str, str], stderr: IO[bytes], seen: Seen) -> None:
    usual = {"ACEDATACLOUD_API_BASE_URL": UNREACHABLE_URL, "ACEDATACLOUD_API_TOKEN": TOKEN}
    command = (*OURS.command, "check", "--json")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=stderr, env=usual | odd
    )
    try:
        async with asyncio.timeout(CALL_SECONDS):
            out, _ = await process.communicate()
        json.loads(out)
        seen.output(out.decode())
    except (TimeoutError, ValueError):
        seen.faults[f"no check with {', '.join(odd)}"] += 1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def attacks(rng: Random) -> dict[str, Callable[[float], Awaitable[Seen]]]:
    """Return the classes by name; each takes its seconds."""

    def slow_answer(head: bytes, body: bytes) -> Answer:
        return [rng.uniform(0, REQUEST_TIMEOUT_SECONDS), *good_answer(head, body)]

    looking_up = partial(_call, look_up)
    odd_calls = partial(_call, partial(odd_call, rng=rng))
    cancelling = partial(_call, look_up, patience=partial(rng.uniform, 0, REQUEST_TIMEOUT_SECONDS))
    filling = partial(_call, full_look_up, at_once=FULL_AT_ONCE)
    return {
        "records": partial(attack_server, looking_up, partial(record_answer, rng=rng)),
        "answers": partial(attack_server, looking_up, partial(hostile_answer, rng=rng)),
        "hidden": partial(attack_server, looking_up, partial(hidden_answer, rng=rng)),
        "full": partial(attack_server, filling, partial(full_answer, answers=full_answers())),
        "lines": partial(attack_server, partial(_send_lines, rng), good_answer),
        "arguments": partial(attack_server, odd_calls, good_answer),
        "cancelled": partial(attack_server, cancelling, slow_answer),
        "environment": partial(attack_start, rng),
    }


async def attack(seed: int, seconds: float, names: list[str]) -> bool:
    """Run the classes, print what was seen of each, and return whether all held."""
    good = True
    for name in names:
        # Of its own, so that a class can be had again alone.
        rng = Random(f"{seed} {name}")  # noqa: S311 - a seed, not a secret
        seen = await attacks(rng)[name](seconds / len(names))
        good = good and not +seen.faults
        print(seen.line(name), flush=True)
    return good


def main() -> int:
    """Run the attack; return 0 if all held, else 1."""
    classes = list(attacks(Random(0)))  # noqa: S311 - for the names only
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="CLASS", help=", ".join(classes))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60, help="for all classes together")
    options = parser.parse_args()
    if unknown := set(options.names) - set(classes):
        parser.error(f"no such class: {', '.join(unknown)}")
    return 0 if asyncio.run(attack(options.seed, options.seconds, options.names or classes)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
