"""Callers with tokens of their own share the connections and nothing else."""

import asyncio
from contextlib import ExitStack

import httpx
import pytest

from hailuo_tasks_mcp.api.client import Api
from hailuo_tasks_mcp.api.http import HttpPool, Result, Throttle
from hailuo_tasks_mcp.api.services import HAILUO
from hailuo_tasks_mcp.redaction import Redactor
from helpers import ScriptedApi, clock, settings
from two_services import TwoServices, h3_tasks, hailuo_tasks


async def test_each_caller_is_looked_up_for_with_its_own_token() -> None:
    api = ScriptedApi(httpx.Response(200, json={}))

    async with Api(settings(api_token=None), Redactor(), transport=api) as platform:
        with ExitStack() as calls:
            callers = [
                calls.enter_context(platform.client(f"caller-{number}-token"))
                for number in range(3)
            ]
            await asyncio.gather(*(caller.look_up_at(HAILUO, ["t"]) for caller in callers))

    assert [request.headers["authorization"] for request in api.requests] == [
        f"Bearer caller-{number}-token" for number in range(3)
    ]


async def test_one_caller_learns_nothing_of_what_another_looked_up() -> None:
    api = TwoServices(hailuo=hailuo_tasks("a"), minimax=h3_tasks("b"))

    async with Api(settings(), Redactor(), transport=api) as platform:
        for token in ("first-caller", "second-caller"):
            with platform.client(token) as caller:
                await caller.look_up(["a"])

    # For the second, no service is known to know it.
    assert api.sent == [("minimax", ["a"]), ("hailuo", ["a"])] * 2


async def test_what_a_caller_reads_holds_none_of_their_secrets_and_shows_none_of_another() -> None:
    echo = {"id": "t", "request": {"prompt": "the-servers first-caller its-secret second-caller"}}
    api = ScriptedApi(httpx.Response(200, json=echo))

    async with Api(settings(), Redactor("the-servers"), transport=api) as platform:
        with (
            platform.client("second-caller"),
            platform.client("first-caller", ["its-secret"]) as first,
        ):
            result = await first.look_up_at(HAILUO, ["t"])

    # Else a caller could find out by guesses which tokens others use.
    assert result.records["t"].request.prompt == "[token] [token] [token] second-caller"


async def post(pool: HttpPool, max_attempts: int) -> tuple[httpx.Response, list[Result]]:
    results: list[Result] = []
    response = await pool.post(
        "/hailuo/videos",
        {},
        "token",
        max_response_bytes=100,
        max_attempts=max_attempts,
        throttle=Throttle(str),
        on_attempt=results.append,
    )
    return response, results


@pytest.mark.parametrize(("max_attempts", "seconds"), [(1, 0), (2, 0.5), (3, 1.5)])
async def test_an_operation_decides_how_often_its_request_may_be_sent(
    max_attempts: int, seconds: float
) -> None:
    api = ScriptedApi(httpx.Response(503))

    async with HttpPool(settings(), transport=api) as pool:
        response, results = await post(pool, max_attempts)

    assert response.status_code == 503
    assert len(api.requests) == len(results) == max_attempts
    assert clock() <= seconds


async def test_a_request_that_may_be_sent_once_is_not_retried_after_a_torn_response() -> None:
    api = ScriptedApi(httpx.ReadError("torn"))

    async with HttpPool(settings(), transport=api) as pool:
        with pytest.raises(httpx.ReadError):
            await post(pool, 1)

    assert len(api.requests) == 1
