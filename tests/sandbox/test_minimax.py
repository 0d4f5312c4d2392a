"""The sandbox's MiniMax H3, and what it shares with Hailuo, against the contract."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.sandbox.app import MAX_BODY_BYTES, MAX_IN_FLIGHT, create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import (
    CANCELLED_H3_TASK_ID,
    DOCUMENTED_H3_TASK_ID,
    DOCUMENTED_RUNNING_H3_TASK_ID,
    DOCUMENTED_TASK_ID,
    FAILED_H3_TASK_ID,
    NO_URL_H3_TASK_ID,
    QUEUED_H3_TASK_ID,
    RUNNING_H3_TASK_ID,
    RUNNING_TASK_ID,
    SUCCEEDED_H3_TASK_ID,
)
from helpers import clock, example

START = 1_800_000_000.0
DAY = 86_400
TASKS, VIDEOS = "/minimax/tasks", "/minimax/videos"
H3_TASK_IDS = [
    QUEUED_H3_TASK_ID,
    RUNNING_H3_TASK_ID,
    DOCUMENTED_RUNNING_H3_TASK_ID,
    FAILED_H3_TASK_ID,
    CANCELLED_H3_TASK_ID,
    NO_URL_H3_TASK_ID,
    SUCCEEDED_H3_TASK_ID,
]


def text(words: str = "Waves at dusk") -> dict[str, Any]:
    return {"type": "text", "text": words}


def medium(role: str, url: str = "https://img.test/a.png") -> dict[str, Any]:
    kind = f"{role.removeprefix('reference_')}_url" if "reference" in role else "image_url"
    return {"type": kind, kind: {"url": url}, "role": role}


WANTED = {
    "model": "MiniMax-H3",
    "content": [text()],
    "resolution": "768P",
    "duration": 4,
    "ratio": "16:9",
    "async": True,
}


class Sandbox:
    """A sandbox in this process, whose time is the event loop's and can be moved on."""

    def __init__(self, start: float = START, **options: Any) -> None:
        self.start = start
        app = create_sandbox(now=lambda: self.start + clock(), **options)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        )

    async def post(self, path: str, body: Any, token: str | None = "sandbox") -> httpx.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        content = body if isinstance(body, bytes) else json.dumps(body)
        return await self.client.post(path, content=content, headers=headers)

    async def tasks(self, **body: Any) -> Any:
        response = await self.post(TASKS, body)
        assert response.status_code == 200, response.text
        return response.json()

    async def record(self, task_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self.tasks(action="retrieve", id=task_id)
        assert answer.keys() == {"task"}
        record: dict[str, Any] = answer["task"]
        return record

    async def status(self, task_id: str) -> str:
        status: str = (await self.record(task_id))["status"]
        return status

    async def ids(self, **body: Any) -> list[str]:
        answer = await self.tasks(action="retrieve_batch", **body)
        assert answer.keys() == {"items", "total"}
        return [item["id"] for item in answer["items"]]

    async def create(self, **changes: Any) -> str:
        response = await self.post(VIDEOS, WANTED | changes)
        assert response.status_code == 200, response.text
        assert response.json().keys() == example("minimax_created").keys()
        task_id: str = response.json()["task_id"]
        return task_id


@pytest.fixture
async def sandbox() -> Sandbox:
    return Sandbox()


def same_json(actual: Any, expected: Any) -> bool:
    """Compare down to the order of the keys."""
    return json.dumps(actual) == json.dumps(expected)


def documented_error(status: int, where: str) -> Any:
    (error,) = (
        each["body"]
        for each in example("minimax_errors")
        if each["status"] == status and each["where"] in {where, "both"}
    )
    return error


async def refusal(sandbox: Sandbox, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    """Return status and body of a response that is MiniMax's refusal of a request."""
    response = await sandbox.post(path, body)
    said: dict[str, Any] = response.json()
    assert said.keys() in ({"code", "detail"}, {"type", "error", "request_id"})
    return response.status_code, said


async def test_the_documented_task_is_answered_as_documented(sandbox: Sandbox) -> None:
    answer = await sandbox.tasks(action="retrieve", id=DOCUMENTED_H3_TASK_ID)

    assert same_json(answer, example("minimax_retrieve"))


async def test_the_documented_batch_is_answered_as_documented(sandbox: Sandbox) -> None:
    answer = await sandbox.tasks(
        action="retrieve_batch", ids=[DOCUMENTED_H3_TASK_ID, DOCUMENTED_RUNNING_H3_TASK_ID]
    )

    assert same_json(answer, example("minimax_batch"))


async def test_the_documented_task_has_succeeded_by_a_clock_behind_its_document_too() -> None:
    assert await Sandbox(start=1_736_863_693.0).status(DOCUMENTED_H3_TASK_ID) == "succeeded"


async def test_it_starts_with_a_task_in_every_state(sandbox: Sandbox) -> None:
    states = Counter([await sandbox.status(task_id) for task_id in H3_TASK_IDS])

    assert states == {"queued": 1, "running": 2, "failed": 1, "cancelled": 1, "succeeded": 2}
    assert (await sandbox.record(SUCCEEDED_H3_TASK_ID))["content"]["url"].startswith("https://")
    assert "content" not in await sandbox.record(NO_URL_H3_TASK_ID)


async def test_a_failed_task_is_answered_as_documented(sandbox: Sandbox) -> None:
    expected = example("minimax_failed")
    expected["task"]["id"] = FAILED_H3_TASK_ID

    assert same_json(await sandbox.tasks(action="retrieve", id=FAILED_H3_TASK_ID), expected)


@pytest.mark.parametrize("task_id", ["unknown", DOCUMENTED_TASK_ID])
async def test_an_unknown_id_is_null_or_missing(sandbox: Sandbox, task_id: str) -> None:
    assert await sandbox.tasks(action="retrieve", id=task_id) == {"task": None}
    assert await sandbox.tasks(action="retrieve_batch", ids=[task_id, None, {}]) == {
        "items": [],
        "total": 0,
    }


async def test_hailuo_does_not_know_the_tasks_of_minimax(sandbox: Sandbox) -> None:
    response = await sandbox.post(
        "/hailuo/tasks", {"action": "retrieve", "id": DOCUMENTED_H3_TASK_ID}
    )

    assert (response.status_code, response.json()) == (200, {})


@pytest.mark.parametrize(("resolution", "seconds"), [("768P", 100), ("2K", 417)])
async def test_a_task_goes_from_queued_over_running_to_succeeded(
    sandbox: Sandbox, resolution: str, seconds: int
) -> None:
    task_id = await sandbox.create(resolution=resolution, duration=5)

    assert await sandbox.status(task_id) == "queued"
    await asyncio.sleep(5)
    assert await sandbox.status(task_id) == "running"
    await asyncio.sleep(seconds - 6)
    assert await sandbox.status(task_id) == "running"
    await asyncio.sleep(1)
    expected = example("minimax_retrieve")["task"] | {
        "id": task_id,
        "created_at": int(START),
        "updated_at": int(START) + seconds,
        "content": {"url": f"https://sandbox.invalid/{task_id}.mp4"},
        "resolution": resolution,
        "duration": 5,
    }
    expected["usage"] |= {"total_seconds": 5, "output_seconds": 5}
    assert same_json(await sandbox.record(task_id), expected)


async def test_the_running_task_it_starts_with_is_as_old_as_it_is_told_to_be() -> None:
    sandbox = Sandbox(h3_running_since_seconds=92)

    assert await sandbox.status(RUNNING_H3_TASK_ID) == "running"
    await asyncio.sleep(8)
    assert await sandbox.status(RUNNING_H3_TASK_ID) == "succeeded"


async def test_the_queued_task_it_starts_with_stays_queued(sandbox: Sandbox) -> None:
    await asyncio.sleep(DAY)

    assert await sandbox.status(QUEUED_H3_TASK_ID) == "queued"


async def test_a_text_that_asks_for_it_fails(sandbox: Sandbox) -> None:
    task_id = await sandbox.create(content=[text("Fail, please")])
    await asyncio.sleep(100)

    record = await sandbox.record(task_id)

    assert record["error"] == example("minimax_failed")["task"]["error"]
    assert "content" not in record


async def test_no_record_says_what_was_asked_for(sandbox: Sandbox) -> None:
    task_id = await sandbox.create(content=[text("a planted prompt")])
    await asyncio.sleep(100)

    assert "planted" not in json.dumps(await sandbox.record(task_id))


async def test_a_batch_comes_in_pages_of_twelve_newest_first_unless_told_otherwise(
    sandbox: Sandbox,
) -> None:
    ids = []
    for _ in range(15):
        ids.append(await sandbox.create())
        await asyncio.sleep(1)
    newest_first = ids[::-1]
    asked = {"ids": [*ids, ids[0]]}

    assert (await sandbox.tasks(action="retrieve_batch", **asked))["total"] == 15
    assert await sandbox.ids(**asked) == newest_first[:12]
    assert await sandbox.ids(**asked, offset=12) == newest_first[12:]
    assert await sandbox.ids(**asked, limit=50) == newest_first
    assert await sandbox.ids(**asked, limit=2, offset=1) == newest_first[1:3]
    assert await sandbox.ids(**asked, limit="many", offset=-1) == newest_first[:12]


async def test_without_ids_a_batch_lists_the_accounts_tasks_newest_first(
    sandbox: Sandbox,
) -> None:
    made_at_once = [await sandbox.create() for _ in range(2)]

    # The documented one is older than 7 days.
    assert await sandbox.ids() == [*made_at_once[::-1], *H3_TASK_IDS]
    assert await sandbox.ids(ids=None) == await sandbox.ids()
    assert await sandbox.ids(ids=[]) == []


async def test_a_list_holds_only_what_was_created_in_the_time_asked_for(sandbox: Sandbox) -> None:
    listed = await sandbox.ids(created_at_min=START - 1800, created_at_max=START - 600)

    assert listed == [FAILED_H3_TASK_ID, CANCELLED_H3_TASK_ID, NO_URL_H3_TASK_ID]
    assert await sandbox.ids(ids=H3_TASK_IDS, created_at_max=START - 3000) == [SUCCEEDED_H3_TASK_ID]


async def test_a_list_holds_nothing_older_than_seven_days(sandbox: Sandbox) -> None:
    task_id = await sandbox.create()

    await asyncio.sleep(7 * DAY)
    assert await sandbox.ids(created_at_min=0) == [task_id, QUEUED_H3_TASK_ID]
    await asyncio.sleep(1)
    assert await sandbox.ids(created_at_min=0) == []
    assert await sandbox.ids(ids=[task_id]) == [task_id]


async def test_deleting_a_queued_task_cancels_it(sandbox: Sandbox) -> None:
    task_id = await sandbox.create()

    answer = await sandbox.tasks(action="delete", id=task_id)

    assert same_json(answer, example("minimax_deleted") | {"id": task_id})
    await asyncio.sleep(100)
    assert (await sandbox.record(task_id)) == {
        "id": task_id,
        "model": "MiniMax-H3",
        "status": "cancelled",
        "created_at": int(START),
        "updated_at": int(START),
        "resolution": "768P",
        "duration": 4,
        "ratio": "16:9",
        "task_type": "generation",
        "modality": "video",
    }


@pytest.mark.parametrize("task_id", [SUCCEEDED_H3_TASK_ID, NO_URL_H3_TASK_ID, FAILED_H3_TASK_ID])
async def test_deleting_a_task_that_ended_removes_it(sandbox: Sandbox, task_id: str) -> None:
    assert await sandbox.tasks(action="delete", id=task_id) == {"id": task_id, "deleted": True}

    assert await sandbox.tasks(action="retrieve", id=task_id) == {"task": None}
    assert task_id not in await sandbox.ids()


@pytest.mark.parametrize(
    ("task_id", "why"),
    [
        (RUNNING_H3_TASK_ID, "A running task cannot be deleted."),
        (CANCELLED_H3_TASK_ID, "A cancelled task cannot be deleted."),
        ("unknown", "There is no task with this id."),
    ],
)
async def test_deleting_any_other_task_is_refused(sandbox: Sandbox, task_id: str, why: str) -> None:
    before = await sandbox.tasks(action="retrieve", id=task_id)

    refused = await refusal(sandbox, TASKS, {"action": "delete", "id": task_id})

    assert refused == (400, {"code": "bad_request", "detail": why})
    assert await sandbox.tasks(action="retrieve", id=task_id) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "dance"},
        {"action": []},
        {"action": "retrieve"},
        {"action": "retrieve", "id": ["a"]},
        {"action": "delete", "id": ""},
        {"action": "retrieve_batch", "ids": "a"},
        {"action": "retrieve_batch", "ids": {}},
        {"action": "retrieve_batch", "created_at_min": "yesterday"},
        {"action": "retrieve_batch", "created_at_max": True},
        [],
        b"{",
        b"\xff",
    ],
)
async def test_a_request_for_tasks_that_is_not_as_documented_is_refused(
    sandbox: Sandbox, body: Any
) -> None:
    status, said = await refusal(sandbox, TASKS, body)

    assert (status, said["code"]) == (400, "bad_request")


