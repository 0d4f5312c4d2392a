"""The tasks of the platform: ids in, records out, whichever service knows them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Self

import httpx

from hailuo_tasks_mcp.api.batching import Outcome
from hailuo_tasks_mcp.api.caller_states import CallerState, CallerStates
from hailuo_tasks_mcp.api.http import HttpPool
from hailuo_tasks_mcp.api.listing import Lister
from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.results import LISTED_SECONDS, LOOKUP_SECONDS, Listing, LookupResult
from hailuo_tasks_mcp.api.search import Search
from hailuo_tasks_mcp.api.sender import Sender
from hailuo_tasks_mcp.api.services import MINIMAX, Service
from hailuo_tasks_mcp.errors import Failure, TokenMissingError
from hailuo_tasks_mcp.observer import Observer
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings


class Api:
    """The platform's API, for any number of callers.

    Use it as an async context manager.

    Args:
        settings: where the API is, how long an attempt may take, and whether requests may be sent.
        redactor: knows the tokens in use; no response may bring back one that lasts, or the
            caller's.
        transport: carries the requests in place of the network.
        observer: is told what each request to the platform brought.

    """

    def __init__(
        self,
        settings: Settings,
        redactor: Redactor,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._settings = settings
        self._redactor = redactor
        self._observer = observer or Observer()
        self._pool = HttpPool(settings, transport=transport)
        self._callers = CallerStates(self._new_sender)
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
        await self._callers.aclose()
        await self._pool.__aexit__()

    @contextmanager
    def client(self, token: str | None, secrets: Sequence[str] = ()) -> Iterator["ApiClient"]:
        """Yield a client for the length of a call.

        Args:
            token: the caller's bearer token; None if there is none.
            secrets: what else no response may bring back.

        """
        if token is None:
            yield ApiClient(self, None)
            return
        with self._callers.in_use(token, secrets) as caller:
            yield ApiClient(self, caller)

    def _new_sender(self) -> Sender:
        return Sender(self._settings, self._pool, self._redactor.scope(), self._observer)

    def check_open(self) -> None:
        """Return if requests may be sent.

        Raises:
            HailuoTasksError: because of the settings, none may.

        """
        if self._settings.problem is not None:
            raise self._settings.problem.to_error()
        if self._closed:
            raise RuntimeError("This API is closed")


class ApiClient:
    """What can be asked of the API, on behalf of one caller.

    Cheap to make, so that each call has its own; several things can be asked at once.
    """

    def __init__(self, api: Api, caller: CallerState | None) -> None:
        self._api = api
        self._caller = caller

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

    async def list_recent(
        self,
        max_age_seconds: float = LISTED_SECONDS,
        *,
        now: float,
        within_seconds: float = LOOKUP_SECONDS,
    ) -> Listing:
        """Return the account's tasks of the last time that MiniMax H3 lists; Hailuo's cannot be.

        Args:
            max_age_seconds: how long ago a task may have been created, up to `LISTED_SECONDS`.
            now: the time, in Unix seconds, by a clock that may differ from the platform's.
            within_seconds: how long it may take in all; what came until then is kept.

        Raises:
            HailuoTasksError: nothing could be listed, for this reason.

        """
        caller = self._caller_to_ask_for()
        lister = Lister(caller.sender, caller.queue, self._api.at_base_url)
        try:
            async with asyncio.timeout(within_seconds), caller.lists:
                await lister.run(max_age_seconds, now)
        except TimeoutError:
            lister.give_up(within_seconds)
        listing = lister.result()
        # The oldest first, because those last used are forgotten last.
        for record in reversed(listing.records):
            caller.remember(record.task_id or "", MINIMAX)
        return listing

    async def _look_up(
        self,
        task_ids: Iterable[str],
        services: Sequence[Service] | None,
        within_seconds: float,
        *,
        collect: bool,
    ) -> LookupResult:
        ids = list(dict.fromkeys(task_ids))
        caller = self._caller_to_ask_for()
        search = Search(caller, services or caller.order, self._api.at_base_url, within_seconds)
        return _result(ids, await search.run(ids, collect=collect))

    def _caller_to_ask_for(self) -> CallerState:
        """Return whose requests are to be sent.

        Raises:
            HailuoTasksError: none may be sent.

        """
        self._api.check_open()
        if self._caller is None:
            raise TokenMissingError("No API token is set")
        return self._caller


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
        with api.client(token) as client:
            yield client
