"""The list of an account's tasks: complete however the API pages, bounded, and true about it."""

import asyncio
from collections.abc import Callable
from itertools import product
from random import Random
from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.api.client import Api, open_client
from hailuo_tasks_mcp.api.results import Listing
from hailuo_tasks_mcp.errors import (
    HailuoTasksError,
    RequestRejectedError,
    TokenMissingError,
    TokenRejectedError,
    UnreachableError,
    UnreadableResponseError,
    UpstreamError,
)
from hailuo_tasks_mcp.redaction import Redactor
from helpers import TOKEN, ScriptedApi, clock, settings
from listing_api import NOW, ListingApi, listed
from two_services import h3

DAY = 86_400.0
WEEK = 7 * DAY
Json = dict[str, Any]


async def list_recent(
    transport: httpx.AsyncBaseTransport, max_age_seconds: float = DAY, **options: Any
) -> Listing:
    async with open_client(settings(), transport=transport) as client:
        return await client.list_recent(max_age_seconds, **{"now": NOW, **options})


def ids(listing: Listing) -> list[str | None]:
    return [record.task_id for record in listing.records]


def names(count: int) -> list[str]:
    return [f"t{number}" for number in range(count)]


def page(*items: Any, **fields: Any) -> httpx.Response:
    return httpx.Response(200, json={"items": list(items), **fields})


WAYS = [
    pytest.param(
        {"max_limit": limit, "obeys_offset": offset, "counts": counts},
        id=f"limit {limit}, {'offset' if offset else 'no offset'}, counts {counts}",
    )
    for limit, offset, counts in product((100, 20, None), (True, False), ("all", "page", None))
]


@pytest.mark.parametrize("count", [0, 1, 11, 12, 13, 40, 130])
@pytest.mark.parametrize("way", WAYS)
async def test_all_tasks_are_listed_newest_first_however_the_api_pages(
    way: Json, count: int
) -> None:
    api = ListingApi(listed(count), **way)

    listing = await list_recent(api)

    assert ids(listing) == names(count)
    assert listing == Listing(listing.records, 0, True, 0, None)
    assert len(api.payloads) <= 20


ORDERS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "oldest first": lambda items: items[::-1],
    "shuffled": lambda items: Random(1).sample(items, len(items)),  # noqa: S311 - an order
    "some without a time": lambda items: [
        {**item, "created_at": None} if number % 3 else item for number, item in enumerate(items)
    ],
}


@pytest.mark.parametrize("count", [5, 13, 20, 40, 130])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("way", WAYS)
async def test_in_whatever_order_the_api_lists_what_is_missing_is_not_denied(
    way: Json, order: str, count: int
) -> None:
    listing = await list_recent(ListingApi(ORDERS[order](listed(count)), **way))

    if listing.complete:
        assert set(ids(listing)) == set(names(count))
    assert len(listing.records) + listing.unfetched <= count


@pytest.mark.parametrize("obeys_offset", [True, False])
async def test_a_page_of_ten_may_be_followed_by_another(obeys_offset: bool) -> None:
    api = ListingApi(
        listed(25), page_size=10, max_limit=None, counts="page", obeys_offset=obeys_offset
    )

    listing = await list_recent(api)

    assert ids(listing) == names(25)
    assert listing.complete


async def test_older_tasks_in_no_order_leave_open_whether_newer_ones_are_missing() -> None:
    old = listed(25, apart_seconds=2 * DAY)[::-1]
    api = ListingApi(
        [*old, *listed(1)], page_size=8, max_limit=None, obeys_min=False, counts="page"
    )

    listing = await list_recent(api)

    assert ids(listing) == []
    assert not listing.complete


async def test_records_of_no_use_are_counted_once_however_often_they_come() -> None:
    api = ListingApi([None, *listed(15)], max_limit=None, obeys_offset=False, counts="page")

    listing = await list_recent(api)

    assert ids(listing) == names(15)
    assert listing.left_out == 1


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_a_time_of_the_platform_that_cannot_be_is_not_believed(date: str) -> None:
    api = ScriptedApi(
        httpx.Response(200, headers={"date": date}, json={"items": listed(3), "total": 3})
    )

    listing = await list_recent(api)

    assert ids(listing) == names(3)
    assert len(api.requests) == 1


