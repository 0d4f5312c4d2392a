"""The benchmarks run; what they measure is for people to read."""

import asyncio
import importlib
import re
import subprocess
import sys
from asyncio.subprocess import PIPE
from io import BytesIO
from random import Random
from types import ModuleType, SimpleNamespace

import httpx
import pytest

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.api.services import HAILUO
from hailuo_tasks_mcp.tasks.states import classify
from helpers import TIMEOUT_SECONDS, Json, look_up_one, settings, task_ids
from repository import ROOT

BENCHMARKS = ROOT / "benchmarks"


@pytest.mark.real_time
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_soak_passes_with_100_calls_by_each_route(transport: str) -> None:
    options = ("--calls", "300", "--seconds", "60", "--transport", transport)
    result = subprocess.run(  # noqa: S603 - ours
        [sys.executable, str(BENCHMARKS / "soak.py"), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert re.findall(r"route +(\w+)\ncalls +100 of 100 answered", result.stdout) == [
        "direct",
        "http",
        "socks5",
    ]
    assert result.stdout.endswith("GOOD\n")


@pytest.mark.real_time
def test_the_attack_passes_with_what_is_soon_over() -> None:
    command = ("--seconds", "3", "records", "cancelled")
    result = subprocess.run(  # noqa: S603 - ours
        [sys.executable, str(BENCHMARKS / "attack.py"), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert re.fullmatch(r"(\w+ +GOOD: .*\n){2}", result.stdout)


CALL = {"name": "retrieve_task", "arguments": {"task_id": "t"}}


@pytest.mark.parametrize(
    ("text", "task_id", "fault"),
    [
        ("bench-token-0123456789", "t", "token"),
        ("x" * 8_001, "t", "too long"),
        ("", "t", "no words"),
        ("a", "u", "another task"),
        ("hailuo-tasks-mcp itself failed", "t", "itself failed"),
        ("surplus-answer", "t", "surplus answer"),
        ("a\u200bb", "t", "hidden characters"),
        ("a", "t", None),
    ],
)
def test_what_must_not_be_in_a_response_is_counted(
    text: str, task_id: str, fault: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    seen = importlib.import_module("attack").Seen()

    content = [{"type": "text", "text": text}]
    seen.response(CALL, {"result": {"content": content, "structuredContent": {"task_id": task_id}}})

    assert dict(+seen.faults) == ({fault: 1} if fault else {})
    assert (
        seen.line("class")
        == f"class       {f'NOT GOOD: 1 answers; {fault} (1)' if fault else 'GOOD: 1 answers'}"
    )


@pytest.mark.real_time
async def test_the_stand_in_responds_as_the_api_does_and_counts_requests() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BENCHMARKS / "stand_in.py"), stdin=PIPE, stdout=PIPE
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert process.stdin
        assert process.stdout
        base_url = (await process.stdout.readline()).decode().strip()
        async with (
            open_client(settings(api_base_url=base_url)) as client,
            httpx.AsyncClient(base_url=base_url) as http,
        ):
            one = await look_up_one(client, "t")
            several = await client.look_up_at(HAILUO, task_ids(150))
            payload = {"action": "retrieve_batch", "ids": task_ids(50)}
            page = (await http.post("/hailuo/tasks", json=payload)).json()
            requests = (await http.get("/")).text
            runs = [await look_up_one(client, "running-1")]
            await http.get("/end")
            runs.append(await look_up_one(client, "running-1"))
        process.stdin.close()
        await process.wait()

    assert classify(one) == "succeeded"
    assert several.records.keys() == set(task_ids(150))
    # Of a batch without a limit, only the first page.
    assert len(page["items"]) == 12
    assert requests == "4"
    assert [classify(run) for run in runs] == ["processing", "succeeded"]


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("compare")


def test_a_run_is_polled_as_each_server_asks_for(compare: ModuleType) -> None:
    ours = compare.poll_ours()

    assert (ours["calls"], ours["seconds"]) == (3, 70)
    assert compare.poll_vendor(15.0) == {"calls": 5, "requests": 5, "seconds": 80}
    assert compare.poll_vendor(0.0) == {"calls": 15, "requests": 15, "seconds": 70}


@pytest.mark.parametrize(
    ("values", "at_least", "verdict"),
    [([0.9, 1.0, 7.0], False, "yes"), ([0.9, 1.01, 1.2], False, "NO"), ([0.9, 1.1], True, "yes")],
)
def test_a_bound_that_does_not_hold_is_printed_as_such(
    compare: ModuleType, values: list[float], at_least: bool, verdict: str
) -> None:
    assert compare.Bound("It", values, 1, at_least).row().endswith(f" | {verdict} |")


class Told:
    """A driver whose server answers every call with the same message."""

    def __init__(self, message: Json) -> None:
        self.message = message

    async def ask(self, *_: object) -> Json:
        return self.message


async def test_the_soak_finds_what_belongs_to_another_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    soak = importlib.import_module("soak")
    owner_of = importlib.import_module("soak_api").owner_of
    other = {"content": [{"text": f"Ask again in 3 s ({owner_of('b')})"}], "isError": True}
    own = {"content": [{"text": f"Ask again in 3 s ({owner_of('a')})"}], "isError": True}
    verdicts = []
    for result in (other, own):
        calls = soak.Calls(Told({"result": result}), ["a"], Random(1))  # noqa: S311 - no secret
        monkeypatch.setattr(soak, "pick_call", lambda *_: ({}, {"t": "succeeded"}))
        verdicts.append(await calls.call("a", 1))

    assert verdicts == ["ANOTHER'S", "error told"]


def test_the_soak_finds_a_part_of_a_token_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    soak = importlib.import_module("soak")
    log = BytesIO(b"2026-01-01 0:00 INFO a: soak-secret-0\n2026-01-01 0:00 ERROR a: b\n")

    assert soak.secret_lines(log) == 1
    assert capsys.readouterr().err == "2026-01-01 0:00 ERROR a: b\n"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return the parts of the load over HTTP, with short pauses."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    names = ("calls", "waits", "drops", "servers", "wire", "load")
    load = SimpleNamespace(**{name: importlib.import_module(f"http_{name}") for name in names})
    monkeypatch.setattr(load.calls, "WARM_UP_SECONDS", 0.1)
    monkeypatch.setattr(load.waits, "HOLD_SECONDS", 0.1)
    monkeypatch.setattr(load.drops, "WATCH_SECONDS", 0.1)
    load.ours = load.servers.ours(sys.executable, "-m", "hailuo_tasks_mcp")
    load.floor = load.servers.floor(sys.executable)
    return load


@pytest.mark.real_time
@pytest.mark.parametrize("revision", ["2026-07-28", "2025-06-18"])
async def test_the_load_over_http_is_answered(load: SimpleNamespace, revision: str) -> None:
    for arm in (load.ours, load.floor):
        case = load.calls.CallsCase(arm=arm, workers=2, revision=revision, tokens=32)
        result = await load.calls.measure_calls(case, 0.5)

        # Else the driver is what is measured.
        assert 0 < result.driver_share < 1
        assert 0 < result.p50_ms <= result.p99_ms


@pytest.mark.real_time
@pytest.mark.parametrize("revision", ["2026-07-28", "2025-06-18"])
async def test_waits_over_http_are_told_with_few_requests(
    load: SimpleNamespace, revision: str
) -> None:
    case = load.waits.WaitsCase(arm=load.ours, revision=revision, tokens=2)
    result = await load.waits.measure_waits(case, 60)

    # Twice 60 look-ups; those of each token go out together.
    assert 4 <= result.requests + result.last_requests < 30


@pytest.mark.real_time
@pytest.mark.parametrize("revision", ["2026-07-28", "2025-06-18"])
async def test_dropped_connections_leave_nothing(load: SimpleNamespace, revision: str) -> None:
    case = load.drops.DropsCase(arm=load.ours, revision=revision)
    result = await load.drops.measure_drops(case, 100)

    left = (result.connections_left, result.files_left, result.waits_left, result.requests_left)
    assert left == (0, 0, 0, 0)


def test_a_bound_over_http_that_does_not_hold_is_printed_as_such(load: SimpleNamespace) -> None:
    results = load.load.Results()
    for revision, kb_each in (("2026-07-28", 61.0), ("2025-06-18", 61.0)):
        case = load.waits.WaitsCase(arm=load.ours, revision=revision, tokens=1)
        results.rounds[case] = [load.waits.WaitsResult(kb_each, 1.0, 1.0)]

    verdicts = [line.split(" | ")[-1] for line in load.load.tables(results).splitlines()[-2:]]

    assert verdicts == ["NO |", "yes |"]


def test_a_response_of_events_in_chunks_is_read(load: SimpleNamespace) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    chunks = b'2\r\n: \r\n10\r\n\r\ndata: {"id": 1\r\n5\r\n}\r\n\r\n\r\n0\r\n\r\n'
    response = head + b"transfer-encoding: chunked\r\n\r\n" + chunks

    assert load.wire.messages_of(response) == [{"id": 1}]
