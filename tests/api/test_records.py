"""Reading the API's JSON: what is found where, and what is ignored."""

from typing import Any

import pytest

from hailuo_tasks_mcp.api.records import TaskPage, read_page, read_record
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
    page = read_page(value)
    assert page is not None
    return page


def test_a_page_is_read_by_id_in_either_envelope() -> None:
    assert read(example("retrieve_batch")).records.keys() == {DOCUMENTED_ID, TIMED_ID}
    assert read(example("second_envelope")["batch"]).records.keys() == {"task-123"}
    assert read({"items": [{"task": {"id": "a"}}]}).records.keys() == {"a"}


def test_of_two_records_of_one_task_the_newer_counts() -> None:
    page = read({"items": [{"id": "a", "status": "new"}, {"id": "a", "status": "old"}]})

    assert page.records["a"].status == "new"


@pytest.mark.parametrize(
    ("page", "complete"),
    [
        ({"items": []}, True),
        ({"items": [{"id": "a"}, {}]}, True),
        ({"items": [], "success": True, "error": None}, True),
        ({"items": [{"id": "a"}, None]}, False),
        ({"items": ["a"]}, False),
        ({"items": [{"created_at": 1}]}, False),
        ({"items": [{"id": ["a"]}]}, False),
        ({"items": [{"id": "a"}], "success": False}, False),
        ({"items": [{"id": "a"}], "error": "x"}, False),
    ],
)
def test_a_page_is_complete_if_nothing_in_it_is_doubtful(page: Any, complete: bool) -> None:
    assert read(page).complete is complete


@pytest.mark.parametrize("value", [None, [], {}, {"items": None}, {"items": {"id": "a"}}])
def test_a_body_without_a_list_of_items_is_no_page(value: Any) -> None:
    assert read_page(value) is None
