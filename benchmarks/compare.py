"""What a call, a start and an answer cost, beside the vendor's server.

    make bench

Makes environments of its own in `.bench/`, for this server, for the vendor's `mcp-hailuo` and for
an empty server on the same SDK (the floor), drives each over real stdio with one and the same
JSON-RPC driver, in turn, round after round, against one raw stand-in of the API on 127.0.0.1.
Prints tables and writes `dist/compare.json`. benchmarks/README.md says how to read them.

Needs /proc, so Linux.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from operator import sub, truediv
from pathlib import Path

import httpx

from hailuo_tasks_mcp.api.batching import COLLECT_SECONDS
from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.api.records import read_record
from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.api.services import HAILUO
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.polling import poll
from stdio_driver import TOKEN, Arm, Json, running, stand_in

HERE = Path(__file__).parent
ROOT = HERE.parent
# The clock of the tests, on which a minute takes no time.
sys.path.append(str(ROOT / "tests"))
from simulated_time import SimulatedTimeLoop  # noqa: E402 - see above

VENDOR = "mcp-hailuo==2026.10.18.4"
STARTS = 3
POST = "one httpx POST"
BLOCKS = 5
BLOCK = 20
AT_ONCE = 100
DELAY_SECONDS = 0.2
RUN_SECONDS = 70.0
BATCH = 50
GROWTH = (1, 10, 100, 1_000, 10_000)
REPEATS = 5


def arms(bench: Path) -> list[Arm]:
    """Return the servers, whose environments must be there."""
    floor = [str(bench / "floor/bin/python"), str(HERE / "floor_server.py")]

    def echo(text: str) -> tuple[str, Json]:
        return "echo", {"text": text}

    return [
        Arm(
            name="ours",
            command=[str(bench / "ours/bin/hailuo-tasks-mcp")],
            one=lambda task_id: ("retrieve_task", {"task_id": task_id}),
            several=lambda task_ids: ("retrieve_tasks_batch", {"task_ids": task_ids}),
        ),
        Arm(
            name="vendor",
            command=[str(bench / "vendor/bin/mcp-hailuo")],
            one=lambda task_id: ("hailuo_get_task", {"task_id": task_id}),
            several=lambda task_ids: ("hailuo_get_tasks_batch", {"task_ids": task_ids}),
        ),
        Arm(name="floor", command=floor, one=echo),
        Arm(name="floor with a POST", command=[*floor, "--post"], one=echo),
    ]


def make_environments(bench: Path) -> None:
    """Install each server into an environment of its own; ours anew each time."""

    def install(name: str, *packages: str) -> None:
        folder = bench / name
        if not folder.exists():
            venv.create(folder, with_pip=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", *packages], check=True)  # noqa: S603 - ours

    install("ours", "--force-reinstall", "--no-deps", str(ROOT))
    install("ours", f"{ROOT}[metrics]")
    install("vendor", VENDOR)
    # With what makes httpx fastest.
    install("floor", f"mcp=={version_in(bench / 'ours', 'mcp')}", "httpx", "sniffio")


def version_in(environment: Path, package: str) -> str:
    """Return the version of a package in an environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    python = str(environment / "bin/python")
    return subprocess.check_output([python, "-c", code], text=True).strip()  # noqa: S603 - ours


