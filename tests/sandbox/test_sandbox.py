"""The sandbox against the contract: the documented bodies, and a task's states by the clock."""

import json
from typing import Any

import httpx
import pytest
from mcp import Client

from hailuo_tasks_mcp.sandbox.app import create_sandbox
from hailuo_tasks_mcp.sandbox.tasks import FAILED_TASK_ID, RUNNING_TASK_ID
from hailuo_tasks_mcp.server import create_server
from helpers import DOCUMENTED_ID, TIMED_ID, call, data_of, error_of, example, settings, task_ids

IN_PROCESS = {"api_token": "sandbox", "api_base_url": "http://localhost"}
START = 1_800_000_000.0


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


class Sandbox:
    """A sandbox that receives HTTP requests in this process."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.transport = httpx.ASGITransport(create_sandbox(now=self.clock))

    async def post(self, path: str, body: Any, token: str | None = "sandbox") -> httpx.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=self.transport, base_url="http://localhost", headers=headers
        ) as client:
            content = body if isinstance(body, bytes) else json.dumps(body)
            return await client.post(path, content=content)

    async def tasks(self, **body: Any) -> Any:
        response = await self.post("/hailuo/tasks", body)
        assert response.status_code == 200
        return response.json()

    async def answer(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer of a server whose API is this sandbox."""
        return data_of(await call(tool, arguments, self.transport, now=self.clock, **IN_PROCESS))

    async def create(self, **body: Any) -> str:
        response = await self.post("/hailuo/videos", {"action": "generate", "async": True, **body})
        assert response.status_code == 200
        assert response.json().keys() == {"task_id"}
        task_id: str = response.json()["task_id"]
        return task_id


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


def same_json(actual: Any, expected: Any) -> bool:
    """Compare down to the order of the keys."""
    return json.dumps(actual) == json.dumps(expected)


@pytest.mark.parametrize(
    ("task_id", "body"), [(DOCUMENTED_ID, "retrieve"), (TIMED_ID, "retrieve_timed")]
)
async def test_the_documented_tasks_are_returned_as_documented(
    sandbox: Sandbox, task_id: str, body: str
) -> None:
    assert same_json(await sandbox.tasks(action="retrieve", id=task_id), example(body))


async def test_the_documented_batch_is_returned_as_documented(sandbox: Sandbox) -> None:
    body = await sandbox.tasks(action="retrieve_batch", ids=[DOCUMENTED_ID, TIMED_ID])

    assert same_json(body, example("retrieve_batch"))


@pytest.mark.parametrize(
    ("path", "body", "token", "documented"),
    [
        ("/hailuo/tasks", {}, "wrong", "401"),
        ("/hailuo/tasks", {"action": "dance"}, "sandbox", "400 api_not_implemented"),
        ("/hailuo/videos", {"action": "dance"}, "sandbox", "400 api_not_implemented"),
        ("/hailuo/nothing", {}, "sandbox", "404 no_api"),
        ("/hailuo/tasks", {}, "sandbox-token_mismatched", "400 token_mismatched"),
        ("/hailuo/tasks", {}, "sandbox-used_up", "403 used_up"),
        ("/hailuo/tasks", {}, "sandbox-too_many_requests", "429"),
        ("/hailuo/tasks", {}, "sandbox-api_error", "500"),
    ],
)
async def test_the_documented_errors_are_returned_as_documented(
    sandbox: Sandbox, path: str, body: Any, token: str, documented: str
) -> None:
    response = await sandbox.post(path, body, token)

    assert response.status_code == int(documented[:3])
    assert same_json(response.json(), example("errors")[documented])


@pytest.mark.parametrize(
    ("path", "body", "token", "error"),
    [
        ("/hailuo/tasks", {}, None, (401, "no_token")),
        ("/hailuo/tasks", {}, "", (401, "no_token")),
        ("/hailuo/tasks", {}, "sandbox-token_expired", (401, "token_expired")),
        ("/hailuo/tasks", {}, "used_up", (401, "invalid_token")),
        ("/hailuo/tasks", b"{", "sandbox", (400, "bad_request")),
        ("/hailuo/tasks", b"\xff", "sandbox", (400, "bad_request")),
        ("/hailuo/tasks", [], "sandbox", (400, "bad_request")),
        ("/hailuo/tasks", b'{"id": ' + b"1" * 5000 + b"}", "sandbox", (400, "bad_request")),
        ("/hailuo/videos", b'{"prompt": "\\ud800"}', "sandbox", (400, "bad_request")),
        ("/hailuo/videos", b'{"prompt": "p", "x": NaN}', "sandbox", (400, "bad_request")),
        ("/hailuo/tasks/", {}, "sandbox", (404, "no_api")),
        ("/hailuo/tasks", {"action": "retrieve"}, "sandbox", (400, "bad_request")),
        (
            "/hailuo/tasks",
            {"action": "retrieve_batch", "ids": "a"},
            "sandbox",
            (400, "bad_request"),
        ),
        ("/hailuo/videos", {"action": "generate"}, "sandbox", (400, "bad_request")),
        (
            "/hailuo/videos",
            {"action": "generate", "prompt": "p", "model": "minimax-i2v"},
            "sandbox",
            (400, "bad_request"),
        ),
    ],
)
async def test_other_errors_follow_the_contracts_list(
    sandbox: Sandbox, path: str, body: Any, token: str | None, error: tuple[int, str]
) -> None:
    response = await sandbox.post(path, body, token)

    assert (response.status_code, response.json()["error"]["code"]) == error
    assert response.json()["trace_id"]


