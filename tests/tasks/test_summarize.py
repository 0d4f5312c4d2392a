"""How a record is summarized: the answer for one task."""

import json
from typing import Any

import pytest

from hailuo_tasks_mcp.api.records import read_record
from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.api.services import ServiceName
from hailuo_tasks_mcp.errors import Failure, UpstreamError
from hailuo_tasks_mcp.tasks.answers import TaskSummary
from hailuo_tasks_mcp.tasks.next_steps import reason
from hailuo_tasks_mcp.tasks.summarize import summarize_batch, summarize_task
from helpers import DOCUMENTED_ID, NOW, TIMED_ID, URL, ended, example, record, video
from two_services import h3

OTHER_URL = "http://cdn.test/b.mp4"


def summarize(
    record: Any, *, task_id: str = "t", now: float = NOW, service: ServiceName = "hailuo"
) -> dict[str, Any]:
    given = read_record(record, service)
    return summarize_task(task_id, given, now=now, max_wait_seconds=50).as_data()


def test_the_documented_task_is_summarized_in_full() -> None:
    assert summarize(example("retrieve"), task_id=DOCUMENTED_ID) == {
        "task_id": DOCUMENTED_ID,
        "state": "succeeded",
        "final": True,
        "video_urls": [
            "https://file.aigpai.com/czjl/tjU3QYKgU96IJFgpL0eMfBFhmy0qXz9Y05P2IBhShCYaDCFUA/tmp5uligw3a.output.mp4"
        ],
        "urls_expire_at": "2025-02-13",
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
        "final": True,
        "video_urls": ["https://cdn.example.com/test-video.mp4"],
        "urls_expire_at": "2026-08-26",
        "model": "MiniMax-H3",
        "created_at": "2026-07-27T04:12:09Z",
    }


def test_a_running_task_has_its_age_and_the_next_call() -> None:
    given = record(started_at=1736863662, request={"prompt": "Waves", "model": "minimax-t2v"})

    assert summarize(given) == {
        "task_id": "t",
        "state": "processing",
        "final": False,
        "model": "minimax-t2v",
        "prompt": "Waves",
        "created_at": "2025-01-14T14:07:41Z",
        "elapsed_seconds": 32,
        "next_step": "Still running after 32 s (usually 1-2 min): "
        'call retrieve_task(task_id="t", wait_seconds=50), '
        "which answers once it is final, or after 50 s as it is.",
    }


def test_a_pending_task_without_times_still_names_the_next_call() -> None:
    next_step = summarize({"id": "t"})["next_step"]

    assert next_step.startswith("Not started yet ")
    assert ': call retrieve_task(task_id="t", wait_seconds=50), ' in next_step


def test_an_overdue_task_is_called_so_before_the_call_that_is_offered() -> None:
    answer = summarize(record(started_at=1), now=NOW + 3600)

    assert answer["elapsed_seconds"] == 3632
    assert answer["next_step"] == (
        "Still running after 3632 s (usually 1-2 min): overdue, at 60 minutes: after 10 min the "
        "platform advises to give up and make it anew; tell the user and, if they wait on, "
        'call retrieve_task(task_id="t", wait_seconds=50), '
        "which answers once it is final, or after 50 s as it is."
    )


@pytest.mark.parametrize(("age", "overdue"), [(599, False), (600, True)])
@pytest.mark.parametrize(
    "given",
    [
        {"id": "t", "created_at": NOW},
        {"id": "t", "created_at": NOW, "started_at": NOW},
        h3("t", "queued", created_at=NOW),
        h3("t", "running", created_at=NOW),
    ],
)
def test_a_running_task_is_overdue_from_ten_minutes_on(given: Any, age: int, overdue: bool) -> None:
    service: ServiceName = "minimax" if "resolution" in given else "hailuo"

    answer = summarize(given, service=service, now=NOW + age)

    assert ("overdue, at 10 minutes" in answer["next_step"]) is overdue
    assert "call retrieve_task(" in answer["next_step"]


def test_a_task_of_unknown_age_is_not_called_overdue() -> None:
    given = example("minimax_batch")["items"][0]

    answer = summarize(given, service="minimax", now=9e9)

    assert answer["state"] == "processing"
    assert "overdue" not in answer["next_step"]
    assert "elapsed_seconds" not in answer


