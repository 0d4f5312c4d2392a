"""What Prometheus is told, and that it holds nothing of a caller."""

import asyncio
import re

import httpx
import pytest

from hailuo_tasks_mcp.tasks.waits import Waits
from hailuo_tasks_mcp.transports.streamable_http.metrics import METRICS_PATH, Metrics
from http_app import CALLER_TOKEN, VERSIONS, call_of, client_of, post, request_of, running_app
from two_services import TwoServices

PROMPT = "a-prompt-of-mine"


async def read(app: httpx.AsyncBaseTransport | object) -> dict[str, float]:
    async with client_of(app) as client:  # type: ignore[arg-type]
        response = await client.get(METRICS_PATH)
    assert response.headers["content-type"].startswith("text/plain; version=")
    lines = [line.rpartition(" ") for line in response.text.splitlines() if line[0] != "#"]
    return {name: float(value) for name, _, value in lines if "_created" not in name}


async def test_calls_waits_and_requests_to_the_platform_are_counted() -> None:
    metrics, api = Metrics(), TwoServices()
    api.know("hailuo", "t-1")
    api.know("hailuo", "t-2", created_at=1, started_at=1)
    waits = Waits(observer=metrics)
    async with running_app(
        api, waits=waits, observer=metrics, pages={METRICS_PATH: metrics.page}
    ) as app:
        wait = asyncio.create_task(post(app, call_of(VERSIONS[-1], "t-2", 20)))
        await asyncio.sleep(1)
        await post(app, call_of(VERSIONS[-1], "t-1"))
        during = await read(app)
        await wait
        api.fail(httpx.Response(401))
        await post(app, call_of(VERSIONS[0], "t-1"))
        after = await read(app)

    labels = 'outcome="ok",tool="retrieve_task"'
    assert during["hailuo_tasks_waits"] == 1
    assert during[f"hailuo_tasks_calls_total{{{labels}}}"] == 1
    assert after["hailuo_tasks_waits"] == 0
    assert after[f"hailuo_tasks_calls_total{{{labels}}}"] == 2
    assert after['hailuo_tasks_call_seconds_sum{tool="retrieve_task"}'] == 20
    assert after['hailuo_tasks_call_seconds_count{tool="retrieve_task"}'] == 3
    assert after['hailuo_tasks_platform_requests_total{service="hailuo",status="401"}'] == 1
    assert after['hailuo_tasks_platform_requests_total{service="hailuo",status="200"}'] > 5


@pytest.mark.parametrize("version", VERSIONS)
async def test_nothing_that_a_caller_sends_becomes_a_label(version: str) -> None:
    metrics, api = Metrics(), TwoServices()
    api.know("hailuo", "an-id-of-mine", created_at=1, request={"prompt": PROMPT})
    waits = Waits(observer=metrics)
    async with running_app(
        api, waits=waits, observer=metrics, pages={METRICS_PATH: metrics.page}
    ) as app:
        before = len(await read(app))
        for number in range(20):
            await post(app, call_of(version, f"an-id-of-mine-{number}"))
            name = f"a-tool-of-mine-{number}"
            await post(app, request_of(version, "tools/call", name=name, arguments={}))
            await post(app, request_of(version, f"a-method-of-mine-{number}"))
            await post(app, call_of(version, "t"), authorization=f"Bearer of-mine-{number}")
        await post(app, call_of(version, "an-id-of-mine"))
        async with client_of(app) as client:
            text = (await client.get(METRICS_PATH)).text

    for secret in ("of-mine", CALLER_TOKEN, PROMPT):
        assert secret not in text
    names = set(re.findall(r'(?:tool|outcome|service|status)="([^"]*)"', text))
    assert names <= {"retrieve_task", "ok", "hailuo", "minimax", "200"}
    assert before < 10
