"""MCP tasks: waits that a client follows by itself, while its conversation goes on."""

import asyncio
import json
import math
from typing import Any

import httpx
import pytest
from jsonschema import validate
from mcp import Client
from mcp_types import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolResult,
)

from hailuo_tasks_mcp.server import create_server
from hailuo_tasks_mcp.tasks.waits import Waits
from hailuo_tasks_mcp.tasks_extension import TASK_METHODS, TASKS_EXTENSION
from hailuo_tasks_mcp.tools import mcp_tasks
from hailuo_tasks_mcp.tools.handles import Handle, encode
from hailuo_tasks_mcp.transports.streamable_http.app import HttpApp
from helpers import NOW, Json, clock, settings
from http_app import (
    CALLER_TOKEN,
    OLD_VERSIONS,
    answer_of,
    post,
    request_of,
    result_of,
    running_app,
)
from stdio_process import MODERN_VERSION, declaring
from tasks.test_shared_polls import EndingTasks
from test_observer import Notes
from two_services import TwoServices, h3, running

ID = "09d4a93e-d5c8-4778-bdf2-711773d71c59"
IDS = [f"09d4a93e-d5c8-4778-bdf2-7117730000{number:02d}" for number in range(10)]
NONCE = b"12345678"
NEVER = math.inf


def ending(**ends: float) -> EndingTasks:
    """Return an API with tasks of Hailuo's that run until their seconds."""
    return EndingTasks(ends)


def declared_request(method: str, **params: Any) -> tuple[Json, dict[str, str]]:
    """Return a request of a client that knows MCP tasks."""
    body, headers = request_of(MODERN_VERSION, method, **params)
    return body | {"params": declaring(body["params"], TASKS_EXTENSION)}, headers


async def declared(app: HttpApp, method: str, *, token: str = CALLER_TOKEN, **params: Any) -> Json:
    """Return the result of a request of a client that knows MCP tasks."""
    request = declared_request(method, **params)
    return result_of(await post(app, request, authorization=f"Bearer {token}"))


async def call(app: HttpApp, *task_ids: str, wait_seconds: int = 50, **other: Any) -> Json:
    """Call a tool for a client that knows MCP tasks."""
    name, given = "retrieve_task", dict[str, Any](task_id=task_ids[0])
    if len(task_ids) > 1:
        name, given = "retrieve_tasks_batch", {"task_ids": list(task_ids)}
    arguments = given | {"wait_seconds": wait_seconds}
    return await declared(app, "tools/call", name=name, arguments=arguments, **other)


async def get(app: HttpApp, task: Json, **other: Any) -> Json:
    return await declared(app, "tasks/get", taskId=task["taskId"], **other)


async def follow(app: HttpApp, task: Json) -> list[Json]:
    """Poll an MCP task as often as it says, until it has ended; return all that came."""
    polls = [task]
    while polls[-1]["status"] == "working":
        assert len(polls) < 1000
        await asyncio.sleep(polls[-1]["pollIntervalMs"] / 1000)
        polls.append(await get(app, task))
    return polls


def answer_in(task: Json) -> Json:
    assert task["status"] == "completed"
    assert task["result"]["isError"] is False
    answer: Json = task["result"]["structuredContent"]
    return answer


# Which calls become MCP tasks


async def test_a_call_that_is_to_wait_for_a_running_task_is_answered_at_once_with_an_mcp_task() -> (
    None
):
    async with running_app(ending(t=NEVER)) as app:
        result = await call(app, "t")

    task_id = result.pop("taskId")
    assert 20 <= len(task_id) <= 128
    del result["_meta"]
    assert result == {
        "resultType": "task",
        "status": "working",
        "statusMessage": "processing, 0 s; usually 1-2 min",
        "createdAt": "2025-01-14T14:08:13Z",
        "lastUpdatedAt": "2025-01-14T14:08:13Z",
        "ttlMs": 604_800_000,
        "pollIntervalMs": 2489,
    }
    assert clock() == 0


async def test_each_mcp_task_has_an_id_of_its_own() -> None:
    async with running_app(ending(t=NEVER)) as app:
        ids = {(await call(app, "t"))["taskId"] for _ in range(3)}

    assert len(ids) == 3