@pytest.mark.parametrize("path", [TASKS, VIDEOS])
async def test_a_body_that_is_no_object_is_refused_as_documented(
    sandbox: Sandbox, path: str
) -> None:
    assert await refusal(sandbox, path, []) == (400, documented_error(400, "tasks"))


@pytest.mark.parametrize(
    "changes",
    [
        {"ratio": "9:16", "callback_url": "https://hook.test/done"},
        {"content": [text("w" * 7000)], "duration": 15, "resolution": "2K"},
        {"content": [medium("first_frame"), text(), medium("last_frame")], "ratio": None},
        {"content": [text(), medium("last_frame")], "ratio": "adaptive"},
        {"content": [text(), *[medium("reference_image")] * 9], "ratio": "adaptive"},
        {"content": [text(), medium("reference_video", "mm_file://123")], "ratio": "21:9"},
        {"content": [text(), medium("reference_audio", "data:audio/wav;base64,AA")]},
    ],
)
async def test_a_video_that_is_asked_for_as_documented_is_made(
    sandbox: Sandbox, changes: dict[str, Any]
) -> None:
    record = await sandbox.record(await sandbox.create(**changes))

    assert record["status"] == "queued"
    assert record["ratio"] == ((WANTED | changes)["ratio"] or "adaptive")