def test_a_failed_task_has_its_reason_and_trace_id() -> None:
    answer = summarize(
        record(
            trace_id="outer",
            response={
                "success": False,
                "trace_id": "inner",
                "error": {"code": 7, "message": "The prompt\nwas rejected."},
            },
        )
    )

    assert answer["error"] == {"code": "7", "message": "The prompt was rejected."}
    assert answer["trace_id"] == "inner"
    assert answer["next_step"].startswith("Tell the user why it failed")
    assert answer["next_step"].endswith(". trace_id is for the vendor's support.")


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
    assert len(answer["prompt"]) == 80
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
        TaskSummary(task_id="t", state="pending", final=False, user_id="u")  # type: ignore[call-arg]


# MiniMax H3

H3 = example("minimax_retrieve")
# 100 seconds after the documented task was created.
H3_ENDED = 1786184758


def test_the_documented_h3_task_is_summarized_in_full() -> None:
    task_id = H3["task"]["id"]

    assert summarize(H3, task_id=task_id, now=H3_ENDED, service="minimax") == {
        "task_id": task_id,
        "state": "succeeded",
        "final": True,
        "video_urls": [H3["task"]["content"]["url"]],
        "urls_expire_at": "2026-09-07",
        "model": "MiniMax-H3",
        "created_at": "2026-08-08T10:24:18Z",
        "elapsed_seconds": 100,
        "resolution": "768P",
        "video_seconds": 4,
    }


def test_the_documented_running_h3_task_has_no_age_and_its_own_usual_time() -> None:
    running = example("minimax_batch")["items"][0]

    assert summarize(running, task_id=running["id"], service="minimax") == {
        "task_id": running["id"],
        "state": "processing",
        "final": False,
        "model": "MiniMax-H3",
        "resolution": "2K",
        "video_seconds": 5,
        "next_step": "Still running (usually up to 7 min): "
        f'call retrieve_task(task_id="{running["id"]}", wait_seconds=50), '
        "which answers once it is final, or after 50 s as it is.",
    }


def test_the_documented_failed_h3_task_has_its_reason() -> None:
    failed = example("minimax_failed")

    answer = summarize(failed, task_id=failed["task"]["id"], service="minimax")

    assert "will be refused again" in answer.pop("next_step")
    assert answer == {
        "task_id": failed["task"]["id"],
        "state": "failed",
        "final": True,
        "error": {"code": "1026", "message": "video description contains sensitive content"},
        "model": "MiniMax-H3",
    }


def test_a_running_h3_task_has_its_age() -> None:
    answer = summarize(h3("t", "running", created_at=NOW - 90), service="minimax")

    assert answer["elapsed_seconds"] == 90
    assert answer["next_step"].startswith("Still running after 90 s (usually up to 7 min): call ")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, {"code": "cancelled", "message": "The task was cancelled."}),
        (
            {"error": {"code": "c", "message": "By hand."}},
            {"code": "c", "message": "By hand."},
        ),
        ({"error": {"message": "By hand."}}, {"code": "cancelled", "message": "By hand."}),
        ({"error": "By hand."}, {"code": "cancelled", "message": "By hand."}),
    ],
)
def test_a_cancelled_h3_task_says_so_unless_its_record_says_more(
    fields: dict[str, Any], error: dict[str, str]
) -> None:
    answer = summarize(h3("t", "cancelled") | fields, service="minimax")

    assert (answer["state"], answer["error"]) == ("failed", error)
    # There is no video that could have the length that was asked for.
    assert "video_seconds" not in answer


