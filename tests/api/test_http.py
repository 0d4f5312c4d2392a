"""HTTP: what is retried and when, and how much of a response is read, in simulated time."""

import asyncio
import gc
import gzip
import random
import tracemalloc
import weakref
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import pytest
from mcp import Client

from hailuo_tasks_mcp.api.client import Api, open_client
from hailuo_tasks_mcp.api.proxies import ProxyRefusalError
from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.api.services import HAILUO, MINIMAX
from hailuo_tasks_mcp.errors import (
    RateLimitedError,
    SettingsError,
    UnreachableError,
    UnreadableResponseError,
    UpstreamError,
)
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.server import create_server
from helpers import (
    HailuoAlone,
    PagingApi,
    ScriptedApi,
    ScriptedResponse,
    clock,
    data_of,
    look_up_one,
    raises,
    retrieve,
    settings,
    succeeded,
    task_ids,
)

OK = httpx.Response(200, json={})


class TimedScript(ScriptedApi):
    """Records when each request is received."""

    def __init__(self, *responses: ScriptedResponse) -> None:
        super().__init__(*responses)
        self.seconds: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seconds.append(clock())
        return await super().handle_async_request(request)

    @property
    def pauses(self) -> list[float]:
        return [after - before for before, after in pairwise(self.seconds)]


class Streaming(httpx.AsyncBaseTransport):
    """Responds with chunks, and counts those that were taken."""

    def __init__(self, *chunks: bytes, repeat: int = 1, **headers: str) -> None:
        self.chunks = chunks * repeat
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.taken = 0
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "gzip"
        self.requests += 1

        async def chunks() -> AsyncIterator[bytes]:
            for chunk in self.chunks:
                self.taken += 1
                yield chunk

        return httpx.Response(200, headers=self.headers, content=chunks())


class SilentApi(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        await asyncio.Event().wait()
        raise AssertionError(request)


# Retries


@pytest.mark.parametrize(
    "fault",
    [
        *(httpx.Response(status) for status in (408, 429, 500, 502, 503, 504)),
        httpx.ConnectError("no route"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("torn"),
        httpx.PoolTimeout("full"),
    ],
)
async def test_a_transient_fault_is_retried_after_a_growing_pause(fault: ScriptedResponse) -> None:
    api = TimedScript(fault, fault, OK)

    assert await retrieve(api) is None

    first, second = api.pauses
    assert 0.25 <= first <= 0.5 <= second <= 1


async def test_half_of_a_pause_is_jitter() -> None:
    random.seed(1)
    pauses = []
    for _ in range(50):
        api = TimedScript(httpx.Response(503), OK)
        await retrieve(api)
        pauses += api.pauses

    assert 0.25 <= min(pauses) < 0.27
    assert 0.48 < max(pauses) <= 0.5


async def test_after_three_attempts_the_fault_is_reported() -> None:
    api = TimedScript(httpx.ConnectError("no route"))

    with pytest.raises(UnreachableError, match="no route"):
        await retrieve(api)

    assert len(api.requests) == 3


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 405, 409, 422, 501])
async def test_a_lasting_fault_is_not_retried(status: int) -> None:
    headers = {"location": "https://elsewhere.test/", "retry-after": "1"}
    api = TimedScript(httpx.Response(status, headers=headers))

    with pytest.raises(Exception, match=f"HTTP {status}"):
        await retrieve(api)

    assert [request.url.host for request in api.requests] == ["api.test"]


async def test_a_request_that_the_proxy_refuses_is_not_retried() -> None:
    api = TimedScript(ProxyRefusalError("HTTP 407"))

    with raises(SettingsError, match=r"407.*HTTPS_PROXY"):
        await retrieve(api)

    assert len(api.requests) == 1


# Retry-After


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("seconds", [1, 3, 10])
async def test_retry_after_is_obeyed(status: int, seconds: int) -> None:
    api = TimedScript(httpx.Response(status, headers={"retry-after": str(seconds)}), OK)

    await retrieve(api)

    assert api.pauses == [seconds]


async def test_retry_after_may_be_a_date() -> None:
    api = TimedScript(httpx.Response(429, headers={"retry-after": in_seconds(8)}), OK)

    await retrieve(api)

    # The date has whole seconds, and some time has passed since it was written.
    assert 5 <= api.pauses[0] <= 8


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("11", "Ask again in 11 seconds"),
        ("119", "119 seconds"),
        ("120", "2 minutes"),
        ("3601", "61 minutes"),
        ("7200", "2 hours"),
        ("9" * 400, "24 hours"),
    ],
)
async def test_a_retry_after_that_is_too_long_is_reported_without_waiting(
    value: str, expected: str
) -> None:
    api = TimedScript(httpx.Response(429, headers={"retry-after": value}))

    with raises(RateLimitedError, match=f"{expected}, not before"):
        await retrieve(api)

    assert len(api.requests) == 1
    assert clock() == 0