async def test_a_get_is_no_api(sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(
        transport=sandbox.transport, base_url="http://localhost"
    ) as client:
        response = await client.get("/hailuo/tasks")

    assert same_json(response.json(), example("errors")["404 no_api"])


async def test_unknown_ids_are_an_empty_object_or_missing(sandbox: Sandbox) -> None:
    assert await sandbox.tasks(action="retrieve", id="unknown") == {}
    assert await sandbox.tasks(action="retrieve", id=["unknown"]) == {}
    assert await sandbox.tasks(action="retrieve_batch", ids=["unknown", None]) == {
        "items": [],
        "count": 0,
    }


async def test_a_batch_has_pages_of_twelve_newest_first_unless_requested_otherwise(
    sandbox: Sandbox,
) -> None:
    ids = []
    for number in range(15):
        sandbox.clock.time = START + number
        ids.append(await sandbox.create(prompt="p"))
    newest_first = ids[::-1]

    async def page(**paging: Any) -> list[str]:
        body = await sandbox.tasks(action="retrieve_batch", ids=[*ids, ids[0]], **paging)
        assert body["count"] == 15
        return [item["id"] for item in body["items"]]

    assert await page() == newest_first[:12]
    assert await page(offset=12) == newest_first[12:]
    assert await page(limit=50) == newest_first
    assert await page(limit=2, offset=1) == newest_first[1:3]
    assert await page(limit="many", offset=-1) == newest_first[:12]


async def test_a_task_goes_from_pending_through_processing_to_succeeded(sandbox: Sandbox) -> None:
    task_id = await sandbox.create(prompt="Waves at dusk", model="minimax-t2v")

    async def answer_at(age: float) -> dict[str, Any]:
        sandbox.clock.time = START + age
        return await sandbox.answer("retrieve_task", task_id=task_id)

    assert (await answer_at(1))["state"] == "pending"
    assert (await answer_at(5))["state"] == "processing"
    assert (await answer_at(69))["elapsed_seconds"] == 69
    assert await answer_at(70) == {
        "task_id": task_id,
        "state": "succeeded",
        "final": True,
        "video_urls": [f"https://sandbox.invalid/{task_id}.mp4"],
        "urls_expire_at": "2027-02-14",
        "model": "minimax-t2v",
        "prompt": "Waves at dusk",
        "created_at": "2027-01-15T08:00:00Z",
        "elapsed_seconds": 67.1,
    }


async def test_a_task_with_fail_in_its_prompt_fails(sandbox: Sandbox) -> None:
    task_id = await sandbox.create(prompt="Fail, please")
    sandbox.clock.time += 70

    record = await sandbox.tasks(action="retrieve", id=task_id)

    assert record["response"]["error"]["code"] == "content_policy"
    assert record["finished_at"] == START + 69.1


async def test_an_unavailable_model_is_refused_without_ever_finishing(sandbox: Sandbox) -> None:
    task_id = await sandbox.create(prompt="p", model="minimax-xxl")

    record = await sandbox.tasks(action="retrieve", id=task_id)

    assert record["response"]["success"] is False
    assert record["response"]["error"]["code"] == "model_unavailable"
    assert "finished_at" not in record


async def test_a_synchronous_request_gets_the_documented_response(sandbox: Sandbox) -> None:
    response = await sandbox.post(
        "/hailuo/videos", {"action": "generate", "prompt": "Internal heat"}
    )

    body, expected = response.json(), example("videos")["sync"]
    task_id = body["task_id"]
    record = await sandbox.tasks(action="retrieve", id=task_id)
    assert record["response"]["success"] is True
    # All but what is of this one video.
    expected |= {"task_id": task_id, "trace_id": record["trace_id"]}
    expected["data"][0] |= {
        "id": record["response"]["data"][0]["id"],
        "video_url": f"https://sandbox.invalid/{task_id}.mp4",
    }
    assert same_json(body, expected)


async def test_an_image_that_was_given_is_in_the_synchronous_response(sandbox: Sandbox) -> None:
    image = {"model": "minimax-i2v", "first_image_url": "https://img.test/a.png"}
    response = await sandbox.post(
        "/hailuo/videos", {"action": "generate", "prompt": "Waves", **image}
    )

    assert image.items() <= response.json()["data"][0].items()


async def test_a_video_that_fails_synchronously_is_an_error(sandbox: Sandbox) -> None:
    response = await sandbox.post("/hailuo/videos", {"action": "generate", "prompt": "fail"})

    assert response.status_code == 500
    assert response.json()["error"]["code"] == "content_policy"


async def test_the_sandbox_starts_with_one_failed_and_one_running_task(sandbox: Sandbox) -> None:
    ids = [FAILED_TASK_ID, RUNNING_TASK_ID, DOCUMENTED_ID, TIMED_ID]

    answer = await sandbox.answer("retrieve_tasks_batch", task_ids=ids)

    assert [task["state"] for task in answer["tasks"]] == [
        "failed",
        "processing",
        "succeeded",
        "succeeded",
    ]


async def test_fifty_of_its_tasks_are_all_returned(sandbox: Sandbox) -> None:
    ids = [await sandbox.create(prompt="p") for _ in task_ids(50)]

    answer = await sandbox.answer("retrieve_tasks_batch", task_ids=ids)

    assert answer["counts"] == {"pending": 50}


async def test_a_token_of_the_real_api_is_rejected(sandbox: Sandbox) -> None:
    here = settings(api_base_url=IN_PROCESS["api_base_url"])
    async with Client(create_server(here, transport=sandbox.transport)) as client:
        error = error_of(await client.call_tool("retrieve_task", {"task_id": "t"}))

    assert "The API rejected the token" in error
