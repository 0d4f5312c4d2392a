"""One look-up at two services: which is asked, and what one's fault leaves of the other."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.api.proxies import ProxyRefusalError
from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.api.services import HAILUO
from hailuo_tasks_mcp.errors import (
    HailuoTasksError,
    SettingsError,
    UnreachableError,
    UnreadableResponseError,
    UpstreamError,
)
from helpers import clock, raises, settings, task_ids
from simulated_time import SimulatedTimeLoop
from two_services import TwoServices, h3_tasks, hailuo_tasks

DOWN = httpx.Response(503, json={"error": {"code": "api_error"}})


async def look_up(api: TwoServices, *ids: str) -> LookupResult:
    async with open_client(settings(), transport=api) as client:
        return await client.look_up(ids)


async def test_an_id_that_one_service_does_not_know_is_looked_up_at_the_other() -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"))

    result = await look_up(api, "a")

    assert result.records["a"].service == "hailuo"
    assert api.sent == [("minimax", ["a"]), ("hailuo", ["a"])]


async def test_an_id_is_not_found_only_if_neither_service_knows_it() -> None:
    api = TwoServices()

    assert await look_up(api, "a") == ({}, {})
    assert [name for name, _ in api.sent] == ["minimax", "hailuo"]


@pytest.mark.parametrize("known", ["hailuo", "minimax"])
async def test_looking_up_again_takes_one_request(known: str) -> None:
    tasks: Any = {"hailuo": hailuo_tasks("a"), "minimax": h3_tasks("a")}[known]
    api = TwoServices(**{known: tasks})

    async with open_client(settings(), transport=api) as client:
        await client.look_up(["a"])
        before = len(api.sent)
        await client.look_up(["a"])

    assert api.sent[before:] == [(known, ["a"])]


async def test_the_service_that_knew_the_last_id_is_asked_first_for_a_new_one() -> None:
    api = TwoServices(hailuo=hailuo_tasks("a", "b"), minimax=h3_tasks("c"))

    async with open_client(settings(), transport=api) as client:
        await client.look_up(["a"])
        await client.look_up(["b"])
        await client.look_up(["c"])

    assert api.sent == [
        *[("minimax", ["a"]), ("hailuo", ["a"])],
        ("hailuo", ["b"]),
        *[("hailuo", ["c"]), ("minimax", ["c"])],
    ]


async def test_a_batch_asks_each_service_once() -> None:
    api = TwoServices(hailuo=hailuo_tasks("a", "b"), minimax=h3_tasks("c", "d"))

    result = await look_up(api, "a", "c", "x", "b", "d")

    assert {key: record.service for key, record in result.records.items()} == {
        "a": "hailuo",
        "b": "hailuo",
        "c": "minimax",
        "d": "minimax",
    }
    # And once more for what neither knew, which others may have crowded out.
    assert api.sent == [
        *[("minimax", ["a", "c", "x", "b", "d"]), ("hailuo", ["a", "x", "b"])],
        *[("minimax", ["x"]), ("hailuo", ["x"])],
    ]


async def test_a_batch_of_known_tasks_asks_each_service_once() -> None:
    api = TwoServices(hailuo=hailuo_tasks("a", "b"), minimax=h3_tasks("c", "d"))

    await look_up(api, "a", "c", "b", "d")

    assert api.sent == [("minimax", ["a", "c", "b", "d"]), ("hailuo", ["a", "b"])]


async def test_a_task_that_its_service_no_longer_knows_is_looked_up_at_the_other() -> None:
    api = TwoServices(minimax=h3_tasks("a"))

    async with open_client(settings(), transport=api) as client:
        await client.look_up(["a"])
        api.services["minimax"].records.clear()

        assert await client.look_up(["a"]) == ({}, {})

    assert api.sent[-2:] == [("minimax", ["a"]), ("hailuo", ["a"])]


@pytest.mark.parametrize("broken", ["hailuo", "minimax"])
async def test_the_fault_of_one_service_hides_nothing_that_the_other_knows(broken: str) -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"), minimax=h3_tasks("b"))
    api.services[broken].fault = lambda _: DOWN

    result = await look_up(api, "a", "b", "x")

    known, unknown = ("b", "a") if broken == "hailuo" else ("a", "b")
    assert result.records.keys() == {known}
    # Neither of these may be called not found.
    assert result.failures.keys() == {unknown, "x"}
    assert all(failure.kind is UpstreamError for failure in result.failures.values())


@pytest.mark.parametrize("ids", [["a"], ["a", "b"]])
async def test_a_proxy_that_refuses_one_service_is_not_asked_for_the_other(ids: list[str]) -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"))
    api.services["minimax"].fault = lambda _: ProxyRefusalError("HTTP 407")

    with raises(SettingsError, match="The proxy refuses"):
        await look_up(api, *ids)

    # It may lock out a user whom it refuses again and again.
    assert api.sent == [("minimax", ids)]


@pytest.mark.parametrize("hanging", ["hailuo", "minimax"])
async def test_a_service_that_hangs_delays_by_2_s_at_most_what_the_other_knows(
    hanging: str,
) -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"), minimax=h3_tasks("b"))
    api.services[hanging].hangs = True
    known = "a" if hanging == "minimax" else "b"

    alone = await look_up(api, known)
    after_one = clock()
    batch = await look_up(api, "a", "b", "x")

    assert alone.records.keys() == batch.records.keys() == {known}
    assert after_one <= 2
    assert clock() - after_one <= 2
    assert {failure.kind for failure in batch.failures.values()} == {UnreachableError}
    assert "Not answered within 2 s" in batch.failures["x"].message


async def test_a_service_that_pages_by_one_is_asked_to_its_end() -> None:
    class PagingByOne(TwoServices):
        def answer(self, name: str, payload: Any) -> Any:
            answer = super().answer(name, payload)
            if name == "hailuo" and "items" in answer:
                answer = {"items": answer["items"][:1], "count": 1}
            return answer

    api = PagingByOne(hailuo=hailuo_tasks(*task_ids(50)))
    api.services["hailuo"].latency_seconds = 0.3

    result = await look_up(api, *task_ids(50))

    assert result.records.keys() == set(task_ids(50))
    assert result.failures == {}
    assert len(api.sent) == 51


async def test_an_unknown_id_waits_for_a_service_that_hangs_and_is_then_an_error() -> None:
    api = TwoServices()
    api.services["minimax"].hangs = True

    with raises(UnreachableError, match="No answer from|Not answered within 44 s"):
        await look_up(api, "a")

    assert clock() <= 45


@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(200, json={}),
        httpx.Response(200, json={"task": None}),
        httpx.Response(400, json={"code": "bad_request", "detail": "No such task."}),
        httpx.Response(
            400,
            json={"type": "error", "error": {"type": "bad_request_error"}, "request_id": "req_1"},
        ),
        httpx.Response(404, json={"code": "not_found", "detail": "No such task."}),
        httpx.Response(404, json={}),
    ],
)
async def test_an_id_may_be_unknown_to_minimax_in_many_ways(refusal: httpx.Response) -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"))
    api.services["minimax"].fault = lambda _: refusal

    assert (await look_up(api, "a")).records.keys() == {"a"}
    assert await look_up(api, "x") == ({}, {})


@pytest.mark.parametrize(
    "fault",
    [
        httpx.Response(404, json={"error": {"code": "no_api"}}),
        httpx.Response(404, text="<html>"),
        httpx.Response(400, json={"error": {"code": "token_mismatched"}}),
        httpx.Response(400, json={"error": {"code": "api_not_implemented"}}),
    ],
)
async def test_a_refusal_for_another_reason_does_not_make_an_id_unknown(
    fault: httpx.Response,
) -> None:
    api = TwoServices()
    api.services["minimax"].fault = lambda _: fault

    with pytest.raises(Exception, match=f"HTTP {fault.status_code}"):
        await look_up(api, "x")


# What an answer must account for, so that what is missing from it is not found

UNACCOUNTED = [
    ({"items": [{"id": "other", "status": "running"}]}, "the records of other tasks"),
    ({"items": [{"id": f"o{number}"} for number in range(12)]}, "the records of other tasks"),
    ({"items": [], "count": 2}, "fewer tasks than it counts (2 missing)"),
    ({"items": [], "total": 1}, "fewer tasks than it counts (1 missing)"),
    ({"items": [{}]}, "a list with items that name no task"),
    ({"items": [{}, {}], "count": 2}, "a list with items that name no task"),
    ({"items": [None]}, "a list with items that name no task"),
    ({"items": [{"task": None}]}, "a list with items that name no task"),
]


@pytest.mark.parametrize(("body", "words"), UNACCOUNTED)
@pytest.mark.parametrize("ids", [["a", "b"], ["a", "b", "c"]])
@pytest.mark.parametrize("service", ["hailuo", "minimax"])
async def test_an_answer_that_does_not_account_for_itself_makes_no_task_not_found(
    service: str, ids: list[str], body: Any, words: str
) -> None:
    api = TwoServices()
    api.services[service].fault = lambda _: httpx.Response(200, json=body)

    with raises(
        UnreadableResponseError, match=re.escape(f"answered with {words} instead of the tasks")
    ):
        await look_up(api, *ids)


@pytest.mark.parametrize(("body", "words"), UNACCOUNTED)
@pytest.mark.parametrize("service", ["hailuo", "minimax"])
async def test_a_record_of_the_other_service_is_found_beside_such_an_answer(
    service: str, body: Any, words: str
) -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"), minimax=h3_tasks("a"))
    api.services[service].fault = lambda _: httpx.Response(200, json=body)

    result = await look_up(api, "a", "b", "c")

    assert result.records.keys() == {"a"}
    assert result.failures.keys() == {"b", "c"}
    assert words in result.failures["b"].message


@pytest.mark.parametrize(
    "body", [{"items": []}, {"items": [], "count": 0}, {"items": [], "total": 0, "error": None}]
)
async def test_a_list_of_nothing_that_counts_nothing_is_believed(body: Any) -> None:
    api = TwoServices()
    for service in api.services.values():
        service.fault = lambda _: httpx.Response(200, json=body)

    assert await look_up(api, "a", "b") == ({}, {})


async def test_tasks_that_were_counted_and_never_came_are_not_called_not_found() -> None:
    class CountingOneMore(TwoServices):
        """Counts a task that it never brings, on the first page alone."""

        def answer(self, name: str, payload: Any) -> Any:
            answer = super().answer(name, payload)
            if len(payload.get("ids", ())) == 4:
                answer = {"items": answer["items"][:1], "count": 3}
            return answer

    api = CountingOneMore(hailuo=hailuo_tasks("a", "b"))

    async with open_client(settings(), transport=api) as client:
        result = await client.look_up_at(HAILUO, ["a", "b", "c", "d"])

    assert result.records.keys() == {"a", "b"}
    assert result.failures.keys() == {"c", "d"}
    assert "fewer tasks than it counts (1 missing)" in result.failures["c"].message


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("service", ["hailuo", "minimax"])
async def test_an_id_that_comes_back_in_another_case_is_found(service: str, several: bool) -> None:
    api = TwoServices()
    ids = ["58cc618b-9639-4ee7-add2-d2fcf260d9a3", "Task_b"][: 1 + several]
    for each in ids:
        api.know(service, each)
        api.services[service].records[each] |= {"id": each.swapcase()}

    result = await look_up(api, *ids)

    assert list(result.records) == ids
    assert result.failures == {}


async def test_the_record_of_another_task_makes_no_single_task_not_found() -> None:
    api = TwoServices()
    api.services["minimax"].fault = lambda _: httpx.Response(200, json={"task": {"id": "other"}})

    with raises(UnreadableResponseError, match="the record of another task"):
        await look_up(api, "a")


async def test_what_may_be_on_another_page_is_not_called_not_found_when_the_time_is_up() -> None:
    api = TwoServices(minimax=h3_tasks("a"))

    def after_a_busy_moment(_: Any) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedTimeLoop)
        loop.advance(2)

    # It answers when it is no longer waited for, and so MiniMax is not asked for another page.
    api.services["hailuo"].latency_seconds = 0.5
    api.services["hailuo"].fault = after_a_busy_moment

    result = await look_up(api, "a", "b")

    assert api.sent == [("minimax", ["a", "b"]), ("hailuo", ["b"])]
    assert result.records.keys() == {"a"}
    assert "left this task out of its answers" in result.failures["b"].message


SAYS_NOTHING: list[Any] = [
    {"message": "task not found"},
    {"items": []},
    {"task": "not found"},
    {"status": "not_found"},
    {"data": None},
    {"task": None, "code": 500, "message": "boom"},
]


@pytest.mark.parametrize("body", SAYS_NOTHING)
async def test_an_object_that_says_nothing_of_a_task_hides_none_of_the_other_service(
    body: Any,
) -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"))
    api.services["minimax"].fault = lambda _: httpx.Response(200, json=body)

    async with open_client(settings(), transport=api) as client:
        known = (await client.look_up(["a"])).records["a"]
        with raises(HailuoTasksError, match="says nothing of a task|boom"):
            await client.look_up(["unknown"])

    assert known.service == "hailuo"


async def test_a_record_beside_an_empty_task_is_read() -> None:
    api = TwoServices()
    body = {"task": {}, "id": "a", "created_at": 1}
    api.services["hailuo"].fault = lambda _: httpx.Response(200, json=body)

    assert (await look_up(api, "a")).records["a"].created_at == 1


# Together, and at most four at a time


async def test_a_hundred_look_ups_at_once_are_within_the_limit_and_within_3_times_the_latency() -> (
    None
):
    api = TwoServices(hailuo=hailuo_tasks(*task_ids(101)), limit=5)
    api.services["hailuo"].latency_seconds = 0.2

    async with open_client(settings(), transport=api) as client:
        await client.look_up(["task-100"])
        start = clock()
        results = await asyncio.gather(*(client.look_up([each]) for each in task_ids(100)))

    assert [list(result.records) for result in results] == [[each] for each in task_ids(100)]
    assert api.most_in_flight == 4
    assert clock() - start <= 0.6
    assert len(api.sent) == 2 + 4 + 1


async def test_look_ups_of_the_same_id_at_the_same_moment_share_one_request() -> None:
    api = TwoServices(minimax=h3_tasks("a"))
    api.services["minimax"].latency_seconds = 0.5

    async with open_client(settings(), transport=api) as client:
        results = await asyncio.gather(*(client.look_up(["a"]) for _ in range(50)))

    assert all(result.records.keys() == {"a"} for result in results)
    assert api.sent == [("minimax", ["a"])]


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("later", [0, 0.1, 0.3])
async def test_what_another_look_up_learns_meanwhile_makes_no_known_task_unknown(
    later: float, broken: bool
) -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"))
    api.services["minimax"].latency_seconds = api.services["hailuo"].latency_seconds = 0.2
    if broken:
        api.services["minimax"].fault = lambda _: httpx.Response(404, text="<html>")

    async with open_client(settings(), transport=api) as client:
        first = asyncio.create_task(client.look_up(["a"]))
        await asyncio.sleep(later)
        second = await client.look_up(["a"])

    assert second.records.keys() == (await first).records.keys() == {"a"}


async def test_a_cancelled_look_up_takes_nothing_from_the_others() -> None:
    api = TwoServices(minimax=h3_tasks(*task_ids(30)))
    api.services["minimax"].latency_seconds = 1

    async with open_client(settings(), transport=api) as client:
        calls = [asyncio.create_task(client.look_up([each])) for each in task_ids(30)]
        await asyncio.sleep(0.5)
        for call in calls[::2]:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)

    for number, result in enumerate(results):
        if number % 2:
            assert isinstance(result, LookupResult)
            assert list(result.records) == [f"task-{number}"]
        else:
            assert isinstance(result, asyncio.CancelledError)


async def test_a_look_up_that_nobody_waits_for_any_more_frees_its_place() -> None:
    api = TwoServices()
    api.services["minimax"].hangs = True

    async with open_client(settings(), transport=api) as client:
        calls = [asyncio.create_task(client.look_up([each])) for each in task_ids(4)]
        await asyncio.sleep(0.5)
        assert api.in_flight == 4
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert api.in_flight == 0


async def test_deadlines_stay_each_callers_own() -> None:
    api = TwoServices(minimax=h3_tasks("a"))
    api.services["minimax"].latency_seconds = 5
    api.services["hailuo"].latency_seconds = 5

    async with open_client(settings(), transport=api) as client:

        async def impatient() -> float:
            with raises(UnreachableError, match="Not answered within 2 s"):
                await client.look_up(["a"], within_seconds=2)
            return clock()

        gave_up, result = await asyncio.gather(impatient(), client.look_up(["a"]))

    assert gave_up == 2
    assert result.records.keys() == {"a"}
    assert clock() == 5


async def test_one_id_that_makes_a_request_fail_spoils_nothing_for_the_others() -> None:
    api = TwoServices(hailuo=hailuo_tasks(*task_ids(100)))

    def fault(payload: Any) -> httpx.Response | None:
        ids = payload.get("ids") or [payload["id"]]
        return httpx.Response(500, json={"error": {"code": "api_error"}}) if "bad" in ids else None

    api.services["hailuo"].fault = fault

    result = await look_up(api, *task_ids(60), "bad", *task_ids(100)[60:99])

    assert len(result.records) == 99
    assert result.failures.keys() == {"bad"}


async def test_a_service_that_is_down_is_not_asked_for_every_half() -> None:
    api = TwoServices()
    api.services["hailuo"].fault = lambda _: httpx.Response(500)

    with pytest.raises(UpstreamError):
        await look_up(api, *task_ids(100))

    # One and its halves, three attempts each.
    assert sum(name == "hailuo" for name, _ in api.sent) == 9


async def test_a_rate_limit_slows_all_look_ups_of_the_caller() -> None:
    api = TwoServices(minimax=h3_tasks(*task_ids(9)))
    refused = False

    def once(_: Any) -> httpx.Response | None:
        nonlocal refused
        if refused:
            return None
        refused = True
        return httpx.Response(
            429, headers={"retry-after": "3"}, json={"error": {"code": "rate_limited"}}
        )

    api.services["minimax"].fault = once
    async with open_client(settings(), transport=api) as client:
        first = asyncio.create_task(client.look_up(["task-0"]))
        await asyncio.sleep(1)
        others = await asyncio.gather(*(client.look_up([each]) for each in task_ids(9)[1:]))
        await first

    assert len(others) == 8
    assert min(api.seconds[1:]) == 3
