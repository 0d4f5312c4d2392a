"""What a record means, row by row of the table in the API's contract, and how it is told."""

import json
from typing import Any

import pytest

from hailuo_tasks_mcp.records import read_record
from hailuo_tasks_mcp.summary import TaskSummary, summarize_task
from helpers import DOCUMENTED_ID, NOW, TIMED_ID, example

URL = "https://cdn.test/a.mp4"
OTHER_URL = "http://cdn.test/b.mp4"


def summarize(record: Any, *, task_id: str = "t", now: float = NOW) -> dict[str, Any]:
    return summarize_task(task_id, read_record(record), now=now).as_data()


def record(**fields: Any) -> dict[str, Any]:
    return {"id": "t", "created_at": 1736863661.511, **fields}


def ended(**response: Any) -> dict[str, Any]:
    return record(started_at=1736863662, finished_at=1736863730, response=response)


def video(state: str | None = "succeeded", url: str | None = URL) -> dict[str, Any]:
    return {"id": "v", "state": state, "video_url": url}


ROWS = [
    # `{}`
    ("an empty object is a task that the API does not know", {}, "not_found"),
    ("an empty second envelope is one too", {"task": {}}, "not_found"),
    # some video still runs
    *(
        (
            f"a video that is {word} makes the task a running one",
            record(response={"success": True, "data": [video(word, None)]}),
            "processing",
        )
        for word in ("pending", "processing", "running", "queued", "Processing")
    ),
    (
        "one video that runs beside one that is there keeps the task running",
        record(response={"success": True, "data": [video(), video("running", None)]}),
        "processing",
    ),
    (
        "a running video that already shows a URL keeps the task running",
        ended(success=True, data=[video("processing", URL)]),
        "processing",
    ),
    (
        "a structured error decides against a video that is said to run",
        record(response={"success": False, "data": [video("pending")], "error": {"code": "x"}}),
        "failed",
    ),
    (
        "a failed and finished run decides against a video that is said to run",
        ended(success=False, data=[video("running")]),
        "failed",
    ),
    # a usable URL
    ("a video with a URL is a success", ended(success=True, data=[video()]), "succeeded"),
    (
        "a URL is enough where success and the times are not told",
        {"id": "t", "response": {"data": [{"video_url": URL}]}},
        "succeeded",
    ),
    (
        "one video is enough where another failed",
        ended(success=True, data=[video("failed", None), video()]),
        "succeeded",
    ),
    (
        "the key may be status and the word completed",
        ended(success=True, data=[{"status": "completed", "video_url": URL}]),
        "succeeded",
    ),
    ("data may be one object", ended(success=True, data=video()), "succeeded"),
    # success is false with a structured error, finished or not
    (
        "a structured error is a failure even of a run that never finished",
        record(response={"success": False, "error": {"code": "model_unavailable"}}),
        "failed",
    ),
    (
        "a structured error outweighs a URL",
        record(response={"success": False, "error": {"code": "x"}, "data": [video()]}),
        "failed",
    ),
    (
        "a numeric code is a structured error",
        record(response={"success": False, "error": {"code": 1026, "message": "m"}}),
        "failed",
    ),
    (
        "a structured error is a failure where success is not told at all",
        ended(error={"code": "api_error", "message": "fetch failed"}, trace_id="x"),
        "failed",
    ),
    # success is false and finished
    ("a bare string ends a finished run", ended(success=False, error="broken"), "failed"),
    ("success false ends a finished run without a word", ended(success=False), "failed"),
    ("a null error does so too", ended(success=False, error=None), "failed"),
    # every video failed
    *(
        (
            f"videos that are all {word} are a failure",
            record(response={"success": True, "data": [video(word, None), video(word, None)]}),
            "failed",
        )
        for word in ("failed", "error", "cancelled")
    ),
    (
        "what a failed video left at its URL is no success",
        record(response={"data": [video("failed", URL)]}),
        "failed",
    ),
    # finished without a URL
    ("a finished run without data is a failure", ended(success=True), "failed"),
    ("a finished run with empty data is one too", ended(success=True, data=[]), "failed"),
    ("and with null data", ended(success=True, data=None), "failed"),
    (
        "and with a URL that nobody can open",
        ended(success=True, data=[video("succeeded", "ftp://cdn.test/a.mp4")]),
        "failed",
    ),
    # success is false with a bare string or nothing, and not finished
    (
        "a bare error string of a run that goes on is a passing hiccup",
        record(response={"success": False, "error": "fetch failed"}),
        "processing",
    ),
    (
        "an error without a code is one too",
        record(response={"success": False, "error": {"message": "fetch failed"}}),
        "processing",
    ),
    ("so is success false alone", record(response={"success": False}), "processing"),
    (
        "and a hiccup beside a URL",
        record(response={"success": False, "error": "hm", "data": [video()]}),
        "processing",
    ),
    # success without data yet, or started
    (
        "a video of which nothing is known is no data",
        record(response={"success": True, "data": [{}, {"id": "v"}]}),
        "processing",
    ),
    ("success without data yet is a run", record(response={"success": True}), "processing"),
    ("a started task runs", record(started_at=1736863662), "processing"),
    ("a started task with a null response runs", record(started_at=1, response=None), "processing"),
    # no response yet
    ("a task without a response waits", record(), "pending"),
    ("a task with a null response waits", record(response=None), "pending"),
    ("a task with an empty response waits", record(response={}), "pending"),
    (
        "an error that says nothing is none",
        record(response={"error": ""}),
        "pending",
    ),
    (
        "a response that only names the task is none yet",
        record(response={"task_id": "t", "trace_id": "x"}),
        "pending",
    ),
    # anything else
    ("null is unknown", None, "unknown"),
    ("a list is unknown", [record()], "unknown"),
    ("a string is unknown", "succeeded", "unknown"),
    ("a null second envelope is unknown", {"task": None}, "unknown"),
    ("an object that is no task is unknown", {"message": "hello"}, "unknown"),
    ("a response that is no object is unknown", record(response="done"), "unknown"),
    ("and so is one of a run that ended", ended() | {"response": "done"}, "unknown"),
    (
        "data that is no list is unknown",
        record(response={"success": True, "data": "https://x.test"}),
        "unknown",
    ),
    (
        "data of things that are no videos is unknown",
        record(response={"success": True, "data": [None, "x"]}),
        "unknown",
    ),
    (
        "a video without URL that has neither ended nor runs is unknown",
        record(response={"success": True, "data": [video("succeeded", None)]}),
        "unknown",
    ),
    (
        "a task that ended without telling how is unknown",
        record(finished_at=1736863730),
        "unknown",
    ),
    ("and so is a run that ended so", ended(), "unknown"),
    ("and one that ended with nothing in its response", ended(data=[]), "unknown"),
    # the second envelope
    *(
        (
            f"the second envelope's {word} is {state}",
            {"task": {"id": "t", "status": word, "content": {"url": URL}}},
            state,
        )
        for word, state in (
            ("succeeded", "succeeded"),
            ("completed", "succeeded"),
            ("failed", "failed"),
            ("running", "processing"),
            ("processing", "processing"),
            ("pending", "pending"),
            ("queued", "pending"),
        )
    ),
    (
        "a key of the second envelope that holds no record is passed over",
        ended(success=True, data=[video()]) | {"task": "video"},
        "succeeded",
    ),
    ("a word that nobody knows is unknown", {"task": {"id": "t", "status": "odd"}}, "unknown"),
    (
        "a record in a list has no wrapper",
        example("second_envelope")["batch"]["items"][0],
        "succeeded",
    ),
]


