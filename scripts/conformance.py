"""Have the protocol's own suite judge this server over Streamable HTTP, and print what it says.

    make conformance
    .venv/bin/python scripts/conformance.py --write

Needs what `make conformance` installs in `.conformance/`: the suite and the Node.js that runs it.
What the suite records of each check is left there, in `results/`. With `--write` the table goes
into `docs/conformance.md` as well. Exit code: 0 all that is required passes, or has a reason below;
1 something else does not pass.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
INSTALLED = ROOT / ".conformance"
NODE = INSTALLED / "node_modules/.bin/node"
SUITE = INSTALLED / "node_modules/@modelcontextprotocol/conformance"
RESULTS = INSTALLED / "results"
DOCUMENT = ROOT / "docs/conformance.md"

_FIXTURE_SERVER = [sys.executable, str(ROOT / "tests/conformance/server.py")]
_PRODUCT = str(Path(sys.executable).with_name("hailuo-tasks-mcp"))
SERVERS: Mapping[str, Sequence[str]] = {
    "fixtures": _FIXTURE_SERVER,
    "fixtures, sessions": [*_FIXTURE_SERVER, "--sessions"],
    "product": [_PRODUCT, "serve", "--http", "--sandbox", "--port", "0"],
}
# Since 2026-07-28 there are no sessions.
REVISIONS: Mapping[str, Sequence[str]] = {
    "2026-07-28": ["fixtures", "product"],
    "2025-11-25": ["fixtures", "fixtures, sessions", "product"],
}
# Not required, but about what each server over HTTP has to do.
_FURTHER = {"2026-07-28": ["http-header-validation"]}
# Of the extension that this server has; they need the fixtures. The one about notifications checks
# nothing where none is sent, which the extension leaves open.
_OF_EXTENSION = {
    "2026-07-28": [
        *("tasks-lifecycle", "tasks-capability-negotiation", "tasks-wire-fields"),
        *("tasks-request-state-removal", "tasks-mrtr-input", "tasks-request-headers"),
        *("tasks-dispatch-and-envelope", "tasks-required-task-error", "tasks-mrtr-composition"),
    ]
}

_SUITE_SECONDS = 300
_STOP_SECONDS = 10
# Of a folder of results, which is "server-", the name of a scenario, and the time.
_NOT_OF_THE_NAME = re.compile(r"^server-|-\d{4}-\d\d-\d\dT[\d-]+Z$")
_URL = re.compile(r"Serving MCP at (http://\S+)")
# Judges the shape of whatever was answered, in each scenario, so it says nothing of the scenario.
_SHAPE_CHECK = "wire-schema-valid"

PASSES = "pass"
PASSES_IN_PART = "pass in part"
DOES_NOT_APPLY = "not applicable"
FAILS = "fail"
_TEXTS = (PASSES, PASSES_IN_PART, DOES_NOT_APPLY, FAILS)

Check = Mapping[str, Any]


class Reason(NamedTuple):
    """Why checks do not pass, if that is nothing to mend here.

    Attributes:
        servers: of which servers it is the reason.
        scenarios: in which scenarios, as a pattern.
        evidence: what such a check records, as a pattern.
        words: for people.
        applies: whether the scenario is about something that this server could have.

    """

    servers: frozenset[str]
    scenarios: str
    evidence: str
    words: str
    applies: bool = False


_STATELESS = frozenset({"fixtures", "product"})
_TWO_TOOLS = frozenset({"product"})
_NOT_THERE = r"Method not found|got -32601|Unknown resource"
REASONS: Mapping[str, Reason] = {
    "a": Reason(
        _STATELESS,
        "tools-call-sampling|tools-call-elicitation|elicitation-sep1034-defaults"
        "|elicitation-sep1330-enums|server-sse-multiple-streams",
        "no back-channel for server-initiated requests|Server did not provide session ID",
        "Needs a session, and this server is stateless: the SDK sends a client no request without "
        "one, and the suite opens its several streams in one. With sessions turned on for the "
        "test, the same app passes; the product asks its client nothing.",
        applies=True,
    ),
    "b": Reason(
        _TWO_TOOLS,
        r"tools-call-\S+|elicitation-\S+|input-required-result-\S+|server-stateless",
        r"Unknown tool: test_|server does not list the diagnostic tool 'test_"
        r"|Expected InputRequiredResult with inputRequests and requestState"
        r"|could not get initial InputRequiredResult|instead of re-requesting",
        "Calls a tool of the suite's; the product has its own.",
    ),
    "c": Reason(
        _TWO_TOOLS,
        r"prompts-\S+|resources-\S+|sep-2164-resource-not-found|completion-complete|caching"
        r"|logging-set-level|tools-call-with-logging|input-required-result-non-tool-request",
        _NOT_THERE,
        "Wants prompts, resources of the suite's, completions or a log for the client; the product "
        "has, and declares, tools and one resource only, its view.",
    ),
}


class Verdict(NamedTuple):
    """What the suite says of a server in one scenario.

    Attributes:
        text: for the table.
        problems: what does not pass without a reason.

    """

    text: str
    problems: Sequence[str]


def main() -> int:
    """Run the suite, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name} as well")
    options = parser.parse_args()
    if not (SUITE.exists() and NODE.exists()):
        raise SystemExit(
            f"{INSTALLED} lacks the suite or its Node.js, which `make conformance` installs with "
            "npm. npm must be allowed to run the script that is part of the package `node`."
        )
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir()
    verdicts: dict[tuple[str, str], dict[str, Verdict]] = {}
    for name, command in SERVERS.items():
        with serving(name, command) as url:
            for revision in (each for each, names in REVISIONS.items() if name in names):
                checks = run_suite(url, revision, name)
                of_extension = _OF_EXTENSION.get(revision, ()) if name == "fixtures" else ()
                for scenario in [
                    *required(revision),
                    *_FURTHER.get(revision, ()),
                    *of_extension,
                ]:
                    verdict = judge(name, scenario, checks.get(scenario, ()))
                    verdicts.setdefault((revision, scenario), {})[name] = verdict
    report = as_markdown(verdicts)
    print(report)
    if options.write:
        write(report)
    problems = [
        f"{revision}, {scenario}, {name}: {problem}"
        for (revision, scenario), by_server in verdicts.items()
        for name, verdict in by_server.items()
        for problem in verdict.problems
    ]
    print("\n".join(problems) or "Nothing fails without a reason.")
    return 1 if problems else 0


