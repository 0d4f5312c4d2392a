"""Reading the API's JSON: what is found where, and what is ignored."""

import asyncio
import tracemalloc
from typing import Any

import pytest

from hailuo_tasks_mcp.api.records import (
    MAX_VIDEOS,
    TaskPage,
    read_page,
    read_record,
)
from helpers import DOCUMENTED_ID, TIMED_ID, example


def test_an_empty_object_is_no_record() -> None:
    assert read_record({}) is None
    assert read_record({"task": {}}) is None


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_anything_but_an_object_is_an_empty_record(value: Any) -> None:
    record = read_record(value)

    assert record is not None
    assert record.model_dump(exclude_defaults=True) == {}


@pytest.mark.parametrize(
    ("given", "task_id"),
    [
        ({"id": "a"}, "a"),
        ({"id": " a "}, "a"),
        ({"response": {"task_id": "a"}}, "a"),
        ({"id": 1879123456789012345}, "1879123456789012345"),
        ({"id": 10**128 - 1}, "9" * 128),
        ({"id": 10**400}, None),
        ({"id": True}, None),
        ({"id": ["a"]}, None),
        ({"id": ""}, None),
    ],
)
def test_the_id_is_read_from_wherever_it_stands(given: Any, task_id: str | None) -> None:
    record = read_record(given)

    assert record is not None
    assert record.task_id == task_id


def read(value: Any) -> TaskPage:
    page = asyncio.run(read_page(value, [DOCUMENTED_ID, TIMED_ID, "task-123", "a"]))
    assert page is not None
    return page


def test_a_page_is_read_by_id_in_either_envelope() -> None:
    assert read(example("retrieve_batch")).records.keys() == {DOCUMENTED_ID, TIMED_ID}
    assert read(example("second_envelope")["batch"]).records.keys() == {"task-123"}
    assert read({"items": [{"task": {"id": "a"}}]}).records.keys() == {"a"}


def test_of_two_records_of_one_task_the_newer_counts() -> None:
    page = read({"items": [{"id": "a", "status": "new"}, {"id": "a", "status": "old"}]})

    assert page.records["a"].status == "new"


NAMES_NO_TASK = "a list with items that name no task"
REPORTS_ERROR = "a list that reports an error"


@pytest.mark.parametrize(
    ("page", "doubt"),
    [
        ({"items": []}, None),
        ({"items": [{"id": "a"}, {"id": "A"}]}, None),
        ({"items": [], "success": True, "error": None}, None),
        ({"items": [{"id": "a"}, {}]}, NAMES_NO_TASK),
        ({"items": [{"id": "a"}, None]}, NAMES_NO_TASK),
        ({"items": [{"task": None}]}, NAMES_NO_TASK),
        ({"items": ["a"]}, NAMES_NO_TASK),
        ({"items": [{"created_at": 1}]}, NAMES_NO_TASK),
        ({"items": [{"id": ["a"]}]}, NAMES_NO_TASK),
        ({"items": [{"id": "a"}, {"id": "other"}]}, "the records of other tasks"),
        ({"items": [{"id": "a"}], "success": False}, REPORTS_ERROR),
        ({"items": [{"id": "a"}], "error": "x"}, REPORTS_ERROR),
        ({"items": [], "count": 0, "total": "0"}, None),
        *(
            ({"items": [], "count": count}, "a list whose count cannot be read")
            for count in (True, "many", "9" * 5_000, -1, 1.5, 10**400, 1e308, [2], {"of": 2})
        ),
    ],
)
def test_a_page_is_doubted_unless_it_accounts_for_every_item(page: Any, doubt: str | None) -> None:
    assert read(page).doubt == doubt


@pytest.mark.parametrize(
    ("counts", "missing"),
    [
        ({}, 0),
        ({"count": 1}, 0),
        ({"count": 3}, 2),
        ({"total": 3}, 2),
        ({"count": 1, "total": 2}, 1),
        ({"count": -1}, 0),
        ({"count": None, "total": "3"}, 2),
        ({"count": 3.0}, 2),
    ],
)
def test_a_page_tells_how_many_more_tasks_it_counts_than_it_has(counts: Any, missing: int) -> None:
    page = read({"items": [{"id": "a"}], **counts})

    assert page.missing == missing
    assert page.may_be_followed is (missing > 0)


@pytest.mark.parametrize(
    "item", [{"id": "A"}, {"task": {"id": "A"}}, {"response": {"task_id": "A"}}]
)
def test_an_id_that_comes_back_in_another_case_is_the_one_asked_for(item: Any) -> None:
    assert read({"items": [item]}).records.keys() == {"a"}