async def test_a_list_that_only_waited_for_others_does_not_blame_the_api() -> None:
    api = ListingApi(listed(3), latency_seconds=60)
    async with open_client(settings(), transport=api) as client:
        first = [asyncio.create_task(client.list_recent(DAY, now=NOW)) for _ in range(2)]
        await asyncio.sleep(1)
        with pytest.raises(UnreachableError) as caught:
            await client.list_recent(DAY, now=NOW, within_seconds=3)
        for task in first:
            task.cancel()
        await asyncio.gather(*first, return_exceptions=True)

    assert caught.value.failure.message == "Other lists with this token took the 3 s"


async def test_a_usual_list_takes_one_request_that_names_no_ids_and_no_latest_time() -> None:
    api = ListingApi(listed(5))

    await list_recent(api)

    assert api.payloads == [
        {
            "action": "retrieve_batch",
            "limit": 100,
            "offset": 0,
            "created_at_min": int(NOW - DAY),
        }
    ]


async def test_a_page_of_twelve_may_be_followed_by_another() -> None:
    api = ListingApi(listed(30), max_limit=None, counts="page")

    await list_recent(api)

    assert [payload["offset"] for payload in api.payloads] == [0, 12, 24]


async def test_where_offset_is_ignored_what_is_older_is_asked_for() -> None:
    api = ListingApi(listed(20), max_limit=None, obeys_offset=False)

    await list_recent(api)

    latest = [payload.get("created_at_max") for payload in api.payloads]
    assert latest == [None, None, int(NOW - 12 * 60)]


async def test_the_oldest_order_comes_out_newest_first_and_undated_tasks_come_last() -> None:
    dated = listed(20)[::-1]
    undated = [h3(f"u{number}", "running", created_at=None) for number in range(3)]

    listing = await list_recent(ListingApi([*undated, *dated]))

    assert ids(listing) == [*names(20), "u0", "u1", "u2"]


@pytest.mark.parametrize("count", [5, 40])
async def test_tasks_without_dates_are_listed_where_offset_is_obeyed(count: int) -> None:
    api = ListingApi(listed(count, created_at=None), max_limit=None)

    listing = await list_recent(api)

    assert ids(listing) == names(count)
    assert listing.complete


async def test_tasks_without_dates_that_cannot_be_paged_are_said_to_be_missing() -> None:
    api = ListingApi(listed(40, created_at=None), max_limit=None, obeys_offset=False)

    listing = await list_recent(api)

    assert ids(listing) == names(12)
    assert (listing.complete, listing.unfetched, listing.failure) == (False, 28, None)


@pytest.mark.parametrize("counts", ["all", "page", None])
async def test_an_api_that_always_sends_the_same_page_is_not_believed_to_have_no_more(
    counts: str | None,
) -> None:
    api = ListingApi(listed(40), max_limit=None, obeys_offset=False, obeys_max=False, counts=counts)

    listing = await list_recent(api)

    assert ids(listing) == names(12)
    assert not listing.complete
    assert listing.unfetched == (28 if counts == "all" else 0)
    assert len(api.payloads) == 3


async def test_more_tasks_of_one_second_than_a_page_has_do_not_hide_the_older_ones() -> None:
    crowd = [h3(f"c{number}", created_at=int(NOW - 600)) for number in range(30)]
    older = [h3(f"o{number}", created_at=int(NOW - 700 - number)) for number in range(5)]
    api = ListingApi([*crowd, *older], max_limit=None, obeys_offset=False, counts="page")

    listing = await list_recent(api)

    assert ids(listing) == [*(f"c{number}" for number in range(12)), *(f"o{n}" for n in range(5))]
    assert not listing.complete


async def test_what_is_older_than_asked_for_is_not_listed_though_the_api_sends_it() -> None:
    api = ListingApi(listed(48, apart_seconds=3600), obeys_min=False, max_limit=None)

    listing = await list_recent(api, DAY)

    assert ids(listing) == names(24)
    assert (listing.left_out, listing.complete, listing.unfetched) == (0, True, 0)
    # Not the whole history of the account.
    assert len(api.payloads) == 3


