"""The tools that look tasks up as a host sees and calls them, in memory."""

import re
import tracemalloc
from typing import Any

import httpx
import pytest
from mcp import Client

from hailuo_tasks_mcp.errors import InvalidArgumentsError
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.tools.catalog import tools_for
from hailuo_tasks_mcp.tools.tool import check_arguments
from helpers import (
    DOCUMENTED_ID,
    NOW,
    TIMED_ID,
    Json,
    PagingApi,
    ScriptedApi,
    call,
    data_of,
    error_of,
    example,
    model_text,
    raises,
    settings,
    succeeded,
    task_ids,
    text_of,
)
from two_services import TwoServices, h3_tasks, hailuo_tasks

# The length of the vendor's own server's answer for the documented task.
VENDOR_CHARACTERS = 1450


def ok(body: Any) -> ScriptedApi:
    return ScriptedApi(httpx.Response(200, json=body))


async def test_one_task_is_answered_in_both_forms_alike() -> None:
    result = await call("retrieve_task", {"task_id": DOCUMENTED_ID}, ok(example("retrieve")))

    answer = data_of(result)
    assert answer["task_id"] == DOCUMENTED_ID
    assert answer["state"] == "succeeded"
    assert "null" not in text_of(result)


async def test_one_succeeded_task_takes_less_than_a_third_of_what_the_vendors_server_takes() -> (
    None
):
    result = await call("retrieve_task", {"task_id": DOCUMENTED_ID}, ok(example("retrieve")))

    assert len(text_of(result)) <= 0.3 * VENDOR_CHARACTERS


DAY_SECONDS = 86_400


@pytest.mark.parametrize("documented", ["retrieve", "retrieve_timed"])
@pytest.mark.parametrize(("days", "characters"), [(0, 350), (31, 430)])
async def test_one_succeeded_task_is_short_even_if_its_links_have_run_out(
    documented: str, days: int, characters: int
) -> None:
    record = example(documented)

    result = await call(
        "retrieve_task",
        {"task_id": record["id"]},
        ok(record),
        now=lambda: NOW + days * DAY_SECONDS,
    )

    assert ("next_step" in data_of(result)) is (days > 0)
    assert len(text_of(result)) < characters


@pytest.mark.parametrize("days", [0, 31])
async def test_fifty_tasks_of_minimax_h3_are_short(days: int) -> None:
    record = example("minimax_retrieve")["task"]
    ids = [f"f5977217-ed2c-40da-adbe-{number:012}" for number in range(50)]
    api = TwoServices(minimax={task_id: record | {"id": task_id} for task_id in ids})
    ended = record["updated_at"]

    async with Client(
        create_server(settings(), transport=api, now=lambda: ended + days * DAY_SECONDS)
    ) as client:
        result = await client.call_tool("retrieve_tasks_batch", {"task_ids": ids})

    assert data_of(result)["counts"] == {"succeeded": 50}
    assert ("next_step" in data_of(result)) is (days > 0)
    assert len(text_of(result)) < 13_000


async def test_ids_of_both_services_are_answered_in_one_call() -> None:
    h3_ids, hailuo_ids = [f"h3-{number}" for number in range(4)], task_ids(4)
    refused = example("minimax_failed")["task"]
    half = succeeded("half")
    half["response"]["data"].append({"state": "failed"})
    api = TwoServices(
        minimax={**h3_tasks(*h3_ids), "refused": refused | {"id": "refused"}},
        hailuo={**hailuo_tasks(*hailuo_ids), "half": half},
    )
    ids = [*h3_ids, "refused", "gone", *hailuo_ids, "half"]

    async with Client(create_server(settings(), transport=api, now=lambda: NOW)) as client:
        answer = data_of(await client.call_tool("retrieve_tasks_batch", {"task_ids": ids}))

    assert answer["counts"] == {"succeeded": 9, "failed": 1, "not_found": 1}
    assert [task["task_id"] for task in answer["tasks"]] == ids
    assert answer["final"] is True
    assert answer["next_step"].startswith('Some videos of ["half"] failed ')