@contextmanager
def serving(name: str, command: Sequence[str]) -> Iterator[str]:
    """Start a server and yield its URL; end it afterwards."""
    log = RESULTS / f"{name}.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(  # noqa: S603 - ours
            command, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        try:
            started = _URL.match(process.stdout.readline() if process.stdout else "")
            if started is None:
                raise SystemExit(f"{name} did not start; see {log}")
            yield started[1]
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def run_suite(url: str, revision: str, name: str) -> dict[str, list[Check]]:
    """Run what a revision requires, and more, against a server; return each scenario's checks."""
    results = RESULTS / f"{revision}, {name}"
    print(f"{revision}, {name} ...", file=sys.stderr)
    command = [str(NODE), str(SUITE / "dist/index.js"), "server", "--url", url]
    subprocess.run(  # noqa: S603 - ours
        [*command, "--requirements", revision, "--output-dir", str(results)],
        stdout=subprocess.DEVNULL,
        # The exit code is about what is required of servers with all features.
        check=False,
        timeout=_SUITE_SECONDS,
    )
    checks = {}
    for path in results.glob("server-*/checks.json"):
        scenario = _NOT_OF_THE_NAME.sub("", path.parent.name)
        checks[scenario] = json.loads(path.read_text(encoding="utf-8"))
    return checks


def required(revision: str) -> list[str]:
    """Return the scenarios that a server has to pass at a revision, in the suite's order."""
    text = (SUITE / "requirements" / f"{revision}.yaml").read_text(encoding="utf-8")
    _, _, rest = text.partition("\nserver:\n")
    scenarios = re.findall(r"  - (\S+)", rest.partition("\n\n")[0])
    if not scenarios:
        raise SystemExit(f"The suite lists nothing that a server has to pass at {revision}.")
    return scenarios


def judge(name: str, scenario: str, checks: Sequence[Check]) -> Verdict:
    """Return what the checks of a scenario say of a server."""
    passed, fails, letters, problems = 0, False, set[str](), list[str]()
    for check in checks:
        if check["status"] == "SUCCESS":
            passed += check["id"] != _SHAPE_CHECK
        elif check["status"] in {"FAILURE", "WARNING"}:
            letter = _reason(name, scenario, check)
            if letter is None:
                problems.append(f"{check['status']}: {check['id']}: {check.get('errorMessage')}")
            else:
                letters.add(letter)
                fails |= REASONS[letter].applies and check["status"] == "FAILURE"
    if not passed and not letters and not problems:
        problems.append("no check was made")
    if problems:
        return Verdict(FAILS, problems)
    if not letters:
        return Verdict(PASSES, ())
    text = FAILS if fails else PASSES_IN_PART if passed else DOES_NOT_APPLY
    return Verdict(f"{text} ({', '.join(sorted(letters))})", ())


def _reason(name: str, scenario: str, check: Check) -> str | None:
    record = json.dumps(check)
    for letter, reason in REASONS.items():
        if (
            name in reason.servers
            and re.fullmatch(reason.scenarios, scenario)
            and re.search(reason.evidence, record)
        ):
            return letter
    return None


def as_markdown(verdicts: Mapping[tuple[str, str], Mapping[str, Verdict]]) -> str:
    """Return the version, the date, the table with its sums, and the reasons."""
    version = json.loads((SUITE / "package.json").read_text(encoding="utf-8"))["version"]
    today = datetime.now(UTC).date().isoformat()
    lines = [
        f"`@modelcontextprotocol/conformance@{version}`, {today}.",
        "",
        _row("scenario", "revision", *SERVERS),
        _row(*["---"] * (2 + len(SERVERS))),
    ]
    sums = {(revision, name): Counter[str]() for revision in REVISIONS for name in SERVERS}
    for (revision, scenario), by_server in verdicts.items():
        is_further = scenario not in required(revision)
        texts = [by_server[name].text if name in by_server else "" for name in SERVERS]
        lines.append(_row(scenario + " (not required)" * is_further, revision, *texts))
        if not is_further:
            for name, text in zip(SERVERS, texts, strict=True):
                sums[revision, name][text.partition(" (")[0]] += 1
    for revision in REVISIONS:
        totals = (
            ", ".join(f"{count} {text}" for text in _TEXTS if (count := sums[revision, name][text]))
            for name in SERVERS
        )
        lines.append(_row(f"**all {len(required(revision))} required**", revision, *totals))
    lines += ["", *(f"- ({letter}) {reason.words}" for letter, reason in REASONS.items())]
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def write(report: str) -> None:
    """Put the report into the document, between its marks."""
    begin, end = "<!-- conformance: begin -->\n", "<!-- conformance: end -->\n"
    head, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise SystemExit(f"{DOCUMENT} has no place for the table.")
    DOCUMENT.write_text(f"{head}{begin}{report}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
