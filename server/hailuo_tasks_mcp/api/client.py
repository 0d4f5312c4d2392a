"""The tasks of the platform: ids in, records out, whichever service knows them."""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

import httpx

from hailuo_tasks_mcp.api.batching import Outcome
from hailuo_tasks_mcp.api.http import HttpPool
from hailuo_tasks_mcp.api.lookups import LookupSender
from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.results import LOOKUP_SECONDS, LookupResult
from hailuo_tasks_mcp.api.search import CallerState, Search
from hailuo_tasks_mcp.api.services import Service
from hailuo_tasks_mcp.errors import Failure, TokenMissingError
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings


class Api:
    """The platform's API, for any number of callers.

    Use it as an async context manager.

    Args:
        settings: where the API is, how long an attempt may take, and whether requests may be sent.
        redactor: knows the tokens in use, which no response may bring back.
        transport: carries the requests in place of the network.

    """

    def __init__(
        self,
        settings: Settings,
        redactor: Redactor,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._redactor = redactor
        self._pool = HttpPool(settings, transport=transport)
        # By a digest, so that no token is kept.
        self._callers: OrderedDict[bytes, CallerState] = OrderedDict()
        self._closed = False

    @property
    def at_base_url(self) -> str:
        """Where the API is, for a message."""
        return self._settings.at_base_url

    async def __aenter__(self) -> Self:
        """Return the API; connections are opened when they are needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel what is in flight and close all connections, for good."""
        self._closed = True
        for caller in self._callers.values():
            await caller.queue.aclose()
        await self._pool.__aexit__()

    def client(self, token: str | None) -> "ApiClient":
        """Return a client for the caller with this bearer token; None if there is none."""
        return ApiClient(self, token)

    def caller(self, token: str | None) -> CallerState:
        """Return what is kept of a caller.

        Raises:
            HailuoTasksError: no request may be sent.

        """
        if self._settings.problem is not None:
            raise self._settings.problem.to_error()
        if token is None:
            raise TokenMissingError("No API token is set")
        if self._closed:
            raise RuntimeError("This API is closed")
        key = hashlib.sha256(token.encode()).digest()
        caller = self._callers.get(key)
        if caller is None:
            sender = LookupSender(self._settings, self._pool, self._redactor, token)
            caller = self._callers[key] = CallerState(sender)
        self._callers.move_to_end(key)
        return caller


class ApiClient:
    """What can be asked of the API, on behalf of one caller.

    Cheap to make, so that each call has its own; several things can be asked at once.
    """

    def __init__(self, api: Api, token: str | None) -> None:
        self._api = api
        self._token = token

    async def look_up(
        self,
        task_ids: Iterable[str],
        *,
        within_seconds: float = LOOKUP_SECONDS,
        collect: bool = False,
    ) -> LookupResult:
        """Return what can be learned of any number of tasks; an id given twice counts once.

        Each id is looked up at the service that knew it before, else at the one that knew the last
        id. Only an id that no service knows is in neither part of the result.

        Args:
            task_ids: the tasks' ids.
            within_seconds: how long it may take in all; what came until then is kept.
            collect: whether to wait a moment for look-ups of other calls, to go out together.

        Raises:
            HailuoTasksError: nothing could be learned of any of them, for this reason.

        """
        return await self._look_up(task_ids, None, within_seconds, collect=collect)

    async def look_up_at(
        self,
        service: Service,
        task_ids: Iterable[str],
        *,
        within_seconds: float = LOOKUP_SECONDS,
    ) -> LookupResult:
        """Return what one service says of any number of tasks, as `look_up` does."""
        return await self._look_up(task_ids, (service,), within_seconds, collect=False)

    async def _look_up(
        self,
        task_ids: Iterable[str],
        services: Sequence[Service] | None,
        within_seconds: float,
        *,
        collect: bool,
    ) -> LookupResult:
        ids = list(dict.fromkeys(task_ids))
        caller = self._api.caller(self._token)
        search = Search(caller, services or caller.order, self._api.at_base_url, within_seconds)
        return _result(ids, await search.run(ids, collect=collect))


def _result(ids: Sequence[str], outcomes: Mapping[str, Outcome]) -> LookupResult:
    """Return outcomes by their kind.

    Raises:
        HailuoTasksError: all of them are failures.

    """
    result = LookupResult({}, {})
    for task_id, outcome in outcomes.items():
        if isinstance(outcome, TaskRecord):
            result.records[task_id] = outcome
        elif isinstance(outcome, Failure):
            result.failures[task_id] = outcome
    if ids and len(result.failures) == len(ids):
        raise result.failures[ids[0]].to_error()
    return result


@asynccontextmanager
async def open_client(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    redactor: Redactor | None = None,
) -> AsyncIterator[ApiClient]:
    """Yield a client for the token of the settings, with connections of its own.

    Args:
        settings: the token, where the API is, and how long an attempt may take.
        transport: carries the requests in place of the network.
        redactor: knows the tokens in use; by default, that of the settings.

    """
    token = settings.api_token
    async with Api(settings, redactor or Redactor(token), transport=transport) as api:
        yield api.client(token)