async def test_with_one_service_down_an_id_is_unknown_with_the_reason_and_never_not_found() -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"))
    api.services["minimax"].fault = lambda _: httpx.Response(
        503, json={"error": {"code": "api_error"}}
    )

    async with Client(create_server(settings(), transport=api, now=lambda: NOW)) as client:
        batch = data_of(await client.call_tool("retrieve_tasks_batch", {"task_ids": ["a", "x"]}))
        alone = error_of(await client.call_tool("retrieve_task", {"task_id": "x"}))

    assert batch["counts"] == {"succeeded": 1, "unknown": 1}
    assert "The API failed (HTTP 503, api_error)" in batch["tasks"][1]["next_step"]
    assert alone.startswith("The API failed (HTTP 503, api_error). ")


async def test_a_failed_generation_is_a_successful_look_up() -> None:
    record = {"id": "t", "response": {"success": False, "error": {"code": "c", "message": "m"}}}

    answer = data_of(await call("retrieve_task", {"task_id": "t"}, ok(record)))

    assert answer["state"] == "failed"
    assert answer["error"] == {"code": "c", "message": "m"}


async def test_an_unknown_id_is_not_found() -> None:
    assert data_of(await call("retrieve_task", {"task_id": "t"}, ok({}))) == {
        "task_id": "t",
        "state": "not_found",
        "final": True,
        "next_step": "Ask the user to check the task id: "
        "neither MiniMax H3 (last 7 days) nor Hailuo knows it for this account.",
    }


async def test_a_batch_keeps_the_order_given_and_counts_the_states() -> None:
    running = {"id": "run", "created_at": NOW - 5, "started_at": NOW - 4}
    page = {"items": [running, *example("retrieve_batch")["items"]], "count": 3}

    answer = data_of(
        await call(
            "retrieve_tasks_batch",
            {"task_ids": ["gone", DOCUMENTED_ID, "run", TIMED_ID, "gone"]},
            ScriptedApi(httpx.Response(200, json=page), httpx.Response(200, json={})),
        )
    )

    assert answer["counts"] == {"not_found": 1, "succeeded": 2, "processing": 1}
    assert answer["final"] is False
    assert [task["task_id"] for task in answer["tasks"]] == ["gone", DOCUMENTED_ID, "run", TIMED_ID]
    assert [task["state"] for task in answer["tasks"]] == [
        "not_found",
        "succeeded",
        "processing",
        "succeeded",
    ]
    assert answer["tasks"][2]["next_step"] == "See the batch's next_step."
    assert answer["next_step"] == (
        "1 of 4 not final (a run usually takes 1-2 min): "
        'call retrieve_tasks_batch(task_ids=["run"], wait_seconds=50), '
        "which answers once none runs any more, or after 50 s as it is."
    )


async def test_a_task_in_a_batch_is_summarized_as_alone_but_for_the_prompts_length() -> None:
    record = succeeded("t")
    record["request"]["prompt"] = record["response"]["data"][0]["prompt"] = "p" * 200
    record |= {"started_at": 1736863232, "finished_at": 1736863301.1}

    alone = data_of(await call("retrieve_task", {"task_id": "t"}, ok(record)))
    api = ScriptedApi(httpx.Response(200, json={"items": [record]}), httpx.Response(200, json={}))
    batch = data_of(await call("retrieve_tasks_batch", {"task_ids": ["t", "u"]}, api))

    assert alone["prompt"] == "p" * 79 + "…"
    assert batch["tasks"][0] == alone | {"prompt": "p" * 39 + "…"}


async def test_a_batch_of_one_is_answered_as_a_batch() -> None:
    api = ok(succeeded("t"))

    answer = data_of(await call("retrieve_tasks_batch", {"task_ids": ["t"]}, api))

    assert answer["counts"] == {"succeeded": 1}
    assert [task["task_id"] for task in answer["tasks"]] == ["t"]
    assert api.payloads == [{"action": "retrieve", "id": "t"}]