@pytest.mark.parametrize(
    ("task_id", "state"), [("ended", "succeeded"), ("missing", "not_found"), ("odd", "unknown")]
)
async def test_a_call_that_finds_nothing_running_is_answered_as_ever(
    task_id: str, state: str
) -> None:
    api = ending(ended=0)
    api.know("hailuo", "odd", response="?")

    async with running_app(api) as app:
        result = await call(app, task_id)
        plain = result_of(
            await post(
                app,
                request_of(
                    MODERN_VERSION,
                    "tools/call",
                    name="retrieve_task",
                    arguments={"task_id": task_id},
                ),
            )
        )

    assert result == plain
    assert result["structuredContent"]["state"] == state
    assert clock() == 0


async def test_a_call_without_wait_seconds_is_answered_with_the_state() -> None:
    async with running_app(ending(t=NEVER)) as app:
        result = await call(app, "t", wait_seconds=0)

    assert result["structuredContent"]["state"] == "processing"


async def test_a_call_with_bad_arguments_is_refused_as_ever() -> None:
    async with running_app(ending(t=NEVER)) as app:
        result = await call(app, "t", wait_seconds=51)

    assert result["isError"]
    assert "`wait_seconds` must be 0 to 50" in result["content"][0]["text"]


async def test_a_client_that_does_not_declare_the_extension_is_never_given_an_mcp_task() -> None:
    arguments = {"task_id": "t", "wait_seconds": 5}
    body, headers = request_of(
        MODERN_VERSION, "tools/call", name="retrieve_task", arguments=arguments
    )
    other = body | {"params": declaring(body["params"], "io.modelcontextprotocol/ui")}

    async with running_app(ending(t=NEVER)) as app:
        # Once declared is not declared for ever.
        assert (await call(app, "t"))["status"] == "working"
        results = [result_of(await post(app, (each, headers))) for each in (body, other)]

    assert [result["structuredContent"]["state"] for result in results] == ["processing"] * 2
    assert clock() == 10


@pytest.mark.parametrize("version", OLD_VERSIONS)
async def test_no_older_revision_has_mcp_tasks_whatever_is_declared(version: str) -> None:
    arguments = {"task_id": "t", "wait_seconds": 5}
    body, headers = request_of(version, "tools/call", name="retrieve_task", arguments=arguments)
    body["params"] = declaring(body["params"], TASKS_EXTENSION)

    async with running_app(ending(t=NEVER)) as app:
        result = result_of(await post(app, (body, headers)))

    assert result["structuredContent"]["state"] == "processing"
    assert clock() == 5


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_extension_is_declared_where_it_exists(mode: str) -> None:
    async with Client(create_server(settings()), mode=mode) as client:
        extensions = client.server_capabilities.extensions or {}

    assert extensions.get(TASKS_EXTENSION) == (None if mode == "legacy" else {})


# How they go on


async def test_an_mcp_task_brings_what_the_call_would_have_brought() -> None:
    api = ending(t=70)
    async with running_app(api) as app:
        polls = await follow(app, await call(app, "t"))
        end = clock()
        plain = await call(app, "t")

    assert {poll["status"] for poll in polls[:-1]} == {"working"}
    del plain["_meta"], plain["resultType"]
    assert {key: polls[-1]["result"][key] for key in plain} == plain
    assert answer_in(polls[-1])["state"] == "succeeded"
    assert 70 <= end <= 75
    CallToolResult.model_validate(polls[-1]["result"])


async def test_the_answer_of_an_mcp_task_fits_the_published_schema() -> None:
    async with running_app(ending(t=1)) as app:
        (*_, last) = await follow(app, await call(app, "t"))
        tools = await declared(app, "tools/list")

    validate(answer_in(last), tools["tools"][0]["outputSchema"])


async def test_polls_follow_the_pace_of_waiting() -> None:
    async with running_app(ending(t=45)) as app:
        polls = await follow(app, await call(app, "t"))

    # From one whole second to another, but for the first, which came between two.
    first, *intervals = [round(poll["pollIntervalMs"], -2) for poll in polls[:-1]]
    assert first == 2500
    assert intervals == [*[3000] * 10, *[5000] * 3]
    assert [poll["statusMessage"] for poll in polls[:3]] == [
        f"processing, {seconds} s; usually 1-2 min" for seconds in (0, 2, 5)
    ]
    assert [poll["resultType"] for poll in polls] == ["task", *["complete"] * 14]


