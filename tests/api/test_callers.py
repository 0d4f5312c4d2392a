"""Callers with tokens of their own share the connections and nothing else."""

import asyncio

import httpx
import pytest

from hailuo_tasks_mcp.api.client import ApiClient
from hailuo_tasks_mcp.api.http import HttpPool
from hailuo_tasks_mcp.redaction import Redactor
from helpers import ScriptedApi, clock, settings


async def test_each_request_carries_its_callers_own_token() -> None:
    api = ScriptedApi(httpx.Response(200, json={}))

    async with HttpPool(settings(api_token=None), transport=api) as pool:
        callers = [
            ApiClient(settings(), pool, f"caller-{number}-token", Redactor()) for number in range(3)
        ]
        await asyncio.gather(*(caller.retrieve("t") for caller in callers))

    assert [request.headers["authorization"] for request in api.requests] == [
        f"Bearer caller-{number}-token" for number in range(3)
    ]


async def test_what_one_caller_reads_holds_no_callers_token() -> None:
    echo = {"id": "t", "request": {"prompt": "first-caller second-caller"}}
    api = ScriptedApi(httpx.Response(200, json=echo))
    redactor = Redactor()

    async with HttpPool(settings(), transport=api) as pool:
        client = ApiClient(settings(), pool, "first-caller", redactor)
        with redactor.using("first-caller"), redactor.using("second-caller"):
            record = await client.retrieve("t")

    assert record is not None
    assert record.request.prompt == "[token] [token]"


@pytest.mark.parametrize(("max_attempts", "seconds"), [(1, 0), (2, 0.5), (3, 1.5)])
async def test_an_operation_decides_how_often_its_request_may_be_sent(
    max_attempts: int, seconds: float
) -> None:
    api = ScriptedApi(httpx.Response(503))

    async with HttpPool(settings(), transport=api) as pool:
        response = await pool.post(
            "/hailuo/videos", {}, "token", max_attempts=max_attempts, deadline=clock() + 60
        )

    assert response.status_code == 503
    assert len(api.requests) == max_attempts
    assert clock() <= seconds


async def test_a_request_that_may_be_sent_once_is_not_retried_after_a_torn_response() -> None:
    api = ScriptedApi(httpx.ReadError("torn"))

    async with HttpPool(settings(), transport=api) as pool:
        with pytest.raises(httpx.ReadError):
            await pool.post("/hailuo/videos", {}, "token", max_attempts=1, deadline=clock() + 60)

    assert len(api.requests) == 1
