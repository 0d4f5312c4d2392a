"""What the attack sends: broken, hostile and huge input of each kind, from a seeded generator."""

import copy
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from stand_in import response_body
from stdio_driver import TOKEN, Json

EXAMPLES = Path(__file__).parent.parent / "tests" / "examples"
REQUEST_TIMEOUT_SECONDS = 0.5
SURPLUS = "surplus-answer"
# What no reader sees where it has no use; what scripts and emoji need is not among it.
HIDDEN = (
    *(0xAD, 0x34F, 0x115F, 0x180B, 0x200B, 0x202E, 0x2060, 0x2063, 0x2066, 0x3164, 0xFE00),
    *(0xFEFF, 0xFFA0, 0xFFF9, 0x1D173, 0xE0001, 0xE0041, 0xE0100, 0xE01EF),
)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1.0, 1e308, float("nan"), 10**400, 2**63),
    *("", "x" * 20_000, "\x00", "\x1b[2J", "\ud800", "ä", TOKEN, "1", "null"),
    *([], {}, [None], [[]] * 1_000, {"id": {}}),
)

Answer = list[bytes | float]
"""What a peer sends: bytes, and pauses in seconds."""


def mutated(value: Any, rng: Random) -> Any:
    """Return a copy of a JSON value of which one to three parts are missing or others."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(value))
        if not places:
            break
        parent, key = rng.choice(places)
        other, other_key = rng.choice(places)
        kind = rng.choice(("delete", "repeat", "swap", "odd"))
        if kind == "delete":
            del parent[key]
        elif kind == "repeat":
            parent[key] = [copy.deepcopy(parent[key])] * rng.choice((1, 2, 50))
        else:
            parent[key] = copy.deepcopy(other[other_key] if kind == "swap" else rng.choice(ODD))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(child, dict | list):
            yield from _places(child)


def as_json(value: Any) -> bytes:
    """Return JSON; what JSON has no form for, such as NaN, is written as Python writes it."""
    return json.dumps(value).encode()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return an HTTP response."""
    lines = (f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", "")
    return "\r\n".join(lines).encode() + body


def _gzipped(text: bytes) -> bytes:
    return http(gzip.compress(text), "content-encoding: gzip")


# Made once: making them would hold up the event loop that measures the server's.
_VIDEO = b'{"state":"succeeded","video_url":"http://a.test/1"},'
SMALL_BUT_HUGE = {
    "empty objects": _gzipped(b'{"items":[' + b"{}," * 2_600_000 + b"{}]}"),
    "items": _gzipped(b'{"items":[' + b'{"id":1},' * 300_000 + b"{}]}"),
    "videos": _gzipped(b'{"id":"t","response":{"data":[' + _VIDEO * 150_000 + b"{}]}}"),
    "deep lists": _gzipped(b"[" * 1_000_000),
    "deep objects": _gzipped(b'{"a":' * 100_000),
    "spaces": _gzipped(b" " * 20_000_000),
    "long id": _gzipped(b'{"id":"' + b"x" * 7_000_000 + b'"}'),
}
SURPLUS_ANSWER = http(as_json({"id": SURPLUS, "request": {"prompt": SURPLUS}}))
_HEADERS = http(b"{}", *(f"x-{number}: {'y' * 200}" for number in range(5_000)))
_NOTHING = http(b'{"task":null,"items":[],"total":0}')


def good_answer(head: bytes, body: bytes) -> Answer:
    """Return an answer as the API sends it."""
    return [_NOTHING if b"/minimax/" in head else http(response_body(body))]


def hostile_answer(head: bytes, body: bytes, rng: Random) -> Answer:
    """Return an answer as a broken or hostile peer sends it."""
    good = _NOTHING if b"/minimax/" in head else http(response_body(body))
    at = rng.randrange(len(good))
    after = rng.choice(("-1", "1e9", "nan", "Mon, 99 Foo \x1b[2J", "9" * 5_000, "0"))
    status = rng.choice(("400", "401", "403", "404", "418", "429", "500", "503", "302", "200"))
    error = {"error": {"code": rng.choice(ODD), "message": f"{TOKEN} \x1b[2J"}, "trace_id": TOKEN}
    answers: list[Answer] = [
        [good],
        [good[:at]],
        [good[:at], 0.1, good[at:]],
        [good[:at], REQUEST_TIMEOUT_SECONDS * 2],
        [good[:at] + rng.randbytes(1) + good[at + 1 :]],
        [rng.randbytes(rng.randrange(5_000))],
        [rng.choice(list(SMALL_BUT_HUGE.values()))],
        [_HEADERS],
        [good + SURPLUS_ANSWER],
        [good, 0.01, SURPLUS_ANSWER],
        [http(as_json(rng.choice(ODD)))],
        [http(b"{}", f"retry-after: {after}", status=f"{status} \x1b[31m")],
        [http(as_json(error), status=f"{status} x")],
        [good.replace(b"content-length", rng.choice((b"transfer-encoding", b"x")))],
    ]
    return rng.choice(answers)


def record_answer(head: bytes, body: bytes, rng: Random) -> Answer:
    """Return a documented body with parts that are missing or others, under an id asked for."""
    payload = json.loads(body)
    names = ["retrieve", "retrieve_batch", "retrieve_timed", "videos", "second_envelope"]
    if b"/minimax/" in head:
        names = ["minimax_retrieve", "minimax_batch", "minimax_failed"]
    text = (EXAMPLES / f"{rng.choice(names)}.json").read_bytes()
    # A list asks for none.
    asked = payload.get("ids") or [payload.get("id", "t")]
    for known in set(re.findall(rb'"(?:id|task_id)": ?"([^"]*)"', text)):
        text = text.replace(known, rng.choice(asked).encode())
    return [http(as_json(mutated(json.loads(text), rng)))]


def hidden_answer(head: bytes, body: bytes, rng: Random) -> Answer:
    """Return a record whose texts carry characters that nobody sees."""
    payload = json.loads(body)
    if b"/minimax/" in head or "id" not in payload:
        return [_NOTHING]
    text = "".join(chr(rng.choice(HIDDEN)) + rng.choice("abc 視頻") for _ in range(200))
    video = {"state": "succeeded", "video_url": f"https://cdn.invalid/{text}.mp4", "prompt": text}
    record = {"id": payload["id"], "request": {"prompt": text}, "response": {"data": [video]}}
    return [http(as_json(record))]


FULL_IDS = 100
# 0.9 of the bytes that are accepted for so many ids.
_FULL_BYTES = (1_000_000 + 20_000 * (FULL_IDS - 1)) * 9 // 10
_FILLINGS = ("%41", TOKEN.replace("b", "%62"), "x" * 9_000 + "\U0001f600")


def full_answers() -> list[bytes]:
    """Return lists of running tasks as long as is accepted, one for each filling.

    Made beforehand, with the ids of call 0: making them would hold up the event loop that measures.
    """
    answers = []
    for filling in _FILLINGS:
        each = _FULL_BYTES // FULL_IDS // 3 - 200
        text = (filling * (each // len(filling) + 1))[: each - 4] + filling[-1]
        video = {"state": "running", "prompt": text, "video_url": f"https://a.test/{text}"}
        items = [
            {"id": _full_id(0, n), "started_at": 1, "model": text, "response": {"data": [video]}}
            for n in range(FULL_IDS)
        ]
        answers.append(json.dumps({"items": items}, ensure_ascii=False).encode())
    return answers


def _full_id(number: int, place: int) -> str:
    return f"{number:08}-{place:03}".ljust(128, "x")


def full_answer(head: bytes, body: bytes, answers: list[bytes]) -> Answer:
    """Return one of the answers, for the ids of `full_look_up`."""
    ids = json.loads(body).get("ids", [""])
    if b"/minimax/" in head or len(ids) < FULL_IDS:
        return [_NOTHING]
    number = ids[0][:8]
    text = answers[int(number) % len(answers)].replace(
        b'"id": "00000000', f'"id": "{number}'.encode()
    )
    return [http(text)]


def full_look_up(number: int) -> Json:
    """Return a call for 100 tasks; every other one waits."""
    ids = [_full_id(number, place) for place in range(FULL_IDS)]
    arguments = {"task_ids": ids, "wait_seconds": 2 * (number % 2)}
    return {"name": "retrieve_tasks_batch", "arguments": arguments}


def look_up(number: int) -> Json:
    """Return a call for one task, or now and then for several, or for a list."""
    if number % 7 == 0:
        return {"name": "list_recent_tasks", "arguments": {"hours": 168, "states": ["failed"]}}
    if number % 5:
        return {"name": "retrieve_task", "arguments": {"task_id": f"task-{number}"}}
    ids = [f"task-{number}-{n}" for n in range(3)]
    return {"name": "retrieve_tasks_batch", "arguments": {"task_ids": ids}}


def odd_call(number: int, rng: Random) -> Json:
    """Return a call whose arguments are odd, or now and then too many."""
    if number % 50 == 0:
        ids = ["not an id"] * rng.choice((101, 10_000, 1_000_000))
        return {"name": "retrieve_tasks_batch", "arguments": {"task_ids": ids}}
    call = look_up(number)
    return {**call, "arguments": mutated({"arguments": call["arguments"]}, rng).get("arguments")}


def broken_line(number: int, rng: Random) -> bytes:
    """Return a line of JSON-RPC that is odd, or broken."""
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": look_up(number)}
    text = as_json(message)
    at = rng.randrange(len(text))
    line = rng.choice(
        (
            *(as_json(mutated(message, rng)) for _ in range(4)),
            text[:at],
            text[:at] + rng.randbytes(3) + text[at:],
            rng.randbytes(at),
        )
    )
    return line.replace(b"\n", b" ").replace(b"\r", b" ")


def odd_environment(rng: Random) -> dict[str, bytes]:
    """Return the variables of a server, one of them odd; none leads beyond this machine."""
    oddities = (b"", b"\xff", b"%", b"[::1%\xc3\xa4]", b"xn--", b"x" * 70_000, rng.randbytes(9))
    odd = rng.choice(oddities).replace(b"\0", b"")
    values = {
        "ACEDATACLOUD_API_BASE_URL": (b"http://" + odd, b"https://127.0.0.1:9/" + odd, odd),
        "ACEDATACLOUD_API_TOKEN": (odd, b"Bearer " + odd),
        "HTTPS_PROXY": (b"http://" + odd + b":pw@127.0.0.1:9", odd + b"@127.0.0.1:9"),
        "all_proxy": (b"socks5://" + odd + b"@127.0.0.1:9", b"socks5://127.0.0.1:9" + odd),
        "NO_PROXY": (odd,),
        "SSL_CERT_FILE": (odd, b"/dev/null", b"/"),
        "SSL_CERT_DIR": (odd, b"/dev/null", b"/"),
        "SSLKEYLOGFILE": (b"/" + odd + b"/x", b"/"),
        "HAILUO_REQUEST_TIMEOUT_SECONDS": (odd,),
        "HAILUO_MAX_WAIT_SECONDS": (odd,),
        "HAILUO_LOG_LEVEL": (odd, b"debug"),
        "OTEL_PROPAGATORS": (b"not-installed",),
        "OTEL_PYTHON_CONTEXT": (b"not-installed",),
    }
    name = rng.choice(list(values))
    return {name: rng.choice(values[name])}