async def test_a_batch_that_is_final_needs_no_next_step() -> None:
    answer = data_of(
        await call("retrieve_tasks_batch", {"task_ids": ["a", "b"]}, PagingApi(["a"], page_size=12))
    )

    assert answer["final"] is True
    assert "next_step" not in answer


@pytest.mark.parametrize("documented", ["retrieve", "retrieve_timed"])
async def test_fifty_succeeded_tasks_are_all_there_and_short(documented: str) -> None:
    ids = [f"58cc618b-9639-4ee7-add2-{number:012}" for number in range(50)]
    items = [example(documented) | {"id": task_id} for task_id in ids]

    result = await call(
        "retrieve_tasks_batch", {"task_ids": ids}, ok({"items": items, "count": 50})
    )

    answer = data_of(result)
    assert [task["task_id"] for task in answer["tasks"]] == ids
    assert all(task["video_urls"] for task in answer["tasks"])
    assert len(text_of(result)) < 13_000


async def test_fifty_tasks_with_long_prompts_and_images_are_short_too() -> None:
    ids = [f"58cc618b-9639-4ee7-add2-{number:012}" for number in range(50)]
    items = [example("retrieve_timed") | {"id": task_id} for task_id in ids]
    for item in items:
        item["response"]["data"][0] |= {
            "prompt": "p" * 200,
            "first_image_url": "https://img.test/" + "i" * 100,
        }

    result = await call(
        "retrieve_tasks_batch", {"task_ids": ids}, ok({"items": items, "count": 50})
    )

    assert data_of(result)["tasks"][0]["prompt"] == "p" * 19 + "…"
    assert len(text_of(result)) < 13_000


@pytest.mark.parametrize(("size", "full"), [(20, True), (21, False)])
async def test_only_a_large_batch_shortens_succeeded_tasks(size: int, full: bool) -> None:
    ids = task_ids(size)
    failed = {
        "id": "task-0",
        "created_at": NOW - 90,
        "elapsed": 60,
        "request": {"model": "minimax-t2v"},
        "response": {"success": False, "error": {"code": "c", "message": "m"}},
    }
    items = [failed, *map(succeeded, ids[1:])]
    items[1]["response"]["data"].append({"state": "failed"})

    answer = data_of(
        await call("retrieve_tasks_batch", {"task_ids": ids}, ok({"items": items, "count": size}))
    )

    assert answer["tasks"][0].keys() >= {"error", "model", "created_at", "elapsed_seconds"}
    shortened = {"task_id", "state", "final", "video_urls", "failed_videos", "prompt", "next_step"}
    fuller = {"model", "created_at", "urls_expire_at"}
    assert answer["tasks"][1].keys() == shortened | (fuller if full else set())


async def test_a_task_that_could_not_be_fetched_is_unknown_with_the_reason() -> None:
    api = ScriptedApi(
        httpx.Response(200, json={"items": [succeeded("a")], "count": 2}),
        httpx.Response(503, json={"error": {"code": "api_error"}, "trace_id": "abc"}),
    )

    answer = data_of(await call("retrieve_tasks_batch", {"task_ids": ["a", "b"]}, api))

    assert answer["counts"] == {"succeeded": 1, "unknown": 1}
    assert answer["tasks"][1] == {
        "task_id": "b",
        "state": "unknown",
        "final": False,
        "trace_id": "abc",
        "next_step": "Its state could not be learned: The API failed (HTTP 503, api_error); "
        "see the batch's next_step. trace_id is for the vendor's support.",
    }
    assert answer["next_step"] == (
        "1 of 2 not final, 1 because their state could not be learned: "
        'call retrieve_tasks_batch(task_ids=["b"], wait_seconds=50), '
        "which answers once none runs any more, or after 50 s as it is; "
        "tell the user of the 1 unknown if that stays so."
    )


