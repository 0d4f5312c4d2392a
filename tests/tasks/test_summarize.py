"""How a record is summarized: the answer for one task."""

import json
from typing import Any

import pytest

from hailuo_tasks_mcp.api.records import read_record
from hailuo_tasks_mcp.tasks.answers import TaskSummary
from hailuo_tasks_mcp.tasks.summarize import summarize_task
from helpers import DOCUMENTED_ID, NOW, TIMED_ID, URL, ended, example, record, video

OTHER_URL = "http://cdn.test/b.mp4"


def summarize(record: Any, *, task_id: str = "t", now: float = NOW) -> dict[str, Any]:
    return summarize_task(task_id, read_record(record), now=now, max_wait_seconds=50).as_data()


def test_the_documented_task_is_summarized_in_full() -> None:
    assert summarize(example("retrieve"), task_id=DOCUMENTED_ID) == {
        "task_id": DOCUMENTED_ID,
        "state": "succeeded",
        "done": True,
        "video_urls": [
            "https://file.aigpai.com/czjl/tjU3QYKgU96IJFgpL0eMfBFhmy0qXz9Y05P2IBhShCYaDCFUA/tmp5uligw3a.output.mp4"
        ],
        "model": "minimax-t2v",
        "prompt": "Internal heat",
        "created_at": "2025-01-14T14:00:31Z",
    }


def test_the_documented_times_give_the_length_of_the_run() -> None:
    answer = summarize(example("retrieve_timed"), task_id=TIMED_ID)

    assert answer["created_at"] == "2025-01-14T14:07:41Z"
    assert answer["elapsed_seconds"] == 69.1


def test_the_second_envelope_is_summarized_like_the_first() -> None:
    assert summarize(example("second_envelope")["single"], task_id="task-123") == {
        "task_id": "task-123",
        "state": "succeeded",
        "done": True,
        "video_urls": ["https://cdn.example.com/test-video.mp4"],
        "model": "MiniMax-H3",
        "created_at": "2026-07-27T04:12:09Z",
    }


def test_a_running_task_has_its_age_and_the_next_call() -> None:
    given = record(started_at=1736863662, request={"prompt": "Waves", "model": "minimax-t2v"})

    assert summarize(given) == {
        "task_id": "t",
        "state": "processing",
        "done": False,
        "model": "minimax-t2v",
        "prompt": "Waves",
        "created_at": "2025-01-14T14:07:41Z",
        "elapsed_seconds": 32,
        "next_step": "Still running after 32 s (a run takes 1-2 minutes): "
        'call retrieve_task(task_id="t", wait_seconds=50), '
        "which answers once it is done, or after 50 s as it is.",
    }


def test_a_pending_task_without_times_still_names_the_next_call() -> None:
    next_step = summarize({"id": "t"})["next_step"]

    assert next_step.startswith("Not started yet ")
    assert ': call retrieve_task(task_id="t", wait_seconds=50), ' in next_step


def test_a_task_that_runs_far_too_long_is_reported_as_stuck() -> None:
    answer = summarize(record(started_at=1), now=NOW + 3600)

    assert answer["elapsed_seconds"] == 3632
    assert (
        "tell the user that it may be stuck, at 60 minutes, and, if they wait on, "
        'call retrieve_task(task_id="t", wait_seconds=50), '
    ) in answer["next_step"]


def test_a_failed_task_has_its_reason_and_trace_id() -> None:
    answer = summarize(
        record(
            trace_id="outer",
            response={
                "success": False,
                "trace_id": "inner",
                "error": {"code": 1026, "message": "The prompt\nwas rejected."},
            },
        )
    )

    assert answer["error"] == {"code": "1026", "message": "The prompt was rejected."}
    assert answer["trace_id"] == "inner"
    assert answer["next_step"].startswith("Tell the user why it failed")


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, {"next_step"}),
        (record(), {"next_step"}),
        (record(started_at=1736863662), {"next_step"}),
        (ended(success=True, data=[video()]), {"video_urls"}),
        (ended(success=False), {"error", "next_step"}),
        (ended(), {"next_step"}),
    ],
)
def test_an_answer_has_the_fields_of_its_state(given: Any, fields: set[str]) -> None:
    answer = summarize(given)

    assert answer.keys() & {"video_urls", "error", "next_step"} == fields


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (
            ended(success=True, data=[]),
            {"code": "no_output", "message": "The run ended without a video."},
        ),
        *(
            (
                ended(success=True, error=nothing),
                {"code": "no_output", "message": "The run ended without a video."},
            )
            for nothing in ("", {}, {"code": None, "message": ""}, 0)
        ),
        (ended(success=True, error="m"), {"code": "no_output", "message": "m"}),
        (
            ended(success=True, data=[video("failed", None)]),
            {"message": "The API gave no reason."},
        ),
        (
            ended(success=False, error={}) | {"error": {"code": "c", "message": "m"}},
            {"code": "c", "message": "m"},
        ),
        (
            ended(success=False, error="inner") | {"error": "outer"},
            {"message": "inner"},
        ),
        (ended(success=False, error="broken"), {"message": "broken"}),
        (ended(success=False), {"message": "The API gave no reason."}),
        (
            ended(success=False, error={"code": "c", "message": None}),
            {"code": "c", "message": "The API gave no reason."},
        ),
        (
            {"task": {"id": "t", "status": "failed", "error": {"code": "c", "message": "m"}}},
            {"code": "c", "message": "m"},
        ),
    ],
)
def test_a_failure_is_reported_in_the_apis_words_where_there_are_any(
    given: Any, error: dict[str, str]
) -> None:
    assert summarize(given)["error"] == error