async def test_the_images_of_a_video_are_counted(sandbox: Sandbox) -> None:
    images = [medium("reference_image")] * 2
    task_id = await sandbox.create(content=[text(), *images, medium("reference_audio")])
    await asyncio.sleep(100)

    assert (await sandbox.record(task_id))["usage"]["input_image_count"] == 2


MISSING = object()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": MISSING}, "model: Field required"),
        ({"model": "MiniMax-H2"}, "model: Input should be 'MiniMax-H3'"),
        ({"content": MISSING}, "content: Field required"),
        ({"content": "Waves"}, "content: Input should be a valid list"),
        ({"content": []}, "content must hold exactly one text"),
        ({"content": [text(), text()]}, "content must hold exactly one text"),
        ({"content": [medium("first_frame")]}, "content must hold exactly one text"),
        ({"content": [text(" ")]}, "content.0.text.text: must not be empty"),
        ({"content": [text("w" * 7001)]}, "should have at most 7000 characters"),
        ({"content": [{"type": "smell"}]}, "content.0: Input tag 'smell'"),
        ({"content": [text(), {**medium("first_frame"), "role": "reference_video"}]}, "role"),
        ({"content": [text(), medium("first_frame", "http://img.test/a")]}, "image_url.url"),
        ({"content": [text(), *[medium("first_frame")] * 2]}, "more than 1 of first_frame"),
        ({"content": [text(), *[medium("last_frame")] * 2]}, "more than 1 of last_frame"),
        (
            {"content": [text(), *[medium("reference_image")] * 10]},
            "more than 9 of reference_image",
        ),
        ({"content": [text(), *[medium("reference_video")] * 4]}, "more than 3 of reference_video"),
        ({"content": [text(), *[medium("reference_audio")] * 4]}, "more than 3 of reference_audio"),
        (
            {
                "content": [
                    text(),
                    *[medium("reference_image")] * 9,
                    *[medium("reference_video")] * 3,
                    medium("reference_audio"),
                ]
            },
            "more than 12 media",
        ),
        (
            {"content": [text(), medium("first_frame"), medium("reference_image")]},
            "both frames and references",
        ),
        ({"resolution": MISSING}, "resolution: Field required"),
        ({"resolution": "480P"}, "resolution: Input should be '768P' or '2K'"),
        ({"duration": MISSING}, "duration: Field required"),
        ({"duration": 3}, "duration: Input should be greater than or equal to 4"),
        ({"duration": 16}, "duration: Input should be less than or equal to 15"),
        ({"duration": 4.5}, "duration: Input should be a valid integer"),
        ({"duration": "4"}, "duration: Input should be a valid integer"),
        ({"ratio": MISSING}, "ratio is required without media"),
        ({"ratio": "adaptive"}, "ratio is required without media"),
        ({"ratio": "2:1"}, "ratio: Input should be '21:9'"),
        ({"content": [text(), medium("first_frame")]}, "ratio must be left out or adaptive"),
        ({"async": "yes"}, "async: Input should be a valid boolean"),
        ({"callback_url": "ftp://hook.test"}, "callback_url"),
        ({"prompt": "Waves at dusk"}, "prompt: Extra inputs are not permitted"),
        ({"image_urls": []}, "image_urls: Extra inputs are not permitted"),
    ],
)
async def test_a_video_that_is_not_asked_for_as_documented_is_refused(
    sandbox: Sandbox, changes: dict[str, Any], reason: str
) -> None:
    body = {name: value for name, value in (WANTED | changes).items() if value is not MISSING}
    listed = await sandbox.ids()

    status, said = await refusal(sandbox, VIDEOS, body)

    message = said["error"].pop("message")
    expected = documented_error(400, "videos")
    assert message.startswith(expected["error"].pop("message").rstrip("."))
    assert reason in message
    assert (status, said) == (400, expected)
    assert await sandbox.ids() == listed