async def test_a_service_with_a_long_retry_after_is_not_asked_again_for_up_to_a_minute() -> None:
    api = TimedScript(httpx.Response(429, headers={"retry-after": "250"}), OK)

    async with open_client(settings(), transport=HailuoAlone(api)) as client:
        for minutes in (5, 4):
            with raises(RateLimitedError, match=f"Ask again in {minutes} minutes, not before"):
                await client.look_up_at(HAILUO, ["a"])
            assert len(api.requests) == 1
            await asyncio.sleep(30)
        await client.look_up_at(HAILUO, ["a"])

    assert len(api.requests) == 2


async def test_a_retry_after_date_that_is_too_far_off_is_reported() -> None:
    api = TimedScript(httpx.Response(429, headers={"retry-after": in_seconds(300)}))

    with raises(RateLimitedError, match="Ask again in 5 minutes, not before"):
        await retrieve(api)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "0",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 +2359",
    ],
)
async def test_an_unusable_retry_after_gives_way_to_our_own_pause(value: str) -> None:
    api = TimedScript(httpx.Response(429, headers={"retry-after": value}), OK)

    await retrieve(api)

    assert 0.25 <= api.pauses[0] <= 0.5


async def test_a_retry_after_of_zero_is_reported_as_none() -> None:
    api = TimedScript(httpx.Response(429, headers={"retry-after": "0"}))

    with raises(RateLimitedError, match="Ask again in about 30 seconds"):
        await retrieve(api)


async def test_the_retry_after_of_the_last_attempt_is_reported() -> None:
    api = TimedScript(httpx.Response(503, headers={"retry-after": "4"}))

    with raises(UpstreamError, match="Ask again in 4 seconds, not before"):
        await retrieve(api)

    assert api.pauses == [4, 4]


# Time


@pytest.mark.parametrize("timeout_seconds", [0.5, 15, 40])
async def test_a_call_never_takes_more_than_45_seconds(timeout_seconds: float) -> None:
    api = SilentApi()

    async with open_client(
        settings(request_timeout_seconds=timeout_seconds), transport=api
    ) as client:
        with pytest.raises(UnreachableError, match=r"No answer|Not answered"):
            await look_up_one(client, "t")
        alone = clock()
        with pytest.raises(UnreachableError, match=r"No answer|Not answered"):
            await client.look_up_at(HAILUO, task_ids(1000))

    assert alone <= 45
    assert clock() - alone <= 45


@pytest.mark.parametrize("seconds", [0.5, 9, 14])
async def test_the_last_attempts_error_is_reported_when_no_time_is_left_for_another(
    seconds: float,
) -> None:
    api = TimedScript(
        httpx.Response(429, headers={"retry-after": "9"}, json={"trace_id": "abc"}),
    )

    async with open_client(settings(), transport=api) as client:
        with raises(RateLimitedError, match=r"HTTP 429.*9 seconds, not before.*abc"):
            await look_up_one(client, "t", within_seconds=seconds)

    assert clock() == seconds


async def test_a_batch_that_takes_too_long_returns_what_was_received() -> None:
    class SlowApi(PagingApi):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(10)
            return await super().handle_async_request(request)

    async with open_client(settings(), transport=SlowApi(task_ids(50), page_size=1)) as client:
        records, failures = await client.look_up_at(HAILUO, task_ids(50))

    assert (len(records), len(failures)) == (4, 46)
    assert "Not answered within 44 s by" in failures["task-0"].message
    assert clock() <= 45


async def test_a_response_that_never_ends_times_out() -> None:
    class DrippingApi(Streaming):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            async def drops() -> AsyncIterator[bytes]:
                while True:
                    await asyncio.sleep(1)
                    yield b" "

            self.requests += 1
            return httpx.Response(200, content=drops())

    api = DrippingApi()
    with pytest.raises(UnreachableError, match="each attempt was given 5 s"):
        async with open_client(settings(request_timeout_seconds=5), transport=api) as client:
            await look_up_one(client, "t")

    assert api.requests == 3


# Size


async def test_a_response_that_is_too_large_is_abandoned_while_it_streams() -> None:
    api = Streaming(b" " * 1_000_000, repeat=200)

    with pytest.raises(UnreadableResponseError, match="answered with more than 1 MB"):
        await retrieve(api)

    assert (api.taken, api.requests) == (2, 1)


@pytest.mark.parametrize("length", ["1000001", "9" * 5000])
async def test_a_response_that_declares_itself_too_large_is_not_read(length: str) -> None:
    api = Streaming(b"{}", content_length=length)

    with pytest.raises(UnreadableResponseError, match="more than 1 MB"):
        await retrieve(api)

    assert (api.taken, api.requests) == (0, 1)


