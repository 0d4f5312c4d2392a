"""What a record means, row by row of the table in the API's contract."""

from typing import Any, get_args

import pytest

from hailuo_tasks_mcp.api.records import read_record
from hailuo_tasks_mcp.tasks.failures import FailureKind
from hailuo_tasks_mcp.tasks.next_steps import FAILED_STEPS, RUNNING_PROGRESS
from hailuo_tasks_mcp.tasks.states import FINAL_STATES, RUNNING_STATES, State, classify
from helpers import URL, ended, example, record, video
from two_services import h3

ROWS = [
    # `{}`
    ("an empty object is a task that the API does not know", {}, "not_found"),
    ("an empty second envelope is one too", {"task": {}}, "not_found"),
    ("and so is a null second envelope", {"task": None}, "not_found"),
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
        "a structured error takes precedence over a video that runs",
        record(response={"success": False, "data": [video("pending")], "error": {"code": "x"}}),
        "failed",
    ),
    (
        "a failed and finished run takes precedence over a video that runs",
        ended(success=False, data=[video("running")]),
        "failed",
    ),
    # a usable URL
    ("a video with a URL is a success", ended(success=True, data=[video()]), "succeeded"),
    (
        "a URL is enough where success and the times are missing",
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
        "a structured error is a failure where success is missing",
        ended(error={"code": "api_error", "message": "fetch failed"}, trace_id="x"),
        "failed",
    ),
    (
        "a code that only the record has ends the run too",
        record(response={"success": False, "error": "busy"}, error={"code": "x"}),
        "failed",
    ),
    # success is false and finished
    ("a bare string ends a finished run", ended(success=False, error="broken"), "failed"),
    ("success false ends a finished run without an error", ended(success=False), "failed"),
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
        "a bare error string of a run that goes on is transient",
        record(response={"success": False, "error": "fetch failed"}),
        "processing",
    ),
    (
        "an error without a code is transient too",
        record(response={"success": False, "error": {"message": "fetch failed"}}),
        "processing",
    ),
    (
        "a finish at zero does not count",
        record(finished_at=0, response={"success": False, "error": "busy"}),
        "processing",
    ),
    ("success false alone is transient", record(response={"success": False}), "processing"),
    (
        "a transient error beside a URL does not end the run",
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
        "an empty error does not count",
        record(response={"error": ""}),
        "pending",
    ),
    (
        "a response that only names the task is no outcome yet",
        record(response={"task_id": "t", "trace_id": "x"}),
        "pending",
    ),
    # anything else
    ("null is unknown", None, "unknown"),
    ("a list is unknown", [record()], "unknown"),
    ("a string is unknown", "succeeded", "unknown"),
    (
        "a null second envelope beside a record is none of this",
        {"id": "t", "task": None, "started_at": 1736863662},
        "processing",
    ),
    ("an object that is no task is unknown", {"message": "hello"}, "unknown"),
    ("a response that is no object is unknown", record(response="done"), "unknown"),
    ("and so is one of a run that ended", ended() | {"response": "done"}, "unknown"),
    (
        "data that is no list is unknown even of a run that ended well",
        ended(success=True, data="https://x.test/a.mp4"),
        "unknown",
    ),
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
        "a task that ended without an outcome is unknown",
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
        "a key of the second envelope that holds no record is ignored",
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

MINIMAX_ROWS = [
    ("the documented task succeeded", example("minimax_retrieve"), "succeeded"),
    ("the documented failure failed", example("minimax_failed"), "failed"),
    ("the documented running one runs", example("minimax_batch")["items"][0], "processing"),
    ("one of a list has no wrapper", example("minimax_batch")["items"][1], "succeeded"),
    *(
        (f"{word} is {state}", {"task": h3("t", word)}, state)
        for word, state in (
            ("queued", "pending"),
            ("running", "processing"),
            ("succeeded", "succeeded"),
            ("failed", "failed"),
            ("cancelled", "failed"),
            ("Queued", "pending"),
            ("RUNNING", "processing"),
        )
    ),
    ("a success without a URL is a failure", h3("t") | {"content": {}}, "failed"),
    ("and so is one without content", h3("t") | {"content": None}, "failed"),
    (
        "and one with a URL that nobody can open",
        h3("t") | {"content": {"url": "ftp://cdn.test/a.mp4"}},
        "failed",
    ),
    (
        "what a failed task left at its URL is no success",
        h3("t", "failed") | {"content": {"url": URL}},
        "failed",
    ),
    (
        "a URL that shows while it runs does not end the run",
        h3("t", "running") | {"content": {"url": URL}},
        "processing",
    ),
    (
        "an error of a task that runs does not end the run",
        h3("t", "running") | {"error": {"code": "c", "message": "m"}},
        "processing",
    ),
    ("a failure needs no error", {"id": "t", "status": "failed"}, "failed"),
    ("a word that nobody knows is unknown", h3("t", "expired"), "unknown"),
    ("even beside a URL", h3("t", "completed") | {"content": {"url": URL}}, "unknown"),
    ("no word is unknown", {"id": "t", "created_at": 1786184658}, "unknown"),
    ("and so is a word of another type", {"id": "t", "status": 200}, "unknown"),
    ("an empty object is a task that it does not know", {}, "not_found"),
    ("and so is a null task", {"task": None}, "not_found"),
    ("and an empty one", {"task": {}}, "not_found"),
    ("null is unknown", None, "unknown"),
]


@pytest.mark.parametrize(("given", "state"), [pytest.param(r, s, id=i) for i, r, s in MINIMAX_ROWS])
def test_a_record_of_minimax_h3_means_what_its_word_says(given: Any, state: str) -> None:
    assert classify(read_record(given, "minimax")) == state


@pytest.mark.parametrize(("given", "state"), [pytest.param(r, s, id=i) for i, r, s in ROWS])
def test_a_record_means_what_the_contracts_table_says(given: Any, state: str) -> None:
    assert classify(read_record(given)) == state


def test_succeeded_failed_and_not_found_are_final() -> None:
    assert {"succeeded", "failed", "not_found"} == FINAL_STATES


def test_every_state_is_final_running_or_unknown_and_has_its_words() -> None:
    assert FINAL_STATES | RUNNING_STATES | {"unknown"} == set(get_args(State))
    assert FAILED_STEPS.keys() == set(get_args(FailureKind))
    assert RUNNING_PROGRESS.keys() == RUNNING_STATES