async def test_a_video_asked_for_synchronously_is_answered_with_its_record(
    sandbox: Sandbox,
) -> None:
    response = await sandbox.post(VIDEOS, {**WANTED, "async": False})

    answer = response.json()
    assert answer["task"]["status"] == "succeeded"
    assert answer == await sandbox.tasks(action="retrieve", id=answer["task"]["id"])


async def test_a_video_that_fails_synchronously_is_the_documented_error(sandbox: Sandbox) -> None:
    body = {**WANTED, "async": False, "content": [text("fail")]}

    assert await refusal(sandbox, VIDEOS, body) == (422, documented_error(422, "videos"))


@pytest.mark.parametrize(
    ("code", "path", "documented"),
    [
        ("bad_request", TASKS, (400, "tasks")),
        ("bad_request", VIDEOS, (400, "videos")),
        ("invalid_token", TASKS, (401, "tasks")),
        ("invalid_token", VIDEOS, (401, "videos")),
        ("used_up", VIDEOS, (403, "videos")),
        ("unprocessable_entity_error", VIDEOS, (422, "videos")),
        ("too_many_requests", TASKS, (429, "tasks")),
        ("too_many_requests", VIDEOS, (429, "videos")),
        ("rate_limit_error", VIDEOS, (429, "videos")),
        # Not documented there, but readers must know the shape wherever it comes.
        ("rate_limit_error", TASKS, (429, "videos")),
        ("api_error", TASKS, (500, "tasks")),
        ("api_error", VIDEOS, (500, "videos")),
        ("server_error", TASKS, (500, "videos")),
    ],
)
async def test_a_token_with_the_code_of_an_error_gets_that_error_as_documented(
    sandbox: Sandbox, code: str, path: str, documented: tuple[int, str]
) -> None:
    response = await sandbox.post(path, WANTED, f"sandbox-{code}")

    assert response.status_code == documented[0]
    assert same_json(response.json(), documented_error(*documented))


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (None, (401, "no_token")),
        ("wrong", (401, "invalid_token")),
        ("sandbox-", (401, "invalid_token")),
        ("sandbox-nonsense", (401, "invalid_token")),
        ("sandbox-token_expired", (401, "token_expired")),
        ("sandbox-disabled", (403, "disabled")),
        ("sandbox-rate_limited", (429, "rate_limited")),
    ],
)
@pytest.mark.parametrize("path", [TASKS, VIDEOS])
async def test_other_errors_of_the_gateway_come_in_its_shape(
    sandbox: Sandbox, path: str, token: str | None, error: tuple[int, str]
) -> None:
    response = await sandbox.post(path, WANTED, token)

    body = response.json()
    assert (response.status_code, body["error"]["code"]) == error
    assert same_json(
        [list(body), list(body["error"])], [["error", "trace_id"], ["code", "message"]]
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [("server_error", (500, "api_error")), ("rate_limit_error", (429, "too_many_requests"))],
)
async def test_an_error_of_minimax_alone_is_its_counterpart_at_hailuo(
    sandbox: Sandbox, code: str, error: tuple[int, str]
) -> None:
    response = await sandbox.post("/hailuo/tasks", {}, f"sandbox-{code}")

    assert (response.status_code, response.json()["error"]["code"]) == error