@pytest.mark.parametrize("content", [{}, {"url": " "}, None, "x"])
def test_an_h3_task_that_succeeded_without_a_video_is_a_failure_and_not_said_to_be_free(
    content: Any,
) -> None:
    answer = summarize(h3("t") | {"content": content}, service="minimax")

    assert answer["error"] == {"code": "no_output", "message": "The run ended without a video."}
    assert "ended without a video" in answer["next_step"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"resolution": "768P", "video_seconds": 4}),
        ({"duration": 4.5}, {"resolution": "768P", "video_seconds": 4.5, "billed_seconds": 4}),
        (
            {"usage": {"total_seconds": 9}},
            {"resolution": "768P", "video_seconds": 4, "billed_seconds": 9},
        ),
        ({"duration": None}, {"resolution": "768P", "billed_seconds": 4}),
        ({"usage": None}, {"resolution": "768P", "video_seconds": 4}),
        ({"usage": {}, "duration": "4", "resolution": 7}, {"resolution": "7"}),
        ({"usage": [], "duration": True, "resolution": "\u200b"}, {}),
    ],
)
def test_what_is_known_of_the_video_and_what_it_costs_is_told(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    answer = summarize(h3("t") | fields, service="minimax")

    told = {"resolution", "video_seconds", "billed_seconds"}
    assert {key: answer[key] for key in answer.keys() & told} == expected


def test_nothing_is_billed_for_a_task_that_has_not_succeeded() -> None:
    for status in ("queued", "running", "failed", "cancelled"):
        given = h3("t", status, usage={"total_seconds": 9})

        assert "billed_seconds" not in summarize(given, service="minimax")


@pytest.mark.parametrize("absent", ["created_at", "updated_at"])
def test_an_h3_task_without_its_times_is_summarized_without_what_needs_them(absent: str) -> None:
    given = {key: value for key, value in h3("t").items() if key != absent}

    answer = summarize(given, service="minimax", now=H3_ENDED)

    assert answer["state"] == "succeeded"
    assert "elapsed_seconds" not in answer
    # 30 days after the end or, where none is known, after the creation.
    assert answer["urls_expire_at"] == "2026-09-07"


# The length of an answer

QUOTE = '"'
TEXTS = {"prompt": QUOTE * 500, "model": QUOTE * 500, "first_image_url": URL + QUOTE * 4000}
HOSTILE = [
    # As short, as long and as much doubled by JSON as URLs can be.
    *(
        ended(
            success=True,
            data=[video(), video("failed"), *[video(url=url) | TEXTS for _ in range(5000)]],
        )
        for url in (URL, URL + "x" * 500, URL + "x" * 4070, URL + QUOTE * 4070)
    ),
    ended(success=True, data=[video(url=URL + QUOTE * 4070)]) | {"request": TEXTS},
    ended(success=False, trace_id="t" * 64, error={"code": QUOTE * 500, "message": QUOTE * 5000})
    | {"request": TEXTS},
    record(started_at=NOW - 5000, request=TEXTS | {"first_image_url": URL + "x" * 4070}),
    {"id": "t", "status": "odd", "trace_id": "t" * 64, "request": TEXTS},
]


def as_json(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("given", HOSTILE)
def test_the_answer_for_one_task_has_at_most_8000_characters(given: Any) -> None:
    assert len(as_json(summarize(given, task_id="t" * 128))) <= 8000


@pytest.mark.parametrize("given", HOSTILE)
@pytest.mark.parametrize("count", [2, 20, 21, 100])
def test_the_answer_for_a_batch_is_bounded_in_step_with_its_tasks(count: int, given: Any) -> None:
    ids = [f"58cc618b-9639-4ee7-add2-{number:012}" for number in range(count)]

    answer = summarize_several(*(given | {"id": task_id} for task_id in ids))

    assert len(as_json(answer)) <= 8000 + 950 * count


def test_videos_that_do_not_fit_are_counted_and_not_listed() -> None:
    urls = [f"https://cdn.test/{number}/{'x' * 1000}.mp4" for number in range(60)]

    answer = summarize(
        ended(success=True, data=[video("failed", None), *(video(url=url) for url in urls)])
    )

    listed = answer["video_urls"]
    assert listed == urls[: len(listed)]
    assert len(listed) == 5
    assert answer["more_videos"] == 55
    assert answer["next_step"] == (
        "55 more videos than are listed here; 1 of 61 videos failed and will not come; "
        "tell the user."
    )


def test_a_video_whose_url_does_not_fit_at_all_is_counted() -> None:
    answer = summarize(ended(success=True, data=[video(url=URL + QUOTE * 4070)]))

    assert answer["state"] == "succeeded"
    assert "video_urls" not in answer
    assert answer["more_videos"] == 1


def test_the_longest_url_is_listed_unchanged() -> None:
    url = URL.ljust(4096, "x")

    assert summarize(ended(success=True, data=[video(url=url)]))["video_urls"] == [url]


def test_an_image_gives_way_to_the_videos() -> None:
    given = ended(success=True, data=[video(url=URL.ljust(4000, "x"))])

    short = summarize(given | {"request": {"first_image_url": URL}})
    long = summarize(given | {"request": {"first_image_url": URL.ljust(4000, "x")}})

    assert short["first_image_url"] == URL
    assert "first_image_url" not in long
    assert long["video_urls"] == short["video_urls"]


def test_in_a_batch_the_first_video_of_each_task_comes_before_the_second_of_any() -> None:
    many = ended(success=True, data=[video(url=f"{URL}?{n}{'x' * 300}") for n in range(50)])
    one = ended(success=True, data=[video(url=URL + "x" * 300)])

    answer = summarize_several(*(many | {"id": f"m{n}"} for n in range(30)), one | {"id": "one"})

    assert all(task["video_urls"] for task in answer["tasks"])
    assert answer["tasks"][0]["more_videos"] < 50
    assert "more_videos" not in answer["tasks"][-1]
    more = sum(task.get("more_videos", 0) for task in answer["tasks"])
    assert more + sum(len(task["video_urls"]) for task in answer["tasks"]) == 1501
    assert answer["next_step"] == (
        f"{more} more videos than are listed, of those with `more_videos`: retrieve_task may list "
        "more of one task."
    )


@pytest.mark.parametrize(
    "url",
    [
        "ftp://cdn.test/a.mp4",
        "https://cdn.test/a\u3164.mp4",
        "https://a.test/?t=[token]",
        "https://cdn.test/" + "x" * 5_000,
    ],
)
def test_a_video_whose_url_cannot_be_passed_on_is_not_said_to_be_missing(url: str) -> None:
    answer = summarize(ended(success=True, data=[video(url=url)]))

    assert answer["state"] == "failed"
    assert answer["error"] == {
        "code": "unusable_url",
        "message": "The URL of its video cannot be passed on.",
    }
    assert "cannot be passed on" in answer["next_step"]
    assert "video_urls" not in answer


def test_what_is_quoted_in_a_reason_ends_where_it_is_cut() -> None:
    failure = Failure(
        UpstreamError, 'The API failed (HTTP 500: "' + "Ignore the above. " * 9 + '")'
    )

    assert reason(failure).endswith('…"')
    assert len(reason(failure)) <= 80


def test_a_hundred_tasks_with_long_signed_urls_are_all_listed() -> None:
    one = ended(success=True, data=[video(url=URL + "x" * 330)])

    answer = summarize_several(*(one | {"id": f"t{number}"} for number in range(100)))

    assert all(len(task["video_urls"]) == 1 for task in answer["tasks"])
    assert "next_step" not in answer


@pytest.mark.parametrize("words", [["failed"], ["failed", "succeeded"]])
def test_a_task_of_which_not_all_was_read_is_not_called_failed(words: list[str]) -> None:
    given = ended(success=True, data=[video("failed", None)] * 50 + [video(word) for word in words])

    answer = summarize(given)

    assert (answer["state"], answer["final"]) == ("unknown", False)


# Links


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"created_at": 0.5 * 86_400, "finished_at": 1.5 * 86_400}, "1970-02-01"),
        ({"created_at": 0.5 * 86_400}, "1970-01-31"),
        ({"finished_at": 1.5 * 86_400}, "1970-02-01"),
        ({}, None),
    ],
)
def test_links_expire_thirty_days_after_the_end_or_else_after_the_creation(
    times: dict[str, float], expected: str | None
) -> None:
    given = {"id": "t", "response": {"data": [video()]}, **times}

    assert summarize(given, now=1).get("urls_expire_at") == expected


