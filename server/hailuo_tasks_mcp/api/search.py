"""Looks ids up at every service that may know them."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from enum import Enum

from hailuo_tasks_mcp.api.batching import Absence, Outcome
from hailuo_tasks_mcp.api.caller_states import CallerState
from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.api.services import Service
from hailuo_tasks_mcp.errors import (
    Failure,
    SettingsError,
    UnreachableError,
    UnreadableResponseError,
)

# When a service has not answered by then, the other one is asked too.
_HEDGE_SECONDS = 1.0
# How long the other service is waited for once something is known, and since a record last came.
_STRAGGLER_SECONDS = 2.0


class _Unanswered(Enum):
    UNANSWERED = "unanswered"


UNANSWERED = _Unanswered.UNANSWERED


def _brought_record(task: "asyncio.Task[dict[str, Outcome]]") -> bool:
    return any(isinstance(outcome, TaskRecord) for outcome in task.result().values())


def _concerns_every_service(outcome: Outcome | _Unanswered) -> bool:
    """Return whether another service would fail in the same way: it is reached in the same way."""
    return isinstance(outcome, Failure) and issubclass(outcome.kind, SettingsError)


class Search:
    """One look-up of some ids, at every service that may know them.

    Args:
        caller: whose look-up it is.
        services: which services are asked, the one first that an unknown id is looked up at.
        at_base_url: where the API is, for a message.
        within_seconds: how long it may take in all.

    """

    def __init__(
        self,
        caller: CallerState,
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
        self._hedges: frozenset[Service] = frozenset()
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
        if failure is None and Absence.UNCONFIRMED in outcomes:
            message = f"The API{self._at_base_url} left this task out of its answers so far"
            return Failure(UnreadableResponseError, message)
        return failure or Absence.UNKNOWN

    def _not_answered(self, within_seconds: float) -> Failure:
        message = f"Not answered within {within_seconds:.3g} s by the API{self._at_base_url}"
        return Failure(UnreachableError, message)
