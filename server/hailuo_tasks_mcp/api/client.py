"""The tasks of the platform: ids in, records out, whichever service knows them."""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import Self

import httpx

from hailuo_tasks_mcp.api.batching import Absence, LookupQueue, Outcome
from hailuo_tasks_mcp.api.http import HttpPool
from hailuo_tasks_mcp.api.lookups import LookupSender
from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.results import LOOKUP_SECONDS, LookupResult
from hailuo_tasks_mcp.api.services import SERVICES, Service
from hailuo_tasks_mcp.errors import Failure, SettingsError, TokenMissingError, UnreachableError
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings

# When a service has not answered by then, the other one is asked too.
_HEDGE_SECONDS = 1.0
# How long the other service is waited for once something is known, and since a record last came.
_STRAGGLER_SECONDS = 2.0
_MAX_REMEMBERED_IDS = 10_000


class _Unanswered(Enum):
    UNANSWERED = "unanswered"


UNANSWERED = _Unanswered.UNANSWERED


class _Caller:
    """What is kept of a caller between calls, apart from that of all others.

    Attributes:
        queue: the caller's look-ups.
        services: which service knew an id, the ids last used at the end.
        order: the services, the one that last knew an id first.

    """

    def __init__(self, sender: LookupSender) -> None:
        self.queue = LookupQueue(sender.send)
        self.services: OrderedDict[str, Service] = OrderedDict()
        self.order: tuple[Service, ...] = SERVICES

    def remember(self, task_id: str, service: Service) -> None:
        self.services[task_id] = service
        self.services.move_to_end(task_id)
        if len(self.services) > _MAX_REMEMBERED_IDS:
            self.services.popitem(last=False)
        self.order = (service, *(other for other in SERVICES if other is not service))


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
        self._callers: OrderedDict[bytes, _Caller] = OrderedDict()
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

    def caller(self, token: str | None) -> _Caller:
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
            caller = self._callers[key] = _Caller(sender)
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
        search = _Search(caller, services or caller.order, self._api.at_base_url, within_seconds)
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


def _brought_record(task: "asyncio.Task[dict[str, Outcome]]") -> bool:
    return any(isinstance(outcome, TaskRecord) for outcome in task.result().values())


def _concerns_every_service(outcome: Outcome | _Unanswered) -> bool:
    """Return whether another service would fail in the same way: it is reached in the same way."""
    return isinstance(outcome, Failure) and issubclass(outcome.kind, SettingsError)