async def test_a_lasting_error_is_reported_with_its_remedy_and_without_a_call() -> None:
    api = ScriptedApi(
        httpx.Response(200, json={"items": [succeeded("a")], "count": 2}),
        httpx.Response(403, json=example("errors")["403 used_up"]),
    )

    answer = data_of(await call("retrieve_tasks_batch", {"task_ids": ["a", "b"]}, api))

    assert answer["next_step"] == (
        "1 of 2 not final, 1 because their state could not be learned. "
        "Ask the user to top it up at https://platform.acedata.cloud; "
        "asking again before that will not help."
    )


async def test_a_long_error_is_not_repeated_at_length_for_each_task() -> None:
    api = ScriptedApi(
        httpx.Response(200, json={"items": [succeeded("task-0")], "count": 100}),
        httpx.Response(500, json={"error": {"code": "api_error", "message": "long " * 100}}),
    )

    answer = data_of(await call("retrieve_tasks_batch", {"task_ids": task_ids(100)}, api))

    assert answer["counts"] == {"succeeded": 1, "unknown": 99}
    assert max(len(task["next_step"]) for task in answer["tasks"][1:]) < 170


async def test_a_run_that_ended_is_never_called_overdue() -> None:
    ended_unknown = {"id": "a", "created_at": 1, "finished_at": 5000, "elapsed": 4000}
    page = {"items": [ended_unknown, ended_unknown | {"id": "b"}]}

    answer = data_of(await call("retrieve_tasks_batch", {"task_ids": ["a", "b"]}, ok(page)))

    assert "verdue" not in answer["next_step"]


async def test_the_next_step_of_a_batch_mentions_overdue_and_unknown_tasks() -> None:
    overdue = {"id": "a", "created_at": NOW - 7200, "started_at": NOW - 7200}
    unknown = {"id": "b", "status": "odd"}

    answer = data_of(
        await call(
            "retrieve_tasks_batch", {"task_ids": ["a", "b"]}, ok({"items": [overdue, unknown]})
        )
    )

    told, _, offered = answer["next_step"].partition("call retrieve_tasks_batch(")
    assert 'Overdue: ["a"]; after 10 min the platform advises to give up' in told
    # What is overdue is only waited for if the user wants it; what is unknown is asked once more.
    assert offered.startswith('task_ids=["b"]) once more; tell the user of the 1 unknown')
    assert offered.endswith("; tell the user of the 1 unknown if that stays so.")


async def test_for_tasks_of_unknown_state_alone_the_next_call_does_not_wait() -> None:
    answer = data_of(
        await call(
            "retrieve_tasks_batch",
            {"task_ids": ["b"]},
            ok({"id": "b", "status": "odd"}),
        )
    )

    assert answer["next_step"] == (
        '1 of 1 not final: call retrieve_tasks_batch(task_ids=["b"]) once more; '
        "tell the user of the 1 unknown if that stays so."
    )


async def test_text_in_any_script_is_written_as_it_is() -> None:
    record = {"id": "t", "request": {"prompt": "一只猫在海边"}}

    result = await call("retrieve_task", {"task_id": "t"}, ok(record))

    assert '"prompt":"一只猫在海边"' in text_of(result)


async def test_a_defect_of_the_server_is_reported_without_its_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = ScriptedApi(KeyError("a detail"))

    error = error_of(await call("retrieve_task", {"task_id": "t"}, api))

    assert error.startswith("hailuo-tasks-mcp itself failed (KeyError)")
    assert "a detail" not in error
    assert "retrieve_task failed" in caplog.text