async def seconds(awaitable: Awaitable[object]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    await awaitable
    return time.perf_counter() - started


@dataclass
class Samples:
    """What was measured, a value a round, by measure and arm."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, measure: str, arm: str, value: float) -> None:
        """Add a round's value."""
        self.values.setdefault(measure, {}).setdefault(arm, []).append(value)

    def compare(
        self, measure: str, arm: str, others: Sequence[str], how: Callable[[float, float], float]
    ) -> list[float]:
        """Return how an arm compares with the sum of others, round by round."""
        arms = self.values[measure]
        sums = map(sum, zip(*(arms[other] for other in others), strict=True))
        return list(map(how, arms[arm], sums))


def ids(count: int) -> list[str]:
    """Return made-up task ids, of the usual length."""
    return [f"58cc618b-9639-4ee7-add2-{number:012d}" for number in range(count)]


async def measure_starts(samples: Samples, order: list[Arm], base_url: str) -> None:
    """Start and end each server, as often as it stands in the order."""
    starts: dict[str, list[float]] = {}
    for arm in order:
        async with running(arm, base_url) as server:
            starts.setdefault(arm.name, []).append(server.start_seconds)
    for name, each in starts.items():
        samples.add("start ms", name, statistics.median(each) * 1000)


async def measure_calls(
    samples: Samples, order: list[Arm], rng: random.Random, base_url: str
) -> None:
    """Make calls one after another; the servers take turns in blocks.

    So each server is warm, and a slow moment slows them all.
    """
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=base_url, trust_env=False)
        )
        servers = {
            arm.name: await stack.enter_async_context(running(arm, base_url)) for arm in order
        }
        ones = {arm.name: arm.one for arm in order}

        async def call(name: str, task_id: str) -> None:
            if name == POST:
                await http.post("/hailuo/tasks", json={"action": "retrieve", "id": task_id})
            else:
                await servers[name].call(*ones[name](task_id))

        took: dict[str, list[float]] = {name: [] for name in (*servers, POST)}
        for _ in range(BLOCKS):
            for name in rng.sample(list(took), len(took)):
                took[name] += [await seconds(call(name, task_id)) for task_id in ids(BLOCK)]
        for name, each in took.items():
            samples.add("call ms", name, statistics.median(each) * 1000)
        for name, server in servers.items():
            samples.add("peak MB", name, server.peak_mb())


async def measure_many_at_once(samples: Samples, order: list[Arm], base_url: str) -> None:
    """Make many calls at once to an API that takes its time."""
    for arm in order:
        if arm.several is not None:
            async with running(arm, base_url) as server:
                await server.call(*arm.one("warm-up"))
                calls = [server.call(*arm.one(task_id)) for task_id in ids(AT_ONCE)]
                at_once = await seconds(asyncio.gather(*calls))
                samples.add("peak MB, 100 at once", arm.name, server.peak_mb())
            samples.add("100 at once ms", arm.name, at_once * 1000)


async def read_answers(bench: Path, fast: str) -> Json:
    """Measure what a model reads: characters and tokens, and how much of a batch is returned."""
    # Here, so that the rest can be tested without it.
    import bpe_openai  # noqa: PLC0415

    tokens = bpe_openai.get_encoding("o200k_base")
    answers: Json = {}
    for arm in arms(bench):
        if arm.several is None:
            continue
        async with running(arm, fast) as server:
            instructions = server.instructions
            listed = (await server.request("tools/list", {}))["tools"]
            one = await server.call(*arm.one(ids(1)[0]))
            batch = await server.call(*arm.several(ids(BATCH)))
        seen = [
            {name: tool.get(name) for name in ("name", "description", "inputSchema")}
            for tool in listed
        ]
        named = {arm.one("")[0], arm.several([])[0]}
        texts = {
            "both task tools": json.dumps([tool for tool in seen if tool["name"] in named]),
            "all its tools": json.dumps(seen),
            "its instructions": instructions,
            "one answer": one,
            f"batch of {BATCH}": batch,
        }
        answers[arm.name] = {
            "characters": {name: len(text) for name, text in texts.items()},
            "tokens": {name: len(tokens.encode(text)) for name, text in texts.items()},
            "came back": sum(task_id in batch for task_id in ids(BATCH)),
        }
    return answers