class _Search:
    """One look-up of some ids, at every service that may know them."""

    def __init__(
        self,
        caller: _Caller,
        services: Sequence[Service],
        at_base_url: str,
        within_seconds: float,
    ) -> None:
        self._caller = caller
        self._services = services
        self._at_base_url = at_base_url
        self._within_seconds = within_seconds
        self._collect = False
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + within_seconds
        self._requests: dict[asyncio.Task[dict[str, Outcome]], Service] = {}
        # Asked because another service had not answered in time.
        self._hedges: set[Service] = set()
        # By id: what each service says that was asked, UNANSWERED as long as it has not.
        self._outcomes: dict[str, dict[Service, Outcome | _Unanswered]] = {}

    async def run(self, ids: Sequence[str], *, collect: bool) -> dict[str, Outcome]:
        """Return what is known of each id in the end."""
        self._collect = collect
        self._outcomes = {task_id: {} for task_id in ids}
        self._start({task_id: self._home(task_id) or self._services[0] for task_id in ids})
        hedge_at, give_up_at = self._clock() + _HEDGE_SECONDS, math.inf
        try:
            while self._requests:
                until = give_up_at if self._clock() >= hedge_at else min(hedge_at, give_up_at)
                timeout = None if until == math.inf else max(0.0, until - self._clock())
                done, _ = await asyncio.wait(
                    self._requests, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
                )
                brought = {self._requests[task] for task in done if _brought_record(task)}
                for task in done:
                    self._receive(task)
                now = self._clock()
                # A service that brings records page by page is no straggler.
                if brought and len(self._services) > 1:
                    give_up_at = now + _STRAGGLER_SECONDS
                    if brought <= self._hedges:
                        # That others do not answer has cost this much already.
                        give_up_at -= _HEDGE_SECONDS
                if now >= give_up_at or all(map(self._record_of, ids)):
                    break
                hedge = now >= hedge_at
                others = self._others(ids, hedge=hedge)
                if hedge and self._requests:
                    self._hedges |= set(others.values())
                self._start(others)
        finally:
            for task in self._requests:
                task.cancel()
            if self._requests:
                await asyncio.wait(self._requests)
        return {task_id: self._outcome_of(task_id) for task_id in ids}

    def _home(self, task_id: str) -> Service | None:
        """Return the service that knew a task before, if it is one of these."""
        home = self._caller.services.get(task_id)
        return home if home in self._services else None

    async def _ask(self, service: Service, ids: Sequence[str]) -> dict[str, Outcome]:
        """Return what one service says of some ids."""
        return await self._caller.queue.look_up(
            service,
            ids,
            collect=self._collect,
            timeout_seconds=max(0.0, self._deadline - self._clock()),
            timed_out=lambda last: last or self._not_answered(self._within_seconds),
        )

    def _start(self, services: Mapping[str, Service]) -> None:
        """Ask a service for each of some ids."""
        for service in dict.fromkeys(services.values()):
            ids = [task_id for task_id, its in services.items() if its is service]
            for task_id in ids:
                self._outcomes[task_id][service] = UNANSWERED
            self._requests[asyncio.create_task(self._ask(service, ids))] = service

    def _receive(self, task: "asyncio.Task[dict[str, Outcome]]") -> None:
        """Take what a request brought."""
        service = self._requests.pop(task)
        for task_id, outcome in task.result().items():
            self._outcomes[task_id][service] = outcome
            if isinstance(outcome, TaskRecord):
                self._caller.remember(task_id, service)

    def _others(self, ids: Sequence[str], *, hedge: bool) -> dict[str, Service]:
        """Return the ids of which another service must be asked, and which."""
        others = {}
        for task_id in ids:
            outcomes = self._outcomes[task_id]
            if self._record_of(task_id) is not None:
                continue
            home = self._home(task_id)
            # Not asked by this look-up, if another one has just found it there.
            said = outcomes.get(home, Absence.UNKNOWN) if home else Absence.UNKNOWN
            if not isinstance(said, Absence):
                # No other service knows it.
                continue
            if UNANSWERED in outcomes.values() and not hedge:
                continue
            if any(map(_concerns_every_service, outcomes.values())):
                continue
            unasked = [
                service
                for service in self._services
                if outcomes.get(service, Absence.UNCONFIRMED) is Absence.UNCONFIRMED
            ]
            # One that was not asked before one that may only have had it on another page.
            unasked.sort(key=outcomes.__contains__)
            if unasked:
                others[task_id] = unasked[0]
        return others

    def _record_of(self, task_id: str) -> TaskRecord | None:
        outcomes = self._outcomes[task_id].values()
        return next((each for each in outcomes if isinstance(each, TaskRecord)), None)

    def _outcome_of(self, task_id: str) -> Outcome:
        """Return the record, else why one may be missing, else that no service knows the id."""
        record = self._record_of(task_id)
        if record is not None:
            return record
        outcomes = self._outcomes[task_id].values()
        failure = next((each for each in outcomes if isinstance(each, Failure)), None)
        if failure is None and UNANSWERED in outcomes:
            return self._not_answered(_STRAGGLER_SECONDS)
        return failure or Absence.UNKNOWN

    def _not_answered(self, within_seconds: float) -> Failure:
        message = f"Not answered within {within_seconds:.3g} s by the API{self._at_base_url}"
        return Failure(UnreachableError, message)


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