async def test_no_more_than_the_last_seven_days_are_asked_for_less_two_minutes() -> None:
    api = ListingApi()

    await list_recent(api, 30 * DAY)

    assert api.payloads[0]["created_at_min"] == NOW - WEEK + 120


@pytest.mark.parametrize("hours", [-80, -3, 3, 80])
async def test_a_clock_that_differs_moves_the_time_to_that_of_the_platform(hours: int) -> None:
    api = ListingApi(listed(20, apart_seconds=4 * 3600), ahead_seconds=0)

    listing = await list_recent(api, DAY, now=NOW + hours * 3600)

    assert ids(listing) == names(6)
    assert listing.complete
    assert [payload["created_at_min"] for payload in api.payloads] == [
        NOW + hours * 3600 - DAY,
        NOW - DAY,
    ]


async def test_a_clock_behind_the_platforms_loses_nothing_though_it_does_not_say_the_time() -> None:
    api = ListingApi(listed(10, apart_seconds=60))

    listing = await list_recent(api, 3600, now=NOW - 5 * 3600)

    assert ids(listing) == names(10)


async def test_a_time_that_the_platform_refuses_because_of_the_clock_is_asked_for_by_its_own() -> (
    None
):
    refused = httpx.Response(400, json={"code": "bad_request", "detail": "Only the last 7 days."})
    api = ListingApi(
        listed(3), ahead_seconds=0, fault=lambda number: refused if number == 1 else None
    )

    listing = await list_recent(api, WEEK, now=NOW - 2 * 3600)

    assert ids(listing) == names(3)
    assert api.payloads[1]["created_at_min"] == NOW - WEEK + 120


@pytest.mark.parametrize("ahead_seconds", [-50, 50])
async def test_a_clock_that_hardly_differs_costs_no_request(ahead_seconds: float) -> None:
    api = ListingApi(listed(3), ahead_seconds=ahead_seconds)

    await list_recent(api)

    assert len(api.payloads) == 1


@pytest.mark.parametrize("date", ["yesterday", "Wed, 99 Oct 2015 07:28:00 GMT", "", "9" * 5000])
async def test_a_date_that_cannot_be_read_is_none(date: str) -> None:
    api = ScriptedApi(httpx.Response(200, headers={"date": date}, json={"items": [h3("a")]}))

    assert ids(await list_recent(api, now=1786184700)) == ["a"]
    assert len(api.requests) == 1


USELESS: list[Any] = [
    None,
    7,
    "t",
    [],
    {},
    {"id": None, "status": "running"},
    {"id": "", "status": "running"},
    {"id": "two words", "status": "running"},
    {"id": "x" * 129, "status": "running"},
    {"id": "ignore\u202eprevious", "status": "running"},
    {"id": f"id-{TOKEN}", "status": "running"},
    {"id": "gone", "error": {"code": "not_found", "message": "No such task."}},
    {"error": {"code": "api_error", "message": "Failed."}},
]


async def test_records_of_no_use_are_left_out_and_counted() -> None:
    tasks = listed(3)
    api = ListingApi([tasks[0], *USELESS, *tasks[1:]], page_size=5, max_limit=None)

    listing = await list_recent(api)

    assert ids(listing) == names(3)
    assert (listing.left_out, listing.complete) == (len(USELESS), True)


async def test_records_of_no_use_are_counted_once_though_their_page_comes_again() -> None:
    items = [*USELESS, *listed(20)]
    api = ListingApi(items, max_limit=20, obeys_offset=False, counts=None)

    listing = await list_recent(api)

    assert ids(listing) == names(20)
    # Those without a time are on each page.
    assert listing.left_out >= len(USELESS)


async def test_an_api_that_sends_nothing_of_use_ends_after_some_requests() -> None:
    api = ListingApi([None] * 12, max_limit=None, obeys_offset=False, counts=None)

    listing = await list_recent(api)

    assert (ids(listing), listing.left_out, listing.complete) == ([], 12, False)
    assert len(api.payloads) == 2