@pytest.mark.parametrize(
    "given",
    [
        ["a", "b"],
        [" a ", "b", "a"],
        '["a", "b"]',
        "a, b",
        "a b",
        "a,b,",
        "a\nb",
        "a，b",
        '"a, b"',
        "['a', 'b']",
        '["a", "b',
        '{"task_ids": ["a", "b"]}',
        "task_ids: a, b",
        "`a` `b`",
        ["`a`", '"b"'],
    ],
)
async def test_a_list_of_ids_may_arrive_in_the_forms_that_hosts_send(given: Any) -> None:
    api = PagingApi(["a", "b"], page_size=12)

    answer = data_of(await call("retrieve_tasks_batch", {"task_ids": given}, api))

    assert [task["task_id"] for task in answer["tasks"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "task_id"), [("a", "a"), ('"a"', "a"), ('["a"]', "a"), ("12345", "12345")]
)
async def test_a_single_id_may_arrive_bare(given: str, task_id: str) -> None:
    api = PagingApi([task_id], page_size=12)

    answer = data_of(await call("retrieve_tasks_batch", {"task_ids": given}, api))

    assert [task["task_id"] for task in answer["tasks"]] == [task_id]
    assert answer["counts"] == {"succeeded": 1}


SUFFIXED = "f5977217-ed2c-40da-adbe-93d08235618f"
AROUND = [
    (f'"{DOCUMENTED_ID}"', DOCUMENTED_ID),
    (f"`{DOCUMENTED_ID}`", DOCUMENTED_ID),
    (f"“{DOCUMENTED_ID}”", DOCUMENTED_ID),
    (f"<{DOCUMENTED_ID}>", DOCUMENTED_ID),
    (f"task_id: {DOCUMENTED_ID}", DOCUMENTED_ID),
    (f'{{"task_id":"{DOCUMENTED_ID}"}}', DOCUMENTED_ID),
    (f"task_id={DOCUMENTED_ID}&x=1", DOCUMENTED_ID),
    (f"https://example.test/tasks/{DOCUMENTED_ID}", DOCUMENTED_ID),
    (f"https://cdn.test/{DOCUMENTED_ID}.mp4?t=1", DOCUMENTED_ID),
    (f"{DOCUMENTED_ID}.mp4", DOCUMENTED_ID),
    (f"任务{DOCUMENTED_ID}。", DOCUMENTED_ID),
    (DOCUMENTED_ID.upper(), DOCUMENTED_ID),
    # As MiniMax H3 names its videos.
    (example("minimax_retrieve")["task"]["content"]["url"], SUFFIXED),
    # The same one twice is one.
    (f"{DOCUMENTED_ID} ({DOCUMENTED_ID.upper()})", DOCUMENTED_ID),
]


@pytest.mark.parametrize(("given", "task_id"), AROUND)
async def test_what_is_around_an_id_does_not_matter(given: str, task_id: str) -> None:
    alone, batch = PagingApi([task_id], page_size=12), PagingApi([task_id], page_size=12)

    answer = data_of(await call("retrieve_task", {"task_id": given}, alone))
    answers = data_of(await call("retrieve_tasks_batch", {"task_ids": [given]}, batch))

    assert alone.asked == batch.asked == [[task_id]]
    assert (answer["task_id"], answer["state"]) == (task_id, "succeeded")
    assert [task["task_id"] for task in answers["tasks"]] == [task_id]


async def test_the_case_of_an_id_that_is_no_uuid_is_kept() -> None:
    api = ok({})

    await call("retrieve_task", {"task_id": "Task-1"}, api)

    assert api.payloads[0]["id"] == "Task-1"


@pytest.mark.parametrize(
    "malformed",
    [
        "a/../b",
        "ä",
        "no id at all",
        "",
        "::",
        "\ud800",
        "a" * 129,
        "x" * 5000,
        f"{DOCUMENTED_ID} {TIMED_ID}",
    ],
)
async def test_a_malformed_id_spoils_nothing_for_the_others_of_a_batch(malformed: str) -> None:
    api = PagingApi(["a", "b"], page_size=12)

    answer = data_of(await call("retrieve_tasks_batch", {"task_ids": ["a", malformed, "b"]}, api))

    assert answer["counts"] == {"succeeded": 2, "not_found": 1}
    assert answer["final"] is True
    first, second, third = answer["tasks"]
    assert (first["task_id"], third["task_id"]) == ("a", "b")
    assert second["next_step"] == "This is no task id: ask the user for it."
    assert len(second["task_id"]) <= 64
    assert api.asked == [["a", "b"]]


