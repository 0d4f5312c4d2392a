"""What is kept of callers between their calls: within bounds, and without their tokens."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hailuo_tasks_mcp.api.batching import LookupQueue
from hailuo_tasks_mcp.api.lookups import LookupSender
from hailuo_tasks_mcp.api.sender import Sender
from hailuo_tasks_mcp.api.services import SERVICES, Service

MAX_CALLERS_NOT_IN_USE = 1_000
# Half of the requests that may be in flight, so that look-ups always find places too.
MAX_LISTS = 2
MAX_REMEMBERED_IDS = 100_000
_MAX_REMEMBERED_IDS_OF_A_CALLER = 10_000


class CallerState:
    """What is kept of one caller, apart from that of all others.

    Attributes:
        sender: sends the caller's requests.
        queue: the caller's look-ups.
        lists: how many lists of tasks may be under way.
        services: which service knew an id, the ids last used at the end.
        order: the services, the one that last knew an id first.

    """

    def __init__(self, sender: Sender, states: "CallerStates") -> None:
        self.sender = sender
        self.queue = LookupQueue(LookupSender(sender).send)
        self.lists = asyncio.Semaphore(MAX_LISTS)
        self.services: OrderedDict[str, Service] = OrderedDict()
        self.order: tuple[Service, ...] = SERVICES
        self._states = states

    def remember(self, task_id: str, service: Service) -> None:
        """Note which service knows an id."""
        if task_id not in self.services:
            self._states.remembered_ids += 1
        self.services[task_id] = service
        self.services.move_to_end(task_id)
        self.order = (service, *(other for other in SERVICES if other is not service))
        if len(self.services) > _MAX_REMEMBERED_IDS_OF_A_CALLER or not self._states.make_room():
            self.services.popitem(last=False)
            self._states.remembered_ids -= 1


class CallerStates:
    """The states of all callers, by a digest of the token.

    Of callers without a call under way the last ones are kept, and fewer if too many ids are
    remembered.

    Args:
        new_sender: returns what sends the requests of a caller who is not known yet.

    """

    def __init__(self, new_sender: Callable[[], Sender]) -> None:
        self.remembered_ids = 0
        self._new_sender = new_sender
        self._in_use: dict[bytes, _Use] = {}
        self._others: OrderedDict[bytes, _Use] = OrderedDict()

    @contextmanager
    def in_use(self, token: str, secrets: Sequence[str]) -> Iterator[CallerState]:
        """Yield the state of the caller with this token, for the length of a call.

        Args:
            token: with which requests are sent until the caller's last call ends.
            secrets: what else no response may bring back during this call.

        """
        key = hashlib.sha256(token.encode()).digest()
        use = self._in_use.get(key) or self._others.pop(key, None) or _Use(self._new_sender(), self)
        self._in_use[key] = use
        use.sender.token = token
        use.calls += 1
        try:
            with use.sender.redactor.using(token, *secrets):
                yield use.state
        finally:
            use.calls -= 1
            if not use.calls:
                use.sender.token = None
                self._others[key] = self._in_use.pop(key)
                self.make_room()

    def make_room(self) -> bool:
        """Forget callers without a call, as far as needed; return whether that was enough."""
        while self._others and (
            len(self._others) > MAX_CALLERS_NOT_IN_USE or self.remembered_ids > MAX_REMEMBERED_IDS
        ):
            _, use = self._others.popitem(last=False)
            self.remembered_ids -= len(use.state.services)
        return self.remembered_ids <= MAX_REMEMBERED_IDS

    async def aclose(self) -> None:
        """Cancel all that is in flight."""
        for use in (*self._in_use.values(), *self._others.values()):
            await use.state.queue.aclose()


class _Use:
    """A caller's state, and how many calls use it."""

    def __init__(self, sender: Sender, states: CallerStates) -> None:
        self.sender = sender
        self.state = CallerState(sender, states)
        self.calls = 0