async def test_a_task_that_comes_twice_is_listed_once() -> None:
    tasks = [h3("a"), h3("A", "running"), h3("b"), h3("a", "failed")]

    listing = await list_recent(ListingApi(tasks), now=1786184700)

    assert ids(listing) == ["a", "b"]
    assert listing.records[0].status == "succeeded"
    assert (listing.complete, listing.unfetched) == (True, 0)


async def test_a_task_that_moves_to_the_next_page_is_listed_once_and_the_one_before_it_missed() -> (
    None
):
    tasks = listed(30)
    api = ListingApi(tasks, max_limit=None)

    def create(number: int) -> None:
        if number == 2:
            api.items = [h3("new", created_at=NOW), *tasks]

    api.fault = create
    listing = await list_recent(api)

    assert ids(listing) == names(30)
    # It is counted by then, and was not sent.
    assert (listing.complete, listing.unfetched) == (False, 1)


async def test_records_of_any_shape_are_read_as_look_ups_read_them() -> None:
    wrapped = {"task": h3("wrapped")}
    odd = h3("odd", created_at="soon", duration=[], resolution={}, content=7, error=3)
    bare = {"id": "bare"}

    listing = await list_recent(ListingApi([wrapped, odd, bare]), now=1786184700)

    assert ids(listing) == ["wrapped", "odd", "bare"]


@pytest.mark.parametrize("body", [{"items": [], "total": 0}, {"items": None, "total": 0}])
async def test_an_account_without_tasks_has_an_empty_list(body: Json) -> None:
    listing = await list_recent(ScriptedApi(httpx.Response(200, json=body)))

    assert listing == Listing([])


@pytest.mark.parametrize("body", [{}, {"items": {}}, {"items": "none"}, {"total": 3}, {"task": {}}])
async def test_what_is_no_list_is_an_error(body: Json) -> None:
    with pytest.raises(UnreadableResponseError, match="without items instead of a list of tasks"):
        await list_recent(ScriptedApi(httpx.Response(200, json=body)))


@pytest.mark.parametrize("total", ["many", -1, 1e99, [], True, "NaN", 10**400])
async def test_a_count_that_cannot_be_read_counts_for_nothing(total: Any) -> None:
    listing = await list_recent(ScriptedApi(page(*listed(3), total=total)))

    assert (ids(listing), listing.complete) == (names(3), True)


async def test_tasks_that_are_counted_and_never_sent_are_said_to_be_missing() -> None:
    api = ScriptedApi(page(*listed(3), total=50))

    listing = await list_recent(api)

    assert (ids(listing), listing.complete, listing.unfetched) == (names(3), False, 47)
    assert len(api.requests) <= 3


async def test_no_more_than_twenty_requests_are_sent() -> None:
    api = ListingApi(listed(400), max_limit=None)

    listing = await list_recent(api)

    assert len(api.payloads) == 20
    assert ids(listing) == names(240)
    assert (listing.complete, listing.unfetched, listing.failure) == (False, 160, None)


async def test_no_more_than_a_thousand_tasks_are_listed() -> None:
    api = ListingApi(listed(1_300, apart_seconds=10))

    listing = await list_recent(api)

    assert len(api.payloads) == 10
    assert ids(listing) == names(1_000)
    assert (listing.complete, listing.unfetched) == (False, 300)


async def test_no_more_than_a_thousand_tasks_of_one_page_are_listed() -> None:
    # As small as records are, or the page would have too many values.
    items = [{"id": f"t{number}", "status": "running"} for number in range(1_200)]
    api = ListingApi(items, max_limit=None, page_size=5_000)

    listing = await list_recent(api)

    assert ids(listing) == names(1_000)
    assert (listing.complete, listing.unfetched) == (False, 200)


def fault_at(number: int, fault: httpx.Response | Exception) -> Callable[[int], Any]:
    return lambda at: fault if at == number else None