async def test_a_path_that_is_not_documented_is_no_api(sandbox: Sandbox) -> None:
    response = await sandbox.post("/minimax/nothing", {})

    assert same_json(response.json(), example("errors")["404 no_api"])


async def ask_at_once(sandbox: Sandbox, count: int, **options: Any) -> list[httpx.Response]:
    """Ask both services in turn, all at the same moment."""
    paths = [TASKS, "/hailuo/tasks"] * count
    body = {"action": "retrieve", "id": "unknown"}
    return await asyncio.gather(*(sandbox.post(path, body, **options) for path in paths[:count]))


async def test_an_answer_takes_as_long_as_it_is_told_to() -> None:
    sandbox = Sandbox(latency_seconds=0.2)

    await sandbox.record("unknown")
    assert clock() == pytest.approx(0.2)
    await sandbox.post(TASKS, {}, "wrong")
    assert clock() == pytest.approx(0.4)


async def test_five_requests_may_be_in_flight_at_both_services_together() -> None:
    sandbox = Sandbox(latency_seconds=0.2)

    responses = await ask_at_once(sandbox, MAX_IN_FLIGHT)

    assert [response.status_code for response in responses] == [200] * 5
    assert clock() == pytest.approx(0.2)


async def test_a_sixth_request_in_flight_is_refused_at_once_as_rate_limited() -> None:
    sandbox = Sandbox(latency_seconds=0.2)
    five = asyncio.create_task(ask_at_once(sandbox, MAX_IN_FLIGHT))
    await asyncio.sleep(0.1)

    refused = [await sandbox.post(path, {}) for path in (TASKS, VIDEOS, "/hailuo/tasks")]

    assert clock() == pytest.approx(0.1)
    expected = documented_error(429, "tasks")
    expected["error"]["code"] = "rate_limited"
    of_hailuo = example("errors")["429"]
    of_hailuo["error"]["code"] = "rate_limited"
    assert [response.status_code for response in refused] == [429] * 3
    assert [response.json() for response in refused] == [expected, expected, of_hailuo]
    assert {response.status_code for response in await five} == {200}