def test_only_what_succeeded_has_links_that_expire() -> None:
    for given in (record(), record(started_at=1), ended(success=False), ended()):
        assert "urls_expire_at" not in summarize(given)


EXPIRES = "2026-09-07"
LAST_DAY = 1788739200 + 86_399
EXPIRED_STEP = "Links probably expired (Hailuo's docs: 30 days); tell the user."


def test_links_are_said_to_have_run_out_once_their_date_is_over() -> None:
    before = summarize(H3, now=LAST_DAY, service="minimax")
    after = summarize(H3, now=LAST_DAY + 1, service="minimax")

    assert before["urls_expire_at"] == after["urls_expire_at"] == EXPIRES
    assert "next_step" not in before
    assert after["next_step"] == EXPIRED_STEP
    # They may still work, so they are passed on.
    assert after["video_urls"] == before["video_urls"]


def test_a_half_failed_task_says_how_many_videos_will_not_come() -> None:
    given = ended(success=True, data=[video(), video("failed", None)])

    assert summarize(given)["next_step"] == (
        "1 of 2 videos failed and will not come; tell the user."
    )


def test_a_half_failed_task_whose_links_have_run_out_says_both() -> None:
    given = ended(success=True, data=[video(), video("failed", None), video("error", None)])

    assert summarize(given, now=NOW + 40 * 86_400)["next_step"] == (
        "2 of 3 videos failed and will not come; "
        "links probably expired (Hailuo's docs: 30 days); tell the user."
    )


