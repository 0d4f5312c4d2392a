"""What calls over Streamable HTTP cost, beside the vendor's server and an empty one.

    .venv/bin/python benchmarks/http_load.py [--rounds 3] [--only calls waits drops]

Starts each server anew for each run, against the raw stand-in of the API on 127.0.0.1, and drives
it with raw sockets: 32 callers that call as fast as they are answered; 1,000 calls that wait at
once; and 10,000 connections that are dropped at each point of a call. Prints tables and writes
`dist/http_load.json`. The environments are those of compare.py, in `.bench/`. `--command` measures
this server as it is installed elsewhere.

Needs /proc, so Linux.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, Protocol

from compare import ROOT, VENDOR, Bound, make_environments, version_in
from http_calls import CALLERS, CallsCase, CallsResult, measure_calls, token_of
from http_drops import DROPS, DropsCase, DropsResult, measure_drops
from http_servers import allow_descriptors, floor, ours, vendor
from http_waits import WAITS, WaitsCase, WaitsResult, measure_waits
from http_wire import MODERN, OLDER, REVISIONS

PARTS = ("calls", "waits", "drops")
# Also memory of a wait, in kB, that is promised at each revision.
MAX_WAIT_KB = {MODERN: 60, OLDER: 120}
MAX_MORE_MB = 5.0
_DESCRIPTORS = 8_192

Result = CallsResult | WaitsResult | DropsResult


class Case(Protocol):
    """A run's conditions."""

    def row(self) -> str:
        """Return the first cells of its row in a table."""