@pytest.mark.parametrize("wait_seconds", [0, 50])
async def test_a_batch_of_malformed_ids_alone_is_answered_without_a_request(
    wait_seconds: int,
) -> None:
    api = ok({})
    arguments = {"task_ids": ["a b", "c/d"], "wait_seconds": wait_seconds}

    answer = data_of(await call("retrieve_tasks_batch", arguments, api))

    assert answer["counts"] == {"not_found": 2}
    assert [task["task_id"] for task in answer["tasks"]] == ["a b", "c/d"]
    assert api.requests == []


async def test_an_id_is_trimmed() -> None:
    api = ok({})

    await call("retrieve_task", {"task_id": " \tt\n"}, api)

    assert api.payloads[0]["id"] == "t"


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("retrieve_task", {}, "`task_id` is required"),
        ("retrieve_task", {"task_id": "  "}, "`task_id` must not be blank"),
        ("retrieve_task", {"task_id": None}, "`task_id` must be a string"),
        ("retrieve_task", {"task_id": 7}, "`task_id` must be a string"),
        ("retrieve_task", {"task_id": "a" * 129}, "at most 128 characters"),
        ("retrieve_task", {"task_id": "a/../b"}, "may only hold letters"),
        ("retrieve_task", {"task_id": "ä"}, "may only hold letters"),
        ("retrieve_task", {"task_id": "a\nb"}, "may only hold letters"),
        ("retrieve_task", {"task_id": "\ud800"}, "`task_id` "),
        ("retrieve_task", {"task_id": "::"}, "may only hold letters"),
        ("retrieve_task", {"task_id": f"{DOCUMENTED_ID} {TIMED_ID}"}, "must be one task id"),
        ("retrieve_task", {"task_id": "a", "limit": 3}, "`limit` is not an argument of this tool"),
        ("retrieve_task", {"task_ids": ["a"]}, "`task_ids` is not an argument of this tool"),
        ("retrieve_tasks_batch", {}, "`task_ids` is required"),
        (
            "retrieve_tasks_batch",
            {"task_ids": []},
            "1 to 100 different ids in one call, not 0",
        ),
        (
            "retrieve_tasks_batch",
            {"task_ids": " "},
            "1 to 100 different ids in one call, not 0",
        ),
        ("retrieve_tasks_batch", {"task_ids": task_ids(101)}, "different ids in one call, not 101"),
        ("retrieve_tasks_batch", {"task_ids": {"a": 1}}, "`task_ids` must be a list of strings"),
        ("retrieve_tasks_batch", {"task_ids": "[" * 5000}, "takes 1 to 100 different ids"),
        ("retrieve_tasks_batch", {"task_ids": "{}: ..."}, "in one call, not 0"),
        ("retrieve_tasks_batch", {"task_ids": ["a"] * 1_001}, "in one call, not 1001"),
        ("retrieve_tasks_batch", {"task_ids": ["a", 7]}, "`task_ids` item 2 must be a string"),
        ("retrieve_tasks_batch", {"task_ids": [7] * 9}, "item 3 must be a string; and 6 more"),
    ],
)
async def test_bad_arguments_are_refused_by_name_and_nothing_is_sent(
    tool: str, arguments: dict[str, Any], words: str
) -> None:
    api = ok({})

    error = error_of(await call(tool, arguments, api))

    assert words in error
    assert len(error) < 500
    assert api.requests == []