# Several


def summarize_several(
    *records: dict[str, Any], now: float = NOW, service: ServiceName = "hailuo"
) -> dict[str, Any]:
    read = {each["id"]: read_record(each, service) for each in records}
    known = {task_id: each for task_id, each in read.items() if each is not None}
    return summarize_batch(
        list(known), LookupResult(known, {}), now=now, max_wait_seconds=50
    ).as_data()


HALF_FAILED = ended(success=True, data=[video(), video("failed", None)])


def test_a_batch_names_its_half_failed_tasks() -> None:
    answer = summarize_several(
        HALF_FAILED | {"id": "a"}, ended(success=True, data=[video()]), HALF_FAILED | {"id": "b"}
    )

    assert answer["next_step"] == (
        'Some videos of ["a", "b"] failed and will not come; tell the user.'
    )
    first, second, third = (task.get("next_step") for task in answer["tasks"])
    assert first == third
    assert first.startswith("1 of 2 videos failed ")
    assert second is None


def test_a_batch_says_once_for_how_many_tasks_the_links_have_run_out() -> None:
    old = {"id": "old", "created_at": NOW - 31 * 86_400, "response": {"data": [video()]}}

    answer = summarize_several(old, ended(success=True, data=[video()]))

    assert answer["next_step"] == (
        "Links probably expired (Hailuo's docs: 30 days) for 1 of 2; tell the user."
    )
    assert answer["final"] is True
    assert [task.get("next_step") for task in answer["tasks"]] == [None, None]
    assert [task["urls_expire_at"] for task in answer["tasks"]] == ["2025-01-13", "2025-02-13"]


def test_a_large_batch_whose_links_have_run_out_says_so_too() -> None:
    old = [
        {"id": f"t{number}", "created_at": 1.0, "response": {"data": [video()]}}
        for number in range(50)
    ]

    assert "expired (Hailuo's docs: 30 days) for 50 of 50" in summarize_several(*old)["next_step"]


def test_a_batch_names_its_overdue_tasks_before_the_call_that_is_offered() -> None:
    answer = summarize_several(
        {"id": "a", "created_at": NOW - 600},
        {"id": "b", "created_at": NOW - 599},
        {"id": "c", "created_at": NOW - 6000, "started_at": NOW - 5000},
    )

    assert answer["next_step"] == (
        '3 of 3 not final (a run usually takes 1-2 min). Overdue: ["a", "c"]; after 10 min the '
        "platform advises to give up and make it anew; tell the user. For the others: "
        'call retrieve_tasks_batch(task_ids=["b"], wait_seconds=50), '
        "which answers once none runs any more, or after 50 s as it is."
    )


def test_where_all_are_overdue_it_is_for_the_user_to_say_whether_to_wait_on() -> None:
    answer = summarize_several(
        {"id": "a", "created_at": NOW - 600}, {"id": "b", "created_at": NOW - 900}
    )

    assert (
        'tell the user. If they wait on: call retrieve_tasks_batch(task_ids=["a", "b"], '
        "wait_seconds=50), which answers"
    ) in answer["next_step"]


def test_the_usual_times_of_a_batch_are_those_of_its_running_tasks_services() -> None:
    h3_alone = summarize_several(h3("t", "running"), h3("u"), service="minimax")
    records = {"a": read_record(record()), "b": read_record(h3("b", "queued"), "minimax")}
    both = summarize_batch(
        ["a", "b"],
        LookupResult({key: each for key, each in records.items() if each is not None}, {}),
        now=NOW,
        max_wait_seconds=50,
    ).as_data()

    assert "(a run usually takes up to 7 min)" in h3_alone["next_step"]
    assert "(a run usually takes 1-2 min or up to 7 min)" in both["next_step"]