@pytest.mark.parametrize(("given", "state"), [pytest.param(r, s, id=i) for i, r, s in ROWS])
def test_a_record_means_what_the_contracts_table_says(given: Any, state: str) -> None:
    answer = summarize(given)

    assert answer["state"] == state
    assert answer["done"] is (state in {"succeeded", "failed", "not_found"})
    assert ("video_urls" in answer) is (state == "succeeded")
    assert ("error" in answer) is (state == "failed")
    assert ("next_step" in answer) is (state != "succeeded")


def test_the_documented_task_is_told_in_full() -> None:
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


def test_the_second_envelope_is_told_like_the_first() -> None:
    assert summarize(example("second_envelope")["single"], task_id="task-123") == {
        "task_id": "task-123",
        "state": "succeeded",
        "done": True,
        "video_urls": ["https://cdn.example.com/test-video.mp4"],
        "model": "MiniMax-H3",
        "created_at": "2026-07-27T04:12:09Z",
    }


def test_a_running_task_tells_its_age_and_the_next_call() -> None:
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
        'call retrieve_task(task_id="t") again in about 15 seconds.',
    }


def test_a_pending_task_without_times_still_names_the_next_call() -> None:
    assert summarize({"id": "t"})["next_step"] == (
        "Not started yet (a run takes 1-2 minutes): "
        'call retrieve_task(task_id="t") again in about 15 seconds.'
    )