def poll_ours() -> Json:
    """Count what it takes to poll a run until its video is there, as the next steps say."""
    calls = requests = 0
    running_record = read_record({"id": "t", "created_at": 1, "started_at": 1})
    example = ROOT / "tests" / "examples" / "retrieve.json"
    done_record = read_record(json.loads(example.read_text()))

    async def poll_to_the_end() -> float:
        nonlocal calls
        clock = asyncio.get_running_loop().time

        async def fetch(_: object, *, within_seconds: float, collect: bool) -> LookupResult:  # noqa: ARG001
            nonlocal requests
            if collect:
                await asyncio.sleep(COLLECT_SECONDS)
            requests += 1
            record = done_record if clock() >= RUN_SECONDS else running_record
            return LookupResult({"t": record} if record else {}, {})

        async def on_poll(_: float, __: LookupResult) -> None:
            pass

        known = LookupResult({}, {})
        while known.records.get("t") is not done_record:
            calls += 1
            wait_seconds = Settings().max_wait_seconds if calls > 1 else 0
            known = await poll(fetch, ["t"], wait_seconds=wait_seconds, on_poll=on_poll)
        return clock()

    with asyncio.Runner(loop_factory=SimulatedTimeLoop) as runner:
        after = runner.run(poll_to_the_end())
    return {"calls": calls, "requests": requests, "seconds": after}


def poll_vendor(model_waits_seconds: float) -> Json:
    """Count the same for the vendor's server, as its code and its answers have it.

    Of a task that runs, a call polls once and then pauses for 5 seconds; the answer asks the model
    to wait for 15 seconds more, which not every model can.
    """
    calls, now = 1, 0.0
    while now < RUN_SECONDS:
        calls, now = calls + 1, now + 5.0 + model_waits_seconds
    return {"calls": calls, "requests": calls, "seconds": now}