async def test_of_a_hundred_requests_at_once_five_are_answered() -> None:
    sandbox = Sandbox(latency_seconds=0.2)

    responses = await ask_at_once(sandbox, 100)

    statuses = Counter(response.status_code for response in responses)
    assert statuses == {200: 5, 429: 95}


async def test_a_request_may_be_sent_as_soon_as_another_is_answered() -> None:
    sandbox = Sandbox(latency_seconds=0.2)

    async def ask_again_and_again() -> list[int]:
        body = {"action": "retrieve", "id": "unknown"}
        return [(await sandbox.post(TASKS, body)).status_code for _ in range(3)]

    statuses = await asyncio.gather(*(ask_again_and_again() for _ in range(MAX_IN_FLIGHT)))

    assert statuses == [[200] * 3] * MAX_IN_FLIGHT


async def test_a_request_that_is_given_up_is_no_longer_in_flight() -> None:
    sandbox = Sandbox(latency_seconds=0.2)
    given_up = asyncio.create_task(ask_at_once(sandbox, MAX_IN_FLIGHT))
    await asyncio.sleep(0.1)
    given_up.cancel()
    await asyncio.wait([given_up])

    responses = await ask_at_once(sandbox, MAX_IN_FLIGHT)

    assert {response.status_code for response in responses} == {200}