class Results:
    """What was measured, by case, a result for each round."""

    def __init__(self) -> None:
        self.rounds: dict[Any, list[Any]] = {}

    async def measure(self, cases: Sequence[Case], run: Callable[[Any], Awaitable[Result]]) -> None:
        """Run each case once more."""
        for case in cases:
            print(f"  {case.row()}", file=sys.stderr)
            self.rounds.setdefault(case, []).append(await run(case))

    def table(self, kind: type[Result], heads: Sequence[str], digits: Sequence[int]) -> str:
        """Return the medians of the cases of a kind, with the lowest and the highest value."""
        lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for case, results in self.rounds.items():
            if isinstance(results[0], kind):
                columns = zip(*(asdict(result).values() for result in results), strict=True)
                cells = map(_cell, columns, digits)
                lines.append(f"| {case.row()} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def values(self, case: Case, name: str) -> list[float]:
        """Return what was measured of a case, a value for each round."""
        return [getattr(result, name) for result in self.rounds[case]]

    def json(self) -> list[Any]:
        """Return all of it, for a file."""
        return [
            {"case": case.row().split(" | "), "rounds": [asdict(result) for result in results]}
            for case, results in self.rounds.items()
        ]


def _cell(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    middle, low, high = (
        f"{value:.{digits}f}" for value in (statistics.median(known), min(known), max(known))
    )
    return middle if low == high else f"{middle} ({low} to {high})"


def bounds(results: Results) -> list[Bound]:
    """Return what is promised of this server, over the cases that were run."""
    found = []
    for case in results.rounds:
        if not case.arm.is_ours:
            continue
        if isinstance(case, WaitsCase):
            words = f"memory of a wait at {case.revision}, tokens: {case.tokens}, kB"
            found.append(Bound(words, results.values(case, "kb_each"), MAX_WAIT_KB[case.revision]))
        if isinstance(case, DropsCase):
            for field, words, limit in (
                ("connections_left", "connections left", 0),
                ("files_left", "descriptors left", 0),
                ("waits_left", "waits left", 0),
                ("requests_left", "requests of waits left", 0),
                ("more_mb", "more memory, MB", MAX_MORE_MB),
            ):
                after = f"{words} after the drops at {case.revision}"
                found.append(Bound(after, results.values(case, field), limit))
    return found


def tables(results: Results) -> str:
    """Return all that was measured, as tables for people."""
    parts = {
        CallsResult: (
            f"Calls of {CALLERS} callers at once",
            ("server", "workers", "revision", "tokens", "calls a second", "p50, ms", "p99, ms",
             "calls a second of the server's processor time", "the driver's share of a core"),
            (0, 1, 1, 0, 2),
        ),
        WaitsResult: (
            f"{WAITS:,} waits at once",
            ("server", "revision", "tokens", "memory of each, kB", "all sent after, s",
             "processor time, s", "requests until the tasks ended",
             "requests until all were told", "all told after, s"),
            (1, 1, 1, 0, 0, 2),
        ),
        DropsResult: (
            f"{DROPS:,} connections opened and dropped",
            ("server", "revision", "connections left", "descriptors left", "waits left",
             "requests of waits left", "more memory, MB"),
            (0, 0, 0, 0, 1),
        ),
    }  # fmt: skip
    texts = []
    for kind, (title, heads, digits) in parts.items():
        if any(isinstance(each[0], kind) for each in results.rounds.values()):
            assert len(digits) == len(fields(kind))  # noqa: S101 - a column for each field
            texts.append(f"{title}\n\n{results.table(kind, heads, digits)}\n")
    rows = [bound.row() for bound in bounds(results)]
    head = "| bound | measured | promised | holds |\n|---|---|---|---|"
    return "\n".join([*texts, head, *rows])


async def measure(
    arms: dict[str, Any], parts: Sequence[str], rounds: int, seconds: float
) -> Results:
    """Run all cases, round after round."""
    results = Results()
    ours_and_floor = [arms["ours"], arms["floor"]]
    calls: list[Case] = [
        CallsCase(arm=arm, workers=workers, revision=revision, tokens=tokens)
        for revision in REVISIONS
        for workers in (1, 2)
        for arm in ours_and_floor
        # The empty server does not look at it.
        for tokens in ((1, CALLERS) if arm is arms["ours"] else (CALLERS,))
    ]
    # It knows no newer revision, and has no option for workers.
    calls += [
        CallsCase(arm=arm, workers=1, revision=OLDER, tokens=CALLERS) for arm in arms["vendor"]
    ]
    waits: list[Case] = [
        WaitsCase(arm=arm, revision=revision, tokens=tokens)
        for revision in REVISIONS
        for arm in ours_and_floor
        for tokens in ((1, 20) if arm is arms["ours"] else (20,))
    ]
    drops: list[Case] = [
        DropsCase(arm=arm, revision=revision) for revision in REVISIONS for arm in ours_and_floor
    ]
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        if "calls" in parts:
            await results.measure(calls, lambda case: measure_calls(case, seconds))
        if "waits" in parts:
            await results.measure(waits, measure_waits)
        if "drops" in parts:
            await results.measure(drops, measure_drops)
    return results


def main() -> None:
    """Make the environments, and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of calls, in each run")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--command", help="this server's command, if not installed for this")
    chosen = parser.parse_args()
    allow_descriptors(_DESCRIPTORS)
    bench = ROOT / ".bench"
    make_environments(bench)
    vendor_python = str(bench / "vendor/bin/python")
    arms = {
        "ours": ours(chosen.command or str(bench / "ours/bin/hailuo-tasks-mcp")),
        "floor": floor(str(bench / "floor/bin/python")),
        "vendor": [vendor(vendor_python, token_of(0), oauth=oauth) for oauth in (False, True)],
    }
    results = asyncio.run(measure(arms, chosen.only, chosen.rounds, chosen.seconds))
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}"
    today = datetime.now(UTC).date().isoformat()
    versions = f"SDK {version_in(bench / 'floor', 'mcp')}, vendor {VENDOR}"
    print(f"{today}, {chosen.rounds} rounds, medians (lowest to highest). {machine}. {versions}\n")
    print(tables(results))
    report = ROOT / "dist" / "http_load.json"
    report.parent.mkdir(exist_ok=True)
    content = {
        "date": today,
        "machine": machine,
        "versions": versions,
        "bounds": [asdict(bound) | {"holds": bound.holds()} for bound in bounds(results)],
        "cases": results.json(),
    }
    report.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