FAULTS: list[tuple[httpx.Response | Exception, type[HailuoTasksError]]] = [
    (httpx.Response(501, json={"error": {"code": "api_error"}}), UpstreamError),
    (httpx.Response(401, json={"error": {"code": "invalid_token"}}), TokenRejectedError),
    (httpx.Response(400, json={"code": "bad_request", "detail": "No."}), RequestRejectedError),
    (httpx.Response(200, content=b"<html>"), UnreadableResponseError),
    (httpx.Response(200, json={}), UnreadableResponseError),
    (httpx.Response(200, json={"error": {"code": "api_error"}}), UpstreamError),
    (httpx.Response(200, content=b'{"items": [' + b" " * 3_000_000), UnreadableResponseError),
]


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
async def test_a_fault_of_the_first_page_is_the_error(
    fault: httpx.Response | Exception, kind: type[HailuoTasksError]
) -> None:
    with pytest.raises(kind):
        await list_recent(ListingApi(listed(40), max_limit=None, fault=fault_at(1, fault)))


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize(("fault", "kind"), FAULTS)
async def test_a_fault_of_a_later_page_keeps_what_came_and_says_so(
    fault: httpx.Response | Exception, kind: type[HailuoTasksError], number: int
) -> None:
    came = 12 * (number - 1)

    listing = await list_recent(
        ListingApi(listed(40), max_limit=None, fault=fault_at(number, fault))
    )

    assert ids(listing) == names(came)
    assert listing.failure is not None
    assert listing.failure.kind is kind
    assert (listing.complete, listing.unfetched) == (False, 40 - came)


async def test_a_transient_fault_is_tried_again() -> None:
    failed = httpx.Response(503)
    api = ListingApi(listed(3), fault=lambda number: failed if number < 3 else None)

    assert ids(await list_recent(api)) == names(3)
    assert len(api.payloads) == 3


async def test_a_list_that_reports_an_error_keeps_what_came() -> None:
    listing = await list_recent(ScriptedApi(page(*listed(2), error={"code": "api_error"})))

    assert ids(listing) == names(2)
    assert listing.failure is not None
    assert "a list that reports an error" in listing.failure.message


async def test_what_came_in_time_is_kept() -> None:
    api = ListingApi(listed(60), max_limit=None, latency_seconds=10)

    start = clock()
    listing = await list_recent(api, within_seconds=35)

    assert clock() - start == 35
    assert ids(listing) == names(36)
    assert listing.failure is not None
    assert listing.failure.message.startswith("Not answered within 35 s")
    assert (listing.complete, listing.unfetched) == (False, 24)


async def test_a_list_of_which_nothing_came_in_time_is_an_error() -> None:
    start = clock()
    with pytest.raises(UpstreamError, match="HTTP 503"):
        await list_recent(ListingApi(latency_seconds=14.5, fault=lambda _: httpx.Response(503)))

    assert clock() - start == 44

    start = clock()
    with pytest.raises(UnreachableError, match="Not answered within 10 s by the API"):
        await list_recent(ListingApi(latency_seconds=14.5), within_seconds=10)

    assert clock() - start == 10


async def test_lists_that_wait_for_others_have_their_own_deadline() -> None:
    api = ListingApi(latency_seconds=14)
    async with open_client(settings(), transport=api) as client:
        lists = [client.list_recent(now=NOW, within_seconds=20) for _ in range(4)]
        results = await asyncio.gather(*lists, return_exceptions=True)

    assert results[:2] == [Listing([])] * 2
    assert all(isinstance(each, UnreachableError) for each in results[2:])
    assert clock() == 20


async def test_no_text_of_a_record_holds_the_token() -> None:
    leak = h3("leak", resolution=f"2K {TOKEN}", content={"url": f"https://cdn.test/{TOKEN}.mp4"})

    listing = await list_recent(ListingApi([leak]), now=1786184700)

    assert ids(listing) == ["leak"]
    assert TOKEN not in str(listing)


async def test_a_look_up_after_a_list_asks_the_service_that_listed_the_task_alone() -> None:
    # It answers for this service only.
    api = ListingApi(listed(3))
    async with open_client(settings(), transport=api) as client:
        await client.list_recent(now=NOW)
        # Else the other service, which knew the last id, would be asked first.
        found = await client.look_up(["t1"])

    assert found.records["t1"].service == "minimax"
    assert len(api.payloads) == 2


