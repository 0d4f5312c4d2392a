"""Lists over HTTP: each caller lists with their own token, or all with the operator's."""

from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions, digest
from helpers import NOW, TOKEN
from http_app import CALLER_TOKEN, VERSIONS, post, request_of, result_of, running_app
from listing_api import ListingApi
from two_services import h3

ACCESS_TOKEN = "an-access-token-of-the-team"
SHARED = HttpOptions(shared_token=True, access_tokens=(digest(ACCESS_TOKEN),))
OTHER_TOKEN = "other-callers-token-4712"


class ByToken(httpx.AsyncBaseTransport):
    """Has an account with one task for each token."""

    def __init__(self) -> None:
        self.accounts = {
            CALLER_TOKEN: ListingApi([h3("of-caller", created_at=NOW)]),
            OTHER_TOKEN: ListingApi([h3("of-other", created_at=NOW)]),
            TOKEN: ListingApi([h3("of-operator", created_at=NOW)]),
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        return await self.accounts[token].handle_async_request(request)


def ids(response: httpx.Response) -> list[Any]:
    return [task["task_id"] for task in result_of(response)["structuredContent"]["tasks"]]


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_caller_lists_the_tasks_of_their_own_account(version: str) -> None:
    request = request_of(version, "tools/call", name="list_recent_tasks", arguments={})
    async with running_app(ByToken()) as app:
        own = await post(app, request)
        other = await post(app, request, authorization=f"Bearer {OTHER_TOKEN}")

    assert (ids(own), ids(other)) == (["of-caller"], ["of-other"])


async def test_with_a_shared_token_callers_list_the_operators_account() -> None:
    request = request_of("2025-06-18", "tools/call", name="list_recent_tasks", arguments={})
    async with running_app(ByToken(), SHARED) as app:
        response = await post(app, request, authorization=f"Bearer {ACCESS_TOKEN}")

    assert ids(response) == ["of-operator"]