async def test_polls_of_several_mcp_tasks_come_at_the_same_moments_and_go_out_together() -> None:
    api = ending(**dict.fromkeys(IDS, 60))
    async with running_app(api) as app:

        async def follow_one(place: int, task_id: str) -> None:
            await asyncio.sleep(place * 0.13)
            await follow(app, await call(app, task_id))

        await asyncio.gather(*map(follow_one, *zip(*enumerate(IDS), strict=True)))

    assert clock() <= 66
    # As many as ten calls that wait take.
    assert len(api.sent) <= 53


async def test_each_poll_is_made_with_the_token_of_who_sent_it() -> None:
    tokens = []

    class Api(EndingTasks):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            tokens.append(request.headers["authorization"])
            return await super().handle_async_request(request)

    async with running_app(Api({"t": NEVER})) as app:
        task = await call(app, "t", token="first-token")
        await get(app, task, token="second-token")

    assert set(tokens[:1]) == {"Bearer first-token"}
    assert tokens[-1] == "Bearer second-token"


async def test_an_mcp_task_waits_far_longer_than_a_call() -> None:
    async with running_app(ending(t=1500)) as app:
        (*_, last) = await follow(app, await call(app, "t", wait_seconds=5))

    assert answer_in(last)["state"] == "succeeded"
    assert 1500 <= clock() <= 1505


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 1800),
        ({"max_mcp_task_seconds": 7}, 7),
        ({"max_mcp_task_seconds": 90}, 90),
        ({"max_mcp_task_seconds": 43_200}, 43_200),
    ],
)
async def test_an_mcp_task_ends_with_the_state_as_it_is_after_the_time_that_is_set(
    changes: dict[str, Any], seconds: int
) -> None:
    async with running_app(ending(t=NEVER), **changes) as app:
        task = await call(app, "t")
        await asyncio.sleep(seconds - 2)
        polls = await follow(app, await get(app, task))

    assert polls[0]["status"] == "working"
    assert seconds - 1 <= clock() <= seconds + 1
    answer = answer_in(polls[-1])
    assert answer["state"] == "processing"
    assert "wait_seconds" in answer["next_step"]


async def test_an_mcp_task_that_nobody_polled_for_days_brings_the_video() -> None:
    async with running_app(ending(t=60)) as app:
        task = await call(app, "t")
        await asyncio.sleep(6 * 86_400)
        last = await get(app, task)

    assert answer_in(last)["state"] == "succeeded"


async def test_another_server_goes_on_with_an_mcp_task() -> None:
    api = ending(t=60)
    async with running_app(api) as app:
        task = await call(app, "t")
    await asyncio.sleep(60)
    async with running_app(api) as other:
        last = await get(other, task)

    assert answer_in(last)["state"] == "succeeded"


async def test_the_answer_of_a_sandbox_says_so() -> None:
    async with running_app(ending(t=1), sandbox=True) as app:
        (*_, last) = await follow(app, await call(app, "t"))

    assert "SANDBOX" in last["result"]["content"][1]["text"]


# Batches


async def test_a_batch_of_five_uuids_is_one_mcp_task() -> None:
    ends = {task_id: 10.0 * place for place, task_id in enumerate(IDS[:5])}
    async with running_app(ending(**ends)) as app:
        polls = await follow(app, await call(app, *IDS[:5]))

    answer = answer_in(polls[-1])
    assert [task["task_id"] for task in answer["tasks"]] == IDS[:5]
    assert answer["counts"] == {"succeeded": 5}
    assert {poll["statusMessage"] for poll in polls[:-1]} == {
        f"{n} of 5 final" for n in (1, 2, 3, 4)
    }


@pytest.mark.parametrize(
    "task_ids",
    [IDS[:6], [IDS[0], "no/id"], ["a" * 82, "b"]],
    ids=["six UUIDs", "what is no id", "long ids"],
)
async def test_a_batch_that_does_not_fit_into_an_id_waits_in_the_call(task_ids: list[str]) -> None:
    async with running_app(ending(**dict.fromkeys(task_ids, 20.0))) as app:
        result = await call(app, *task_ids)

    assert result["structuredContent"]["final"] is True
    assert 20 <= clock() <= 23