async def grow(bench: Path, fast: str) -> list[Json]:
    """Measure growing batches: through the tool and, beyond its limit, through the client."""
    rows = []
    ours = arms(bench)[0]
    assert ours.several  # noqa: S101 - it is ours
    settings = Settings(api_token=TOKEN, api_base_url=fast)
    async with (
        running(ours, fast) as server,
        open_client(settings) as client,
        httpx.AsyncClient(trust_env=False) as counting,
    ):
        await server.call(*ours.one("warm-up"))
        await client.look_up_at(HAILUO, ["58cc618b-9639-4ee7-add2-d2fcf260d9a3"])
        for size in GROWTH:
            before = int((await counting.get(fast)).text)
            took = []
            for _ in range(REPEATS):
                if size <= AT_ONCE:
                    took.append(await seconds(server.call(*ours.several(ids(size)))))
                else:
                    took.append(await seconds(client.look_up_at(HAILUO, ids(size))))
            requests = (int((await counting.get(fast)).text) - before) / REPEATS
            per_id = statistics.median(took) * 1000 / size
            rows.append({"ids": size, "ms per id": per_id, "requests": requests})
    return rows


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit, and what was measured, round by round; the median counts."""

    words: str
    values: list[float]
    limit: float
    at_least: bool = False

    def holds(self) -> bool:
        """Return whether what was measured is within the limit."""
        value = statistics.median(self.values)
        return value >= self.limit if self.at_least else value <= self.limit

    def row(self) -> str:
        """Return the bound as a row of the table."""
        spread = f"{min(self.values):.2f} to {max(self.values):.2f}"
        limit = f"{'at least' if self.at_least else 'at most'} {self.limit:g}"
        measured = f"{statistics.median(self.values):.3f} ({spread})"
        return f"| {self.words} | {measured} | {limit} | {'yes' if self.holds() else 'NO'} |"


def bounds(samples: Samples) -> list[Bound]:
    """Return the bounds that this comparison is held to."""
    compare = samples.compare
    with_post, parts = ["floor with a POST"], ["floor", POST]
    call, at_once = "call ms", "100 at once ms"
    one_by_one = compare(call, "vendor", ["ours"], truediv)
    together = compare(at_once, "vendor", ["ours"], truediv)
    return [
        Bound("a call / the floor's with a POST", compare(call, "ours", with_post, truediv), 1.4),
        Bound("a call / (the floor's + a POST)", compare(call, "ours", parts, truediv), 1.4),
        Bound("the vendor's call / ours", one_by_one, 10, at_least=True),
        Bound("the vendor's 100 at once / ours", together, 6, at_least=True),
        Bound("start / the floor's start", compare("start ms", "ours", ["floor"], truediv), 1),
        Bound("peak memory - the floor's, MB", compare("peak MB", "ours", ["floor"], sub), 10),
    ]


def table(samples: Samples, answers: Json, polling: Json, growth: list[Json]) -> str:
    """Return all that was measured, as tables for people."""
    columns = ("ours", "vendor", "floor", "floor with a POST")
    lines = [f"| measured | {' | '.join(columns)} |", "|---" * 5 + "|"]

    def cell(measure: str, arm: str) -> str:
        values = samples.values[measure].get(arm)
        if values is None:
            return ""
        low, middle, high = (
            f"{value:.0f}" if value >= 100 else f"{value:.2f}"  # noqa: PLR2004 - three digits each
            for value in (min(values), statistics.median(values), max(values))
        )
        return f"{middle} ({low} to {high})"

    for measure in samples.values:
        cells = " | ".join(cell(measure, arm) for arm in columns)
        lines.append(f"| {measure} | {cells} |")
    lines.append(f"| one httpx POST by itself, ms | | | | {cell('call ms', POST)} |")
    for unit in ("characters", "tokens"):
        for name in answers["ours"][unit]:
            ours, vendor = (answers[arm][unit][name] for arm in ("ours", "vendor"))
            lines.append(f"| {name}, {unit} | {ours} | {vendor} | | |")
    returned = (answers[arm]["came back"] for arm in ("ours", "vendor"))
    lines.append(f"| of the {BATCH} came back | {' | '.join(map(str, returned))} | | |")
    for name in ("calls", "requests", "seconds"):
        ours, waiting, not_waiting = (f"{count[name]:g}" for count in polling.values())
        cells = f"{ours} | {waiting}; {not_waiting} by a model that cannot wait"
        lines.append(f"| following a {RUN_SECONDS:g} s run, {name} | {cells} | | |")
    lines += ["", "| bound | came out | promised | holds |", "|---|---|---|---|"]
    lines += [bound.row() for bound in bounds(samples)]
    lines += ["", "| ids in a batch | ms per id | requests |", "|---|---|---|"]
    lines += [f"| {row['ids']} | {row['ms per id']:.2f} | {row['requests']:g} |" for row in growth]
    return "\n".join(lines)


async def compare(bench: Path, rounds: int) -> None:
    """Measure everything, print the tables and write the JSON."""
    samples, servers = Samples(), arms(bench)
    # The same orders each time.
    rng = random.Random(0)  # noqa: S311 - no secret
    async with stand_in(0) as fast, stand_in(DELAY_SECONDS) as slow:
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            order = rng.sample(servers, len(servers))
            await measure_starts(samples, rng.sample(order * STARTS, len(order * STARTS)), fast)
            await measure_calls(samples, order, rng, fast)
            await measure_many_at_once(samples, order, slow)
        answers = await read_answers(bench, fast)
        growth = await grow(bench, fast)
    polling = {
        "ours": await asyncio.to_thread(poll_ours),
        "vendor, as its answers ask for": poll_vendor(15.0),
        "vendor, by a model that cannot wait": poll_vendor(0.0),
    }
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}"
    versions = {
        "ours": version_in(bench / "ours", "hailuo-tasks-mcp"),
        "vendor": VENDOR,
        "sdk": version_in(bench / "ours", "mcp"),
        "vendor's sdk": version_in(bench / "vendor", "mcp"),
    }
    today = datetime.now(UTC).date().isoformat()
    print(f"{today}, {rounds} rounds, medians (lowest to highest). {machine}. {versions}\n")
    print(table(samples, answers, polling, growth))
    report = ROOT / "dist" / "compare.json"
    report.parent.mkdir(exist_ok=True)
    content = {
        "date": today,
        "machine": machine,
        "versions": versions,
        "bounds": [asdict(bound) | {"holds": bound.holds()} for bound in bounds(samples)],
        "rounds": samples.values,
        "read": answers,
        "followed": polling,
        "growth": growth,
    }
    report.write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    """Make the environments, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    bench = ROOT / ".bench"
    make_environments(bench)
    asyncio.run(compare(bench, rounds))


if __name__ == "__main__":
    main()
