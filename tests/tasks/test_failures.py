"""What kind of failure ended a generation, and what is said of it."""

from typing import Any

import pytest

from hailuo_tasks_mcp.api.records import read_record
from hailuo_tasks_mcp.tasks.failures import failure_kind
from hailuo_tasks_mcp.tasks.summarize import summarize_task
from helpers import NOW, example, record
from two_services import h3

ROWS = [
    # The code decides
    ("content_policy", "", "refused_content"),
    ("1026", "video description contains sensitive content", "refused_content"),
    ("1027", "The output was withheld.", "refused_content"),
    ("unprocessable_entity_error", "The request was refused.", "refused_content"),
    ("model_unavailable", "", "unavailable_model"),
    ("cancelled", "The task was cancelled.", "cancelled"),
    ("no_output", "The run ended without a video.", "no_output"),
    *((code, "", "transient") for code in ("api_error", "server_error", "timeout")),
    *(
        (code, "", "transient")
        for code in ("too_many_requests", "rate_limited", "rate_limit_error")
    ),
    # Before any words
    ("content_policy", "Try again later.", "refused_content"),
    ("cancelled", "The model is unavailable.", "cancelled"),
    # Without a code, or with one that nobody knows, the words do
    (None, "no channel available for minimax-t2v", "unavailable_model"),
    ("x", "No channel available for MiniMax-H3.", "unavailable_model"),
    (None, "The model minimax-t2v is not available.", "unavailable_model"),
    (None, "This model is temporarily unavailable.", "unavailable_model"),
    (None, "The prompt has sensitive words.", "refused_content"),
    (None, "It did not pass content safety checks.", "refused_content"),
    (None, "Rejected by content moderation.", "refused_content"),
    (None, "A policy violation.", "refused_content"),
    (None, "fetch failed", "transient"),
    (None, "The generation timed out.", "transient"),
    (None, "Timeout", "transient"),
    (None, "The system is busy.", "transient"),
    (None, "Overloaded, try again later.", "transient"),
    (None, "Internal server error", "transient"),
    # A general code does not outweigh words that say why
    ("api_error", "no channel available for minimax-t2v", "unavailable_model"),
    ("server_error", "The prompt contains sensitive content.", "refused_content"),
    ("api_error", "The service is temporarily unavailable.", "transient"),
    ("api_error", "fetch failed", "transient"),
    # Nothing is known of any other
    ("1000", "It broke.", "other"),
    (None, "The API gave no reason.", "other"),
    (None, "", "other"),
]


@pytest.mark.parametrize(("code", "message", "kind"), ROWS)
def test_code_and_words_say_what_kind_of_failure_it_is(
    code: str | None, message: str, kind: str
) -> None:
    assert failure_kind(code, message) == kind


def step(record: Any, service: Any = "hailuo") -> str:
    task = summarize_task("t", read_record(record, service), now=NOW, max_wait_seconds=50)
    assert task.next_step is not None
    return task.next_step


def failed(code: str | None, message: str) -> dict[str, Any]:
    error = {"code": code, "message": message}
    return record(finished_at=NOW, response={"success": False, "error": error})


REFUSED = (
    "Tell the user: the same prompt and image will be refused again, so they must be changed. "
    "It was not charged."
)
UNAVAILABLE = (
    "Tell the user: the model is unavailable, and every repeat will be refused until the platform "
    "has it again. It was not charged."
)
MAY_PASS = (
    "Tell the user: this may pass, so another try, which is a new generation with a new task id, "
    "may succeed. It was not charged."
)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (failed("content_policy", "m"), REFUSED),
        (failed("x", "no channel available for minimax-t2v"), UNAVAILABLE),
        (failed("api_error", "fetch failed"), MAY_PASS),
        # Where nothing else is known of it
        (failed("x", "m"), "Tell the user why it failed. It was not charged."),
        (
            record(response={"success": False, "error": {"code": "cancelled"}}),
            "Tell the user that it was cancelled.",
        ),
        (
            record(finished_at=NOW, response={"success": True}),
            "Tell the user that it ended without a video.",
        ),
    ],
)
def test_each_kind_of_failure_has_its_words(given: Any, words: str) -> None:
    assert step(given) == words


def test_another_try_is_offered_only_where_one_may_help() -> None:
    for code, message, kind in ROWS:
        assert ("another try" in step(failed(code, message))) is (kind == "transient")


@pytest.mark.parametrize("status", ["succeeded", "cancelled"])
def test_a_run_is_said_to_be_free_only_if_it_failed(status: str) -> None:
    given = h3("t", status) | {"content": None}

    assert "charged" not in step(given, "minimax")
    assert "It was not charged." in step(example("minimax_failed"), "minimax")