def test_a_task_that_runs_far_too_long_is_said_to_be_stuck() -> None:
    answer = summarize(record(started_at=1), now=NOW + 3600)

    assert answer["elapsed_seconds"] == 3632
    assert answer["next_step"].startswith("Not done after 60 minutes, where 1-2 minutes are usual")
    assert 'retrieve_task(task_id="t")' in answer["next_step"]


def test_a_failed_task_tells_why_and_its_trace_id() -> None:
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
def test_a_failure_is_told_in_the_apis_words_as_far_as_it_has_any(
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


def test_a_url_that_cannot_be_opened_is_not_handed_on() -> None:
    answer = summarize(ended(success=True, data=[video(url="ftp://cdn.test/a"), video(url=URL)]))

    assert answer["video_urls"] == [URL]


def test_an_unknown_state_comes_with_the_trace_id_and_says_what_to_do() -> None:
    answer = summarize(ended(trace_id="abc"))

    assert answer["state"] == "unknown"
    assert answer["trace_id"] == "abc"
    assert 'retrieve_task(task_id="t") once more' in answer["next_step"]


def test_what_the_video_says_goes_before_what_was_asked_for() -> None:
    given = ended(success=True, data=[video() | {"model": "made", "prompt": "made"}])
    given["request"] = {"model": "asked", "prompt": "asked"}

    assert (summarize(given)["model"], summarize(given)["prompt"]) == ("made", "made")


def test_what_was_asked_for_stands_in_where_the_video_says_nothing_of_use() -> None:
    said = {"model": "\u200b", "prompt": "\x00", "first_image_url": "data:image/png;base64,AA"}
    given = ended(success=True, data=[video() | said])
    given["request"] = {"model": "m", "prompt": "p", "first_image_url": "https://img.test/a.png"}

    answer = summarize(given)

    assert answer["model"] == "m"
    assert answer["prompt"] == "p"
    assert answer["first_image_url"] == "https://img.test/a.png"


def test_the_key_state_goes_before_the_key_status() -> None:
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


def test_an_image_that_is_no_url_is_not_handed_on() -> None:
    given = record(request={"first_image_url": "data:image/png;base64," + "A" * 10_000})

    assert "first_image_url" not in summarize(given)


@pytest.mark.parametrize(
    ("created_at", "told"),
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
def test_the_time_of_creation_is_told_in_utc_where_it_can_be_read(
    created_at: Any, told: str | None
) -> None:
    assert summarize({"id": "t", "created_at": created_at}).get("created_at") == told


@pytest.mark.parametrize(
    ("times", "told"),
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
def test_the_length_of_a_finished_run_is_told_where_it_is_known(
    times: dict[str, Any], told: float | None
) -> None:
    answer = summarize({"id": "t", "response": {"data": [video()]}, **times})

    assert json.dumps(answer.get("elapsed_seconds")) == json.dumps(told)


def test_a_clock_behind_the_apis_makes_no_task_younger_than_new() -> None:
    assert summarize(record(), now=0)["elapsed_seconds"] == 0


def test_no_field_of_a_record_is_handed_on_but_those_named() -> None:
    given = example("retrieve_timed") | {"junk": "JUNK"}
    given["response"]["junk"] = given["response"]["data"][0]["junk"] = "JUNK"
    given["request"] |= {"callback_url": "https://callback.test", "junk": "JUNK"}

    told = json.dumps(summarize(given, task_id=TIMED_ID))

    assert "JUNK" not in told
    assert "callback" not in told
    for field in ("_id", "api_id", "application_id", "credential_id", "user_id"):
        assert given[field] not in told


def test_an_answer_takes_no_field_that_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="extra"):
        TaskSummary(task_id="t", state="pending", done=False, user_id="u")  # type: ignore[call-arg]