async def test_the_value_of_a_refused_argument_is_not_repeated() -> None:
    arguments = {"task_id": "SECRET VALUE", "x" * 5000: "SECRET VALUE"}

    error = error_of(await call("retrieve_task", arguments, ok({})))

    assert "SECRET" not in error
    assert len(error) < 500


async def test_a_hundred_different_ids_are_accepted_however_often_they_are_repeated() -> None:
    api = PagingApi(task_ids(100), page_size=100)

    answer = data_of(await call("retrieve_tasks_batch", {"task_ids": task_ids(100) * 2}, api))

    assert answer["counts"] == {"succeeded": 100}


async def test_without_a_token_the_tools_are_listed_and_a_call_says_what_to_set() -> None:
    async with Client(create_server(settings(api_token=None))) as client:
        assert len((await client.list_tools()).tools) == 3
        error = error_of(await client.call_tool("retrieve_task", {"task_id": "t"}))

    assert error == (
        "No API token is set. Ask the user to set the environment variable "
        "ACEDATACLOUD_API_TOKEN in this server's configuration and to restart it; "
        "a token is made at https://platform.acedata.cloud."
    )


async def test_an_error_of_the_api_reaches_the_model_in_words() -> None:
    api = ScriptedApi(httpx.Response(403, json=example("errors")["403 used_up"]))

    error = error_of(await call("retrieve_tasks_batch", {"task_ids": ["a"]}, api))

    assert error.startswith("The account's balance is used up (HTTP 403, used_up:")


MILLION = 1_000_000


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("retrieve_tasks_batch", {"task_ids": ["?"] * MILLION}, "not 1000000"),
        ("retrieve_tasks_batch", {"task_ids": [7] * MILLION}, "not 1000000"),
        ("retrieve_tasks_batch", {"task_ids": [None] * MILLION}, "not 1000000"),
        ("retrieve_tasks_batch", {"task_ids": [[["a"]]] * MILLION}, "not 1000000"),
        ("retrieve_tasks_batch", {"task_ids": "a?," * MILLION}, "not 3000000 characters of text"),
        ("retrieve_tasks_batch", {"task_ids": "-" * MILLION}, "not 1000000 characters of text"),
        ("retrieve_tasks_batch", {str(n): n for n in range(MILLION)}, "1000000 arguments"),
        ("retrieve_task", {str(n): n for n in range(MILLION)}, "1000000 arguments"),
        ("retrieve_task", {"task_id": "a" * MILLION}, "at most 128 characters long"),
        ("retrieve_task", {"task_id": [7] * MILLION}, "must be a string"),
        ("retrieve_task", {"task_id": f"{DOCUMENTED_ID} " * MILLION}, "holds several"),
        ("retrieve_task", {"task_id": "a", "wait_seconds": 10**4000}, "must be 0 to 50"),
        ("retrieve_task", {"task_id": "a", "wait_seconds": 1e400}, "must be a whole number"),
        ("retrieve_task", {"task_id": "a", "wait_seconds": "9" * MILLION}, "a whole number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_million_bad_values_are_refused_before_anything_is_made_of_each(
    tool: str, arguments: Json, words: str
) -> None:
    (checked,) = (each for each in tools_for(settings()) if each.name == tool)

    tracemalloc.start()
    try:
        with raises(InvalidArgumentsError, re.escape(words)) as caught:
            check_arguments(checked, arguments, settings(), Redactor())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(model_text(caught.value)) < 300
    # A copy of the longest text alone has 37 MB; one byte for each value has 1 MB.
    assert peak_bytes < MILLION


async def test_a_long_text_among_ids_is_answered_in_a_few_words() -> None:
    arguments = {"task_ids": [f"{DOCUMENTED_ID} " * 1000, "a" * MILLION, "c"]}

    result = await call(
        "retrieve_tasks_batch", arguments, ScriptedApi(httpx.Response(200, json={}))
    )

    assert data_of(result)["counts"] == {"not_found": 3}
    assert len(text_of(result)) < 1500