async def test_a_response_of_a_megabyte_is_read() -> None:
    api = Streaming(b"{}" + b" " * 499_998, b" " * 500_000)

    assert await retrieve(api) is None


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_a_response_may_be_longer_in_step_with_the_ids_asked_for(count: int) -> None:
    bound = 1_000_000 + 20_000 * (count - 1)
    body = b'{"items": [], "task": null}'
    for length, is_read in ((bound, True), (bound + 1, False)):
        async with open_client(settings(), transport=Streaming(body.ljust(length))) as client:
            if is_read:
                await client.look_up_at(MINIMAX, task_ids(count))
            else:
                with pytest.raises(UnreadableResponseError, match=r"more than [123](\.[0-9]+)? MB"):
                    await client.look_up_at(MINIMAX, task_ids(count))


EMPTY_OBJECTS = b'{"items": [' + b",".join([b"{}"] * 2_700_000) + b"]}"
MANY_VALUES = {
    "objects": b'{"items": [' + b",".join([b"{}"] * 300_000) + b"]}",
    "fields": b'{"a": 1' + b"".join(b',"%d":{}' % number for number in range(80_000)) + b"}",
    "nested": b'{"a":' * 150_000,
    "numbers": b'{"items": [' + b"1," * 400_000 + b"1]}",
}


@pytest.mark.parametrize("body", MANY_VALUES.values(), ids=MANY_VALUES)
async def test_a_response_of_many_small_values_is_not_parsed(body: bytes) -> None:
    api = Streaming(gzip.compress(body, mtime=0), content_encoding="gzip")

    tracemalloc.start()
    with pytest.raises(UnreadableResponseError, match="JSON of more than 20,000 values instead"):
        await retrieve(api)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # Twice the body; parsed, these take 10 to 30 MB.
    assert peak < 3_000_000


async def test_a_response_of_a_few_kilobytes_with_millions_of_objects_is_abandoned() -> None:
    body = gzip.compress(EMPTY_OBJECTS, mtime=0)
    assert len(body) < 12_000

    tracemalloc.start()
    with pytest.raises(UnreadableResponseError, match="more than 1 MB"):
        await retrieve(Streaming(body, content_encoding="gzip"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 3_000_000


async def test_a_response_may_hold_more_values_in_step_with_the_ids_asked_for() -> None:
    items = [succeeded(task_id) for task_id in task_ids(100)]
    for item in items:
        # As long as a prompt can be.
        item["request"]["prompt"] = item["response"]["data"][0]["prompt"] = "sea, sky, " * 100
    api = ScriptedApi(httpx.Response(200, json={"items": items, "count": 100}))

    async with open_client(settings(), transport=api) as client:
        found = await client.look_up_at(HAILUO, task_ids(100))

    assert found.records.keys() == set(task_ids(100))


async def test_other_tasks_get_their_turn_while_a_body_is_read_that_is_there() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    await retrieve(Streaming(b"{}"))
    turns_of_a_small_body, turns = turns, 0
    await retrieve(Streaming(b"{}", *[b" " * 100] * 1000))
    other.cancel()

    assert turns - turns_of_a_small_body >= 50


async def test_bodies_that_are_held_take_a_bounded_memory_however_many_there_are() -> None:
    go_on = asyncio.Event()
    waiting = 0

    class HoldingApi(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            async def chunks() -> AsyncIterator[bytes]:
                nonlocal waiting
                yield b"{"
                for _ in range(15):
                    yield b" " * 60_000
                waiting += 1
                await go_on.wait()
                yield b"}"

            return httpx.Response(200, content=chunks())

    async def look_up(api: Api, token: str) -> LookupResult:
        with api.client(token) as client:
            return await client.look_up_at(HAILUO, ["t"])

    async with Api(settings(), Redactor(), transport=HoldingApi()) as api:
        tracemalloc.start()
        calls = [asyncio.create_task(look_up(api, f"token-{number}")) for number in range(100)]
        await asyncio.sleep(1)
        held = waiting
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        go_on.set()
        results = await asyncio.gather(*calls)

    assert held == 4
    assert peak < 25_000_000
    assert results == [({}, {})] * 100


@pytest.mark.parametrize("body", [b"x" * 64_001, b"[" * 64_000])
async def test_an_error_response_with_a_body_of_no_use_is_told_by_its_status(body: bytes) -> None:
    api = ScriptedApi(httpx.Response(503, content=body))

    with pytest.raises(UpstreamError, match=r"The API failed \(HTTP 503\)"):
        await retrieve(api)

    assert len(api.requests) == 3


async def test_a_small_body_that_decompresses_into_a_large_one_is_abandoned() -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    half = len(bomb) // 2

    tracemalloc.start()
    with pytest.raises(UnreadableResponseError, match="more than 1 MB"):
        await retrieve(Streaming(bomb[:half], bomb[half:], content_encoding="gzip"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # Never the decompressed size.
    assert peak < 3_000_000


async def test_a_compressed_body_that_decompresses_into_nothing_for_ever_is_abandoned() -> None:
    compressor = zlib.compressobj(wbits=31)
    start = compressor.compress(b"{}") + compressor.flush(zlib.Z_FULL_FLUSH)
    empty_blocks = b"\x00\x00\x00\xff\xff" * 20_000

    api = Streaming(start, *[empty_blocks] * 1000, content_encoding="gzip")
    with pytest.raises(UnreadableResponseError, match="more than 1 MB"):
        await retrieve(api)

    assert api.taken <= 12
    assert api.requests == 1


# Without the time of day, which would name the test differently in each worker.
@pytest.mark.parametrize("more", [b" ", gzip.compress(b" ", mtime=0), b"x" * 1_000_000])
@pytest.mark.parametrize("apart", [True, False])
async def test_data_after_a_compressed_body_is_not_read_to_its_end(
    more: bytes, apart: bool
) -> None:
    body = gzip.compress(b"{}")
    chunks = (body, more) if apart else (body + more,)
    api = Streaming(*chunks, *[more] * 40, content_encoding="gzip")

    with pytest.raises(UnreadableResponseError, match="a body that cannot be decoded"):
        await retrieve(api)

    assert api.taken <= 2
    assert api.requests == 1


async def test_an_empty_body_is_empty_whatever_its_content_encoding() -> None:
    with pytest.raises(UnreadableResponseError, match="an empty body"):
        await retrieve(Streaming(content_encoding="gzip"))


async def test_a_header_in_no_known_encoding_does_no_harm() -> None:
    odd = {b"content-type": b"text/html; charset=\xe9", b"retry-after": b"\xff", b"x": b"\xff"}
    response = httpx.Response(200, headers=list(odd.items()), content=b"<html>")

    with pytest.raises(UnreadableResponseError, match=r'text that is not JSON \("text/html; '):
        await retrieve(ScriptedApi(response))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"{}", mtime=0)),
        ("GZIP ", gzip.compress(b"{}", mtime=0)),
        ("identity", b"{}"),
        ("", b"{}"),
    ],
)
async def test_a_body_is_decoded(encoding: str, body: bytes) -> None:
    chunks = [body[place : place + 1] for place in range(len(body))]

    assert await retrieve(Streaming(*chunks, content_encoding=encoding)) is None


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "deflate, gzip"])
async def test_a_body_that_cannot_be_decoded_is_reported(encoding: str) -> None:
    with pytest.raises(UnreadableResponseError, match="a body that cannot be decoded"):
        await retrieve(Streaming(b"{} that is not packed", content_encoding=encoding))