async def test_a_batch_of_nothing_but_what_is_no_id_is_answered_at_once() -> None:
    async with running_app(ending()) as app:
        result = await call(app, "a/b", "c/d")

    assert result["structuredContent"]["counts"] == {"not_found": 2}
    assert clock() == 0


async def test_ids_of_other_forms_are_waited_for_as_well() -> None:
    async with running_app(ending(**{"a.b:c": 3, "d_e": 4})) as app:
        (*_, last) = await follow(app, await call(app, "a.b:c", "d_e"))

    assert answer_in(last)["counts"] == {"succeeded": 2}


async def test_a_token_that_is_taken_for_an_id_gets_into_no_id() -> None:
    async with running_app(ending(**{CALLER_TOKEN: 3})) as app:
        result = await call(app, CALLER_TOKEN)

    assert "taskId" not in result
    assert CALLER_TOKEN not in json.dumps(result)


# Faults


async def test_a_transient_fault_does_not_end_an_mcp_task() -> None:
    api = ending(t=30)
    async with running_app(api) as app:
        task = await call(app, "t")
        api.fail(httpx.Response(503))
        during = await get(app, task)
        for service in api.services.values():
            service.fault = lambda _: None
        (*_, last) = await follow(app, during)

    assert during["status"] == "working"
    assert during["pollIntervalMs"] == 10_000
    assert "HTTP 503" in during["statusMessage"]
    assert answer_in(last)["state"] == "succeeded"


async def test_retry_after_is_when_to_poll_again() -> None:
    api = ending(t=NEVER)
    async with running_app(api) as app:
        task = await call(app, "t")
        api.fail(httpx.Response(429, headers={"retry-after": "120"}))
        during = await get(app, task)
        await asyncio.sleep(1780)
        at_the_end = await get(app, task)

    assert during["pollIntervalMs"] == at_the_end["pollIntervalMs"] == 120_000


@pytest.mark.parametrize("when", ["at the call", "later"])
async def test_a_lasting_fault_is_the_result_in_words_for_the_model(when: str) -> None:
    api = ending(t=NEVER)
    async with running_app(api) as app:
        task = await call(app, "t")
        api.fail(httpx.Response(401))
        result = (await get(app, task))["result"] if when == "later" else await call(app, "t")

    assert result["isError"] is True
    assert "rejected the token" in result["content"][0]["text"]


@pytest.mark.parametrize("waited_seconds", [1_795, 1_800, 3_600, 86_400])
@pytest.mark.parametrize("fault", [httpx.Response(503), httpx.ConnectError("no network")])
async def test_one_transient_fault_ends_no_mcp_task_however_late_it_comes(
    fault: httpx.Response | Exception, waited_seconds: int
) -> None:
    api = ending(t=60)
    async with running_app(api) as app:
        task = await call(app, "t")
        await asyncio.sleep(waited_seconds)
        for service in api.services.values():
            service.fault = lambda _: fault
        during = await get(app, task)
        for service in api.services.values():
            service.fault = lambda _: None
        last = await get(app, task)

    assert during["status"] == "working"
    assert answer_in(last)["state"] == "succeeded"


async def test_a_call_is_answered_within_seconds_by_a_platform_that_does_not_answer() -> None:
    api = ending(t=NEVER)
    for service in api.services.values():
        service.hangs = True
    async with running_app(api) as app:
        result = await call(app, "t")

    assert result["status"] == "working"
    assert clock() <= 5


async def test_a_batch_of_which_some_failed_is_polled_when_the_platform_allows_it() -> None:
    api = TwoServices(hailuo={"a": running("a")}, minimax={"b": h3("b", "running")})
    async with running_app(api) as app:
        task = await call(app, "a", "b")
        api.services["hailuo"].fault = lambda _: httpx.Response(429, headers={"retry-after": "60"})
        during = await get(app, task)

    assert during["status"] == "working"
    assert 59_000 <= during["pollIntervalMs"] < 61_000


async def test_the_last_poll_before_the_end_comes_not_at_once() -> None:
    async with running_app(ending(t=NEVER)) as app:
        task = await call(app, "t")
        await asyncio.sleep(1_799.4)
        polls = await follow(app, await get(app, task))

    assert polls[0]["pollIntervalMs"] >= 500
    assert [poll["status"] for poll in polls] == ["working", "completed"]


