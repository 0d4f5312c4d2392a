"""The API over HTTP: what is sent, how a batch is completed, and which error each fault becomes."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.api.records import read_record
from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.api.services import HAILUO
from hailuo_tasks_mcp.errors import (
    BalanceUsedUpError,
    HailuoTasksError,
    TokenRejectedError,
    UnreadableResponseError,
    UpstreamError,
    WrongBaseUrlError,
)
from helpers import (
    DOCUMENTED_ID,
    TIMED_ID,
    TOKEN,
    PagingApi,
    ScriptedApi,
    clock,
    example,
    look_up_one,
    retrieve,
    retrieve_error,
    settings,
    succeeded,
    task_ids,
)

ERRORS = example("errors")


async def retrieve_batch(transport: httpx.AsyncBaseTransport, ids: list[str]) -> LookupResult:
    async with open_client(settings(), transport=transport) as client:
        return await client.look_up_at(HAILUO, ids)


async def test_one_task_is_requested_as_documented() -> None:
    api = ScriptedApi(httpx.Response(200, json=example("retrieve")))

    record = await retrieve(api, DOCUMENTED_ID)

    assert record is not None
    assert record.task_id == DOCUMENTED_ID
    (request,) = api.requests
    assert request.method == "POST"
    assert request.url == "https://api.test/hailuo/tasks"
    assert json.loads(request.content) == {"action": "retrieve", "id": DOCUMENTED_ID}
    assert request.headers["accept"] == "application/json"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["content-type"] == "application/json"


async def test_a_base_url_with_a_path_keeps_it() -> None:
    api = ScriptedApi(httpx.Response(200, json={}))

    async with open_client(
        settings(api_base_url="https://gateway.test/acedata"), transport=api
    ) as client:
        await look_up_one(client, "t")

    assert api.requests[0].url == "https://gateway.test/acedata/hailuo/tasks"


async def test_an_empty_object_is_no_record() -> None:
    assert await retrieve(ScriptedApi(httpx.Response(200, json={}))) is None


async def test_a_byte_order_mark_is_ignored() -> None:
    assert await retrieve(ScriptedApi(httpx.Response(200, content=b"\xef\xbb\xbf{}"))) is None


async def test_a_record_without_an_id_is_taken_as_the_requested_tasks() -> None:
    given = example("retrieve")
    del given["id"], given["response"]["task_id"]

    record = await retrieve(ScriptedApi(httpx.Response(200, json=given)))

    assert record is not None
    assert record.task_id is None
    assert record.videos


async def test_the_second_envelope_is_read() -> None:
    api = ScriptedApi(httpx.Response(200, json=example("second_envelope")["single"]))

    record = await retrieve(api, "task-123")

    assert record is not None
    assert record.task_id == "task-123"


async def test_the_documented_batch_is_read_by_id() -> None:
    api = ScriptedApi(httpx.Response(200, json=example("retrieve_batch")))

    batch = await retrieve_batch(api, [DOCUMENTED_ID, TIMED_ID])

    assert set(batch.records) == {DOCUMENTED_ID, TIMED_ID}
    assert batch.failures == {}
    assert api.payloads == [
        {"action": "retrieve_batch", "ids": [DOCUMENTED_ID, TIMED_ID], "limit": 2}
    ]


async def test_the_second_envelope_is_read_in_a_batch() -> None:
    api = ScriptedApi(
        httpx.Response(200, json=example("second_envelope")["batch"]), httpx.Response(200, json={})
    )

    assert set((await retrieve_batch(api, ["task-123", "b"])).records) == {"task-123"}


async def test_a_batch_of_one_id_is_requested_as_one_task() -> None:
    api = ScriptedApi(httpx.Response(200, json=example("retrieve")))

    assert set((await retrieve_batch(api, [DOCUMENTED_ID])).records) == {DOCUMENTED_ID}
    assert api.payloads == [{"action": "retrieve", "id": DOCUMENTED_ID}]


async def test_fifty_ids_take_one_request_where_limit_is_obeyed() -> None:
    api = PagingApi(task_ids(50), page_size=12, obeys_limit=True)

    batch = await retrieve_batch(api, task_ids(50))

    assert set(batch.records) == set(task_ids(50))
    assert len(api.payloads) == 1


@pytest.mark.parametrize("counts_all", [True, False])
@pytest.mark.parametrize(("page_size", "requests"), [(1, 50), (12, 5), (100, 1)])
async def test_a_batch_is_complete_whatever_the_page_size(
    page_size: int, requests: int, counts_all: bool
) -> None:
    api = PagingApi(task_ids(50), page_size=page_size, counts_all=counts_all)

    batch = await retrieve_batch(api, task_ids(50))

    assert set(batch.records) == set(task_ids(50))
    assert len(api.payloads) == requests


@pytest.mark.parametrize("page_size", [1, 12, 100])
async def test_an_id_is_unknown_only_after_a_response_without_new_records(page_size: int) -> None:
    api = PagingApi(task_ids(13), page_size=page_size)

    batch = await retrieve_batch(api, ["unknown", *task_ids(13)])

    assert set(batch.records) == set(task_ids(13))
    assert batch.failures == {}
    assert api.asked[-1] == ["unknown"]


async def test_ids_that_are_all_unknown_take_one_request() -> None:
    api = PagingApi([], page_size=12)

    assert await retrieve_batch(api, ["a", "b"]) == ({}, {})
    assert len(api.payloads) == 1


async def test_a_thousand_ids_are_sent_in_chunks_of_a_hundred() -> None:
    api = PagingApi(task_ids(1000), page_size=12, obeys_limit=True)

    batch = await retrieve_batch(api, task_ids(1000))

    assert len(batch.records) == 1000
    assert [len(payload["ids"]) for payload in api.payloads] == [100] * 10


async def test_at_most_four_chunks_are_requested_at_once() -> None:
    under_way = most = 0

    class SlowApi(PagingApi):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(1)
            under_way -= 1
            return await super().handle_async_request(request)

    await retrieve_batch(SlowApi(task_ids(1000), page_size=100), task_ids(1000))

    assert most == 4
    assert clock() == 3


async def test_repeated_ids_are_requested_once() -> None:
    api = PagingApi(["a", "b"], page_size=12)

    await retrieve_batch(api, ["a", "b", "a"])

    assert api.payloads[0]["ids"] == ["a", "b"]


async def test_no_ids_need_no_request() -> None:
    api = PagingApi([], page_size=12)

    assert await retrieve_batch(api, []) == ({}, {})
    assert api.payloads == []


async def test_records_received_before_an_error_are_kept_and_the_rest_carry_the_error() -> None:
    first = httpx.Response(200, json={"items": [example("retrieve")], "count": 2})
    api = ScriptedApi(first, httpx.Response(500, json=ERRORS["500"]))

    batch = await retrieve_batch(api, [DOCUMENTED_ID, "b"])

    assert set(batch.records) == {DOCUMENTED_ID}
    assert batch.failures["b"].kind is UpstreamError


async def test_a_batch_of_which_nothing_was_received_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        await retrieve_batch(ScriptedApi(httpx.Response(500, json=ERRORS["500"])), ["a", "b"])


async def test_a_record_of_another_task_in_a_batch_is_ignored() -> None:
    page = {"items": [{"id": "other"}, example("retrieve")], "count": 2}
    api = ScriptedApi(httpx.Response(200, json=page), httpx.Response(200, json={}))

    assert await retrieve_batch(api, [DOCUMENTED_ID, "b"]) == (
        {DOCUMENTED_ID: read_record(example("retrieve"))},
        {},
    )


INCOMPLETE = [
    {"items": [example("retrieve"), None]},
    {"items": [example("retrieve"), {"created_at": 1736863231.588}]},
    {"items": [example("retrieve")], "success": False, "error": {"code": "api_error"}},
    {"items": [example("retrieve")], "success": False},
]


@pytest.mark.parametrize("page", INCOMPLETE)
async def test_ids_missing_from_an_incomplete_batch_are_not_taken_as_unknown(page: Any) -> None:
    api = ScriptedApi(httpx.Response(200, json=page))

    batch = await retrieve_batch(api, [DOCUMENTED_ID, "b", "c"])

    assert batch.records.keys() == {DOCUMENTED_ID}
    assert batch.failures.keys() == {"b", "c"}
    assert {failure.kind for failure in batch.failures.values()} == {UnreadableResponseError}


@pytest.mark.parametrize("page", INCOMPLETE)
@pytest.mark.parametrize("known", [True, False])
async def test_the_one_id_missing_from_an_incomplete_batch_is_asked_for_alone(
    page: Any, known: bool
) -> None:
    alone = httpx.Response(200, json=succeeded("b") if known else {})
    api = ScriptedApi(httpx.Response(200, json=page), alone)

    batch = await retrieve_batch(api, [DOCUMENTED_ID, "b"])

    assert batch.records.keys() == {DOCUMENTED_ID, "b"} - ({"b"} if not known else set())
    assert batch.failures == {}
    assert api.payloads[1:] == [{"action": "retrieve", "id": "b"}]


async def test_a_record_that_names_its_task_only_in_its_response_is_found() -> None:
    record = example("retrieve")
    del record["id"]
    api = ScriptedApi(httpx.Response(200, json={"items": [record]}), httpx.Response(200, json={}))

    assert set((await retrieve_batch(api, [DOCUMENTED_ID, "b"])).records) == {DOCUMENTED_ID}


@pytest.mark.parametrize("body", [{}, {"items": None}, {"items": "x"}, {"count": 1}])
async def test_a_batch_without_a_list_of_items_is_unreadable(body: Any) -> None:
    with pytest.raises(UnreadableResponseError, match="without items"):
        await retrieve_batch(ScriptedApi(httpx.Response(200, json=body)), ["a", "b"])


async def test_a_record_of_another_task_is_rejected() -> None:
    with pytest.raises(UnreadableResponseError, match="record of another task"):
        await retrieve(ScriptedApi(httpx.Response(200, json=example("retrieve"))), "t")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, ERRORS["401"], TokenRejectedError),
        (403, ERRORS["403 used_up"], BalanceUsedUpError),
        (500, ERRORS["500"], UpstreamError),
        (302, None, WrongBaseUrlError),
        # The API also reports errors under 200, whatever else is in the body.
        (200, ERRORS["401"], TokenRejectedError),
        (200, {"success": False, "error": "odd"}, UpstreamError),
        (200, {"id": "req-1", "error": {"code": "invalid_token"}}, TokenRejectedError),
    ],
)
async def test_each_error_response_raises_its_own_error(
    status: int, body: Any, kind: type[HailuoTasksError]
) -> None:
    assert type(await retrieve_error(httpx.Response(status, json=body))) is kind


@pytest.mark.parametrize("error", [{"code": "api_error"}, None])
async def test_a_batch_that_reports_an_error_is_not_a_batch_of_unknown_ids(error: Any) -> None:
    body = {"success": False, "items": [], "count": 0, "error": error}

    with pytest.raises(UpstreamError):
        await retrieve_batch(ScriptedApi(httpx.Response(200, json=body)), ["a", "b"])


@pytest.mark.parametrize(
    "record",
    [
        {"task": {"id": "t", "status": "failed"}},
        {"id": "t", "request": {"action": "generate"}},
        {"id": "t", "response": {"success": False}},
        {"id": "t", "content": {"url": "https://cdn.test/a.mp4"}},
        {"id": "t", "status": "failed"},
        {"id": "t", "created_at": 1736863231.588},
        {"id": "t", "started_at": 1736863231.588},
        {"id": "t", "finished_at": 1736863231.588},
    ],
)
async def test_a_record_with_an_error_reads_the_same_alone_and_in_a_batch(record: Any) -> None:
    record |= {"error": {"code": "content_policy"}}

    alone = await retrieve(ScriptedApi(httpx.Response(200, json=record)))
    page = httpx.Response(200, json={"items": [record]})
    batch = await retrieve_batch(ScriptedApi(page, httpx.Response(200, json={})), ["t", "u"])

    assert alone is not None
    assert alone == batch.records["t"]


async def test_a_numeric_status_does_not_make_an_error_a_record() -> None:
    body = {"status": 500, "error": "Internal Server Error"}

    assert type(await retrieve_error(httpx.Response(200, json=body))) is UpstreamError


async def test_a_closed_client_opens_no_new_connection() -> None:
    api = ScriptedApi(httpx.Response(200, json={}))
    async with open_client(settings(), transport=api) as client:
        await look_up_one(client, "t")

    with pytest.raises(RuntimeError, match="closed"):
        await look_up_one(client, "t")
    assert len(api.requests) == 1