async def test_lists_and_look_ups_share_the_requests_in_flight_and_neither_waits_for_ever() -> None:
    api = ListingApi(listed(60), max_limit=None, latency_seconds=1)

    async with open_client(settings(), transport=api) as client, asyncio.timeout(60):
        lists = [client.list_recent(now=NOW) for _ in range(6)]
        look_ups = [client.look_up([f"t{number}"]) for number in range(3)]
        listings, found = await asyncio.gather(asyncio.gather(*lists), asyncio.gather(*look_ups))

    assert [ids(listing) for listing in listings] == [names(60)] * 6
    assert [each.records.keys() for each in found] == [{"t0"}, {"t1"}, {"t2"}]
    assert api.most_in_flight == 4


async def test_a_list_that_is_cancelled_leaves_its_place_to_others() -> None:
    api = ListingApi(listed(3), latency_seconds=5)
    async with open_client(settings(), transport=api) as client:
        lists = [asyncio.create_task(client.list_recent(now=NOW)) for _ in range(8)]
        await asyncio.sleep(1)
        for each in lists:
            each.cancel()
        await asyncio.wait(lists)
        assert all(each.cancelled() for each in lists)
        assert api.in_flight == 0

        start = clock()
        assert ids(await client.list_recent(now=NOW)) == names(3)

    assert clock() - start == 5


async def test_a_list_that_waits_for_a_place_takes_the_first_and_none_if_it_is_cancelled() -> None:
    api = ListingApi(listed(10), latency_seconds=10)
    async with open_client(settings(), transport=api) as client:
        # They fill all places, and the fifth waits for one.
        look_ups = [asyncio.create_task(client.look_up([f"t{number}"])) for number in range(5)]
        await asyncio.sleep(1)
        given_up, kept = (asyncio.create_task(client.list_recent(now=NOW)) for _ in range(2))
        await asyncio.sleep(1)
        assert len(api.payloads) == 4
        given_up.cancel()

        listing = await kept
        found = await asyncio.gather(*look_ups)

    assert given_up.cancelled()
    assert ids(listing) == names(10)
    assert [len(each.records) for each in found] == [1] * 5
    assert api.payloads[4]["action"] == "retrieve_batch"
    assert api.most_in_flight == 4


@pytest.mark.parametrize("turns", range(20))
async def test_a_list_that_is_cancelled_as_it_gets_its_place_gives_it_back(turns: int) -> None:
    """In one of these turns of the event loop a place is given and not yet taken."""
    api = ListingApi(listed(10), latency_seconds=10)
    async with open_client(settings(), transport=api) as client:
        first = [asyncio.create_task(client.look_up([f"t{number}"])) for number in range(4)]
        await asyncio.sleep(1)
        lists = [asyncio.create_task(client.list_recent(now=NOW)) for _ in range(2)]
        # Until the look-ups are answered.
        await asyncio.sleep(9)
        for _ in range(turns):
            await asyncio.sleep(0)
        for each in lists:
            each.cancel()
        await asyncio.wait([*first, *lists])

        again = [client.look_up([f"t{number}"]) for number in range(4)]
        found = await asyncio.gather(*again)

    # Had a place been lost, some of these would have gone out together.
    assert [payload["action"] for payload in api.payloads[-4:]] == ["retrieve"] * 4
    assert [len(each.records) for each in found] == [1] * 4


async def test_each_caller_lists_with_their_own_token() -> None:
    api = ListingApi(listed(3))
    async with Api(settings(api_token=None), Redactor(), transport=api) as platform:
        for token in ("first-callers-token", "second-callers-token"):
            with platform.client(token) as client:
                await client.list_recent(now=NOW)

    assert api.tokens == ["first-callers-token", "second-callers-token"]


async def test_without_a_token_nothing_is_sent() -> None:
    api = ListingApi()
    async with open_client(settings(api_token=None), transport=api) as client:
        with pytest.raises(TokenMissingError):
            await client.list_recent(now=NOW)

    assert api.payloads == []