async def test_a_remote_caller_is_told_less_than_the_operator(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = ending(t=NEVER)
    async with running_app(api, api_base_url="https://inner.test") as app:
        task = await call(app, "t")
        for service in api.services.values():
            service.fault = lambda _: httpx.Response(404, text="<html>nothing</html>")
        result = (await get(app, task))["result"]

    assert result["isError"] is True
    assert "inner.test" not in json.dumps(result)
    assert "inner.test" in caplog.text


async def test_a_server_that_is_stopped_does_not_end_an_mcp_task() -> None:
    api, waits = ending(t=NEVER), Waits()
    async with running_app(api, waits=waits) as app:
        task = await call(app, "t")
        for service in api.services.values():
            service.hangs = True
        poll = asyncio.create_task(get(app, task))
        await asyncio.sleep(3)
        waits.stop()
        result = await poll

    assert result["status"] == "working"
    assert "being stopped" in result["statusMessage"]
    assert clock() == 4


async def test_a_defect_of_this_server_is_a_result_without_its_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise KeyError("secret")

    async with running_app(ending(t=NEVER)) as app:
        task = await call(app, "t")
        monkeypatch.setattr(mcp_tasks, "poll_for_mcp_task", fail)
        result = (await get(app, task))["result"]

    assert result["isError"] is True
    assert "itself failed (KeyError)" in result["content"][0]["text"]
    assert "secret" not in json.dumps(result)


# Cancelling and updating


async def test_a_cancelled_mcp_task_stays_cancelled() -> None:
    api = ending(t=5)
    async with running_app(api) as app:
        task = await call(app, "t")
        cancelled = await declared(app, "tasks/cancel", taskId=task["taskId"])
        again = await declared(app, "tasks/cancel", taskId=task["taskId"])
        sent = len(api.sent)
        await asyncio.sleep(10)
        last = await get(app, task)

    assert cancelled.keys() == again.keys() == {"resultType", "_meta"}
    assert cancelled["resultType"] == "complete"
    assert last["status"] == "cancelled"
    assert not last.keys() & {"result", "error", "pollIntervalMs"}
    assert len(api.sent) == sent


async def test_nobody_cancels_what_another_caller_waits_for() -> None:
    async with running_app(ending(t=NEVER)) as app:
        task = await call(app, "t")
        await declared(app, "tasks/cancel", taskId=task["taskId"], token="another-token")

        assert (await get(app, task))["status"] == "working"


async def test_of_cancelled_mcp_tasks_those_are_forgotten_first_of_whom_has_cancelled_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_tasks, "_MAX_CANCELLED", 3)
    async with running_app(ending(t=NEVER)) as app:
        own = await call(app, "t")
        await declared(app, "tasks/cancel", taskId=own["taskId"])
        others = [await call(app, "t", token="another-token") for _ in range(5)]
        for task in others:
            await declared(app, "tasks/cancel", taskId=task["taskId"], token="another-token")
        statuses = [(await get(app, task, token="another-token"))["status"] for task in others]
        own_status = (await get(app, own))["status"]

    assert statuses == ["working", "working", "working", "cancelled", "cancelled"]
    assert own_status == "cancelled"


async def test_an_update_is_acknowledged_and_changes_nothing() -> None:
    async with running_app(ending(t=NEVER)) as app:
        task = await call(app, "t")
        result = await declared(
            app, "tasks/update", taskId=task["taskId"], inputResponses={"a": {"action": "accept"}}
        )

        assert result.keys() == {"resultType", "_meta"}
        assert (await get(app, task))["status"] == "working"


# What is refused


def handle(*ids: str, tool: str = "retrieve_task", age: float = 0) -> str:
    return encode(Handle(tool, ids or [ID], int(NOW - age), NONCE))