async def test_requests_of_a_token_that_is_not_valid_count_for_nobody() -> None:
    sandbox = Sandbox(latency_seconds=0.2)
    others = asyncio.create_task(ask_at_once(sandbox, 20, token="wrong"))
    await asyncio.sleep(0.1)

    assert await sandbox.record("unknown") is None
    assert {response.status_code for response in await others} == {401}


@pytest.mark.parametrize("path", [TASKS, VIDEOS, "/hailuo/tasks", "/hailuo/videos"])
async def test_a_body_that_is_too_large_is_a_bad_request(sandbox: Sandbox, path: str) -> None:
    def body(size: int) -> bytes:
        return b'{"action": "dance"}'.ljust(size)

    fits = (await sandbox.post(path, body(MAX_BODY_BYTES))).json()
    response = await sandbox.post(path, body(MAX_BODY_BYTES + 1))

    said = response.json()
    assert response.status_code == 400
    assert said != fits
    assert said.get("code", said.get("error", {}).get("code")) == "bad_request"


@pytest.mark.parametrize(
    ("service", "wanted"),
    [("hailuo", {"action": "generate", "prompt": "p", "async": True}), ("minimax", WANTED)],
)
async def test_of_the_tasks_that_were_made_the_oldest_are_dropped_first(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, service: str, wanted: dict[str, Any]
) -> None:
    monkeypatch.setattr("hailuo_tasks_mcp.sandbox.tasks.MAX_MADE_TASKS", 20)
    first_ones = [RUNNING_TASK_ID, RUNNING_H3_TASK_ID]
    made = [(await sandbox.post(f"/{service}/videos", wanted)).json()["task_id"] for _ in range(22)]

    body = {"action": "retrieve_batch", "ids": [*first_ones, *made], "limit": 100}
    items = (await sandbox.post(f"/{service}/tasks", body)).json()["items"]

    kept = {item["id"] for item in items} - set(first_ones)
    assert kept == set(made[2:])
    assert len(items) == 1 + len(kept)