def test_ids_that_differ_in_their_case_alone_stay_apart() -> None:
    items = [{"id": "A", "status": "x"}, {"id": "a", "status": "y"}]
    page = asyncio.run(read_page({"items": items}, ["a", "A"]))

    assert page is not None
    assert {key: record.status for key, record in page.records.items()} == {"A": "x", "a": "y"}


def test_of_a_record_no_more_than_fifty_videos_are_read_and_the_rest_is_counted() -> None:
    videos = [{"video_url": f"https://cdn.test/{number}.mp4"} for number in range(60)]

    record = read_record({"id": "t", "response": {"data": videos, "unread_videos": 7}})

    assert record is not None
    assert len(record.videos) == MAX_VIDEOS == 50
    assert record.response.unread_videos == 10


def test_of_a_page_only_the_first_record_of_each_task_asked_for_is_read() -> None:
    seen: list[str] = []
    items = [
        *({"id": f"other-{number}", "model": "x"} for number in range(1000)),
        *({"id": "a", "model": str(number)} for number in range(1000)),
    ]

    def redact(text: str) -> str:
        seen.append(text)
        return text

    asyncio.run(read_page({"items": items}, ["a", "b"], redact=redact))

    assert seen == ["a", "0"]


def test_a_text_is_redacted_before_it_is_used_and_read_only_as_far_as_it_can_be_of_use() -> None:
    seen: list[str] = []

    def redact(text: str) -> str:
        seen.append(text)
        return text.replace("secret", "[token]")

    given = {
        "id": 12345678,
        "request": {"prompt": " " * 20_000 + "secret" * 100_000, "model": "secret"},
        "response": {"data": [{"video_url": "https://cdn.test/secret"}], "error": "secret"},
        "content": {"url": "secret"},
        "private": "secret" * 1000,
    }
    record = read_record(given, redact=redact)

    assert record is not None
    assert "secret" not in repr(record)
    assert "12345678" in seen
    assert max(map(len, seen)) == 1_640


@pytest.mark.parametrize("value", [None, [], {}, {"items": None}, {"items": {"id": "a"}}])
def test_a_body_without_a_list_of_items_is_no_page(value: Any) -> None:
    assert asyncio.run(read_page(value, ["a"])) is None


EMOJI = "\U0001f600"


def test_a_text_that_is_cut_says_so_and_does_not_end_with_a_part_of_a_token() -> None:
    token = "secret" * 17

    record = read_record(
        {"model": "x" * 641, "request": {"model": "x" * 640, "prompt": token * 30}},
        redact=lambda text: text.replace(token, "[token]"),
    )

    assert record is not None
    assert record.model == "x" * 640 + "…"
    assert record.request.model == "x" * 640
    assert record.request.prompt == "…"


def test_a_url_that_is_too_long_to_be_passed_on_is_not_kept_but_known_of() -> None:
    videos = [{"video_url": "https://a.test/" + "a" * size} for size in (4_081, 4_082)]

    record = read_record({"response": {"data": videos}})

    assert record is not None
    assert [len(video.video_url or "") for video in record.videos] == [4_096, 0]


@pytest.mark.parametrize("end", ["", EMOJI])
def test_what_is_read_and_kept_of_a_record_is_bounded(end: str) -> None:
    redacted = 0

    def redact(text: str) -> str:
        nonlocal redacted
        redacted += len(text)
        return text

    fields = ("video_url", "prompt", "first_image_url", "model", "state")
    videos = [{name: f"{n}{name}".ljust(600, "a") + end for name in fields} for n in range(50)]
    given = {"id": "t", "status": "running", "model": "m", "response": {"data": videos}}
    read_record(given)

    tracemalloc.start()
    try:
        record = read_record(given, redact=redact)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert record is not None
    assert (record.id, record.status, record.model) == ("t", "running", "m")
    assert redacted < 60_000
    assert kept < 50_000
    assert 0 < record.response.unread_videos < 50
    assert len(record.videos) + record.response.unread_videos == 50
    assert record.response.unreadable


def test_the_same_text_with_every_video_is_read_once() -> None:
    prompt = "a cat on a skateboard, " * 100
    videos = [{"video_url": f"https://cdn.test/{n}.mp4", "prompt": prompt} for n in range(50)]
    seen: list[str] = []

    def redact(text: str) -> str:
        seen.append(text)
        return text

    record = read_record({"id": "t", "response": {"data": videos}}, redact=redact)

    assert record is not None
    assert len(record.videos) == 50
    assert len(seen) == 1 + 50 + 1


async def test_other_tasks_run_while_a_page_is_read() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await read_page({"items": [{"id": str(n)} for n in range(100)]}, [str(n) for n in range(100)])
    counting.cancel()

    assert turns >= 25