@pytest.mark.parametrize("method", TASK_METHODS)
@pytest.mark.parametrize(
    "task_id",
    [
        "",
        "x",
        "gate-test",
        "A" * 43,
        "A" * 10_000,
        ID,
        handle()[:-1],
        handle() + "A",
        handle() + "=",
        handle(*IDS[:2]),
        handle("no/id"),
        handle("a b"),
        handle("ü"),
        handle("x" * 200),
        handle(IDS[0], IDS[0], tool="retrieve_tasks_batch"),
        handle("no/id", tool="retrieve_tasks_batch"),
        handle(IDS[0].upper(), tool="retrieve_tasks_batch"),
        handle(age=-90),
        handle(age=8 * 86_400),
        encode(Handle("retrieve_task", [], int(NOW), NONCE)),
        encode(Handle("retrieve_tasks_batch", [], int(NOW), NONCE)),
        handle(CALLER_TOKEN),
        None,
        5,
        ["a"],
        {"a": {"b": []}},
    ],
)
async def test_an_id_of_no_mcp_task_is_refused_and_nothing_is_asked(
    method: str, task_id: Any
) -> None:
    api = ending(t=NEVER)
    async with running_app(api) as app:
        body, headers = declared_request(method)
        body["params"]["taskId"] = task_id
        name = task_id.encode().decode("latin-1") if isinstance(task_id, str) else ""
        response = await post(app, (body, headers | {"mcp-name": name}))

    error = answer_of(response)["error"]
    assert error["code"] == INVALID_PARAMS
    assert error["message"].startswith("Unknown task: this server gave out no such id")
    assert response.status_code == 400
    assert api.sent == []


@pytest.mark.parametrize("task_id", [handle(age=-59), handle(age=7 * 86_400 - 1)])
async def test_an_id_of_a_clock_that_differs_a_little_or_of_long_ago_is_one(task_id: str) -> None:
    async with running_app(ending(**{ID: 0})) as app:
        result = await declared(app, "tasks/get", taskId=task_id)

    assert answer_in(result)["state"] == "succeeded"
    assert result["createdAt"] <= result["lastUpdatedAt"]


@pytest.mark.parametrize("method", TASK_METHODS)
async def test_a_client_that_does_not_declare_the_extension_is_told_what_is_missing(
    method: str,
) -> None:
    async with running_app(ending(t=NEVER)) as app:
        task = await call(app, "t")
        response = await post(app, request_of(MODERN_VERSION, method, taskId=task["taskId"]))

    assert response.status_code == 400
    error = answer_of(response)["error"]
    assert error["code"] == MISSING_REQUIRED_CLIENT_CAPABILITY
    assert error["data"] == {"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}}


@pytest.mark.parametrize("method", [*TASK_METHODS, "tasks/result", "tasks/list"])
@pytest.mark.parametrize("version", OLD_VERSIONS)
async def test_older_revisions_know_none_of_the_methods(method: str, version: str) -> None:
    async with running_app(ending(t=NEVER)) as app:
        response = await post(app, request_of(version, method, taskId="x"))

    assert answer_of(response)["error"]["code"] == METHOD_NOT_FOUND


@pytest.mark.parametrize("method", ["tasks/result", "tasks/list"])
async def test_the_methods_of_an_older_draft_are_unknown(method: str) -> None:
    async with running_app(ending(t=NEVER)) as app:
        response = await post(app, declared_request(method, taskId="x"))

    assert answer_of(response)["error"]["code"] == METHOD_NOT_FOUND


# What an observer is told


async def test_an_observer_is_told_of_each_poll_how_it_ended() -> None:
    notes = Notes()
    async with running_app(ending(t=1), observer=notes) as app:
        await follow(app, await call(app, "t"))

    assert [each[:2] for each in notes.calls] == [
        ("retrieve_task", "Working"),
        ("retrieve_task", "ok"),
    ]


async def test_an_mcp_task_counts_among_no_calls_that_wait() -> None:
    waits = Waits(max_of_caller=1)
    async with running_app(ending(t=NEVER), waits=waits) as app:
        results = [await call(app, "t") for _ in range(3)]

    assert [result["status"] for result in results] == ["working"] * 3
    assert waits.under_way == 0


async def test_words_of_a_fault_hold_no_token() -> None:
    api = TwoServices()
    api.fail(httpx.Response(503, json={"error": {"message": f"for {CALLER_TOKEN}"}}))
    async with running_app(api) as app:
        result = await call(app, "t")

    assert result["status"] == "working"
    assert CALLER_TOKEN not in json.dumps(result)