@pytest.mark.parametrize("length", [1, 12, 19])
async def test_a_compressed_body_that_breaks_off_is_retried(length: int) -> None:
    api = Streaming(zlib.compress(b'{"id": "t"}', wbits=31)[:length], content_encoding="gzip")

    with pytest.raises(UnreachableError, match="broke off before it had answered"):
        await retrieve(api)

    assert api.requests == 3


# Many at once


async def test_two_hundred_calls_at_once_lose_none_and_at_most_four_are_in_flight() -> None:
    under_way = most = 0

    class CountingApi(PagingApi):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            # Twice this is more than an attempt may take: waiting for a turn must not count.
            await asyncio.sleep(14)
            under_way -= 1
            return await super().handle_async_request(request)

    api = CountingApi(task_ids(200), page_size=100)
    async with Client(create_server(settings(), transport=HailuoAlone(api))) as client:
        results = await asyncio.gather(
            *(client.call_tool("retrieve_task", {"task_id": task_id}) for task_id in task_ids(200))
        )

    assert [data_of(result)["task_id"] for result in results] == task_ids(200)
    assert [data_of(result)["state"] for result in results] == ["succeeded"] * 200
    assert most == 4
    assert clock() == 28


async def test_a_transport_error_keeps_nothing_of_the_attempt_in_memory() -> None:
    class Large:
        """Stands for what a transport holds when it fails."""

    held: list[weakref.ref[Large]] = []

    class FailingTransport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            large = Large()
            held.append(weakref.ref(large))
            raise httpx.ReadError("reset")

    async with Client(
        create_server(settings(), transport=HailuoAlone(FailingTransport()))
    ) as client:
        gc.disable()
        try:
            for _ in range(3):
                await client.call_tool("retrieve_task", {"task_id": "t"})
            alive = [each for each in held if each() is not None]
        finally:
            gc.enable()

    assert len(held) == 9
    assert alive == []