def test_failed_videos_beside_usable_ones_are_counted() -> None:
    answer = summarize(
        ended(
            success=True,
            data=[
                video("failed"),
                video(url=URL),
                video(None, url=OTHER_URL),
                video("error", None),
            ],
        )
    )

    assert answer["video_urls"] == [URL, OTHER_URL]
    assert answer["failed_videos"] == 2


def test_a_url_that_cannot_be_opened_is_not_passed_on() -> None:
    answer = summarize(ended(success=True, data=[video(url="ftp://cdn.test/a"), video(url=URL)]))

    assert answer["video_urls"] == [URL]


def test_an_unknown_state_comes_with_the_trace_id_and_says_what_to_do() -> None:
    answer = summarize(ended(trace_id="abc"))

    assert answer["state"] == "unknown"
    assert answer["trace_id"] == "abc"
    assert 'retrieve_task(task_id="t") once more' in answer["next_step"]


def test_the_videos_fields_take_precedence_over_the_requests() -> None:
    given = ended(success=True, data=[video() | {"model": "made", "prompt": "made"}])
    given["request"] = {"model": "asked", "prompt": "asked"}

    assert (summarize(given)["model"], summarize(given)["prompt"]) == ("made", "made")


def test_the_requests_fields_are_used_where_the_videos_are_unusable() -> None:
    unusable = {"model": "\u200b", "prompt": "\x00", "first_image_url": "data:image/png;base64,AA"}
    given = ended(success=True, data=[video() | unusable])
    given["request"] = {"model": "m", "prompt": "p", "first_image_url": "https://img.test/a.png"}

    answer = summarize(given)

    assert answer["model"] == "m"
    assert answer["prompt"] == "p"
    assert answer["first_image_url"] == "https://img.test/a.png"


def test_the_key_state_takes_precedence_over_the_key_status() -> None:
    assert summarize(ended(data=[video("failed") | {"status": "succeeded"}]))["state"] == "failed"


def test_texts_of_a_record_are_cleaned_and_cut() -> None:
    given = ended(success=False, error={"code": "c" * 100, "message": "m" * 1000})
    given["request"] = {
        "prompt": "  one\r\n\ttwo\u0000\u001b[31m \u202ethree\u2066 \ud800\U000e0041 " + "x" * 500,
        "model": "minimax\u200b-t2v",
        "first_image_url": "https://img.test/a.png",
    }

    answer = summarize(given)

    assert answer["prompt"].startswith("one two[31m three xxx")
    assert answer["prompt"].endswith("…")
    assert len(answer["prompt"]) == 120
    assert answer["model"] == "minimax-t2v"
    assert answer["first_image_url"] == "https://img.test/a.png"
    assert len(answer["error"]["code"]) == 64
    assert len(answer["error"]["message"]) == 300


def test_an_image_that_is_no_url_is_not_passed_on() -> None:
    given = record(request={"first_image_url": "data:image/png;base64," + "A" * 10_000})

    assert "first_image_url" not in summarize(given)


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        (1736863231.588, "2025-01-14T14:00:31Z"),
        (1736863231, "2025-01-14T14:00:31Z"),
        ("2025-01-14T14:00:31.588Z", "2025-01-14T14:00:31Z"),
        ("2025-01-14T22:00:31+08:00", "2025-01-14T14:00:31Z"),
        ("2025-01-14T14:00:31", "2025-01-14T14:00:31Z"),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        (-1, None),
        (float("nan"), None),
        (10**400, None),
        (1e300, None),
        (True, None),
        ([], None),
    ],
)
def test_the_time_of_creation_is_reported_in_utc_where_it_can_be_read(
    created_at: Any, expected: str | None
) -> None:
    assert summarize({"id": "t", "created_at": created_at}).get("created_at") == expected


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"elapsed": 69.14}, 69.1),
        ({"elapsed": 70.0}, 70),
        ({"started_at": 100.0, "finished_at": 169.1}, 69.1),
        ({"created_at": 100.0, "finished_at": 170}, 70),
        ({"elapsed": "long"}, None),
        ({"elapsed": -1}, None),
        ({"elapsed": 1e300}, None),
        ({"elapsed": 5, "started_at": 100.0, "finished_at": 169.1}, 5),
        ({"started_at": 100.0, "finished_at": 99.0}, None),
        ({"elapsed": float("inf")}, None),
    ],
)
def test_the_length_of_a_finished_run_is_reported_where_it_is_known(
    times: dict[str, Any], expected: float | None
) -> None:
    answer = summarize({"id": "t", "response": {"data": [video()]}, **times})

    assert json.dumps(answer.get("elapsed_seconds")) == json.dumps(expected)


def test_a_clock_behind_the_apis_gives_no_negative_age() -> None:
    assert summarize(record(), now=0)["elapsed_seconds"] == 0


def test_only_known_fields_of_a_record_are_passed_on() -> None:
    given = example("retrieve_timed") | {"junk": "JUNK"}
    given["response"]["junk"] = given["response"]["data"][0]["junk"] = "JUNK"
    given["request"] |= {"callback_url": "https://callback.test", "junk": "JUNK"}

    text = json.dumps(summarize(given, task_id=TIMED_ID))

    assert "JUNK" not in text
    assert "callback" not in text
    for field in ("_id", "api_id", "application_id", "credential_id", "user_id"):
        assert given[field] not in text


def test_an_answer_accepts_no_unknown_field() -> None:
    with pytest.raises(ValueError, match="extra"):
        TaskSummary(task_id="t", state="pending", done=False, user_id="u")  # type: ignore[call-arg]
