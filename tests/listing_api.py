"""A stand-in for the service that lists tasks, which pages in whatever way a test wants."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx

from helpers import clock
from two_services import h3

Json = dict[str, Any]
Fault = httpx.Response | Exception

# 2026-11-22, 10:00 UTC.
NOW = 1_795_341_600.0


def listed(count: int, *, apart_seconds: float = 60, **fields: Any) -> list[Json]:
    """Return records of tasks, the newest first: `t0` of a minute ago, `t1` of two minutes ago."""
    return [
        h3(f"t{number}", **{"created_at": int(NOW - (number + 1) * apart_seconds), **fields})
        for number in range(count)
    ]


@dataclass
class ListingApi(httpx.AsyncBaseTransport):
    """Lists tasks, in their order.

    Attributes:
        items: the records, or whatever it has in their place.
        page_size: how many items a page has, unless it obeys `limit`.
        max_limit: the highest limit that it obeys; None if it ignores it.
        obeys_offset: whether it does.
        obeys_min: whether it leaves out what is too old; what has no time is always listed.
        obeys_max: whether it leaves out what is too young.
        counts: what `total` counts: "all" that there are, the "page", or None for no `total`.
        ahead_seconds: by how much its clock is ahead; None if it does not say the time.
        fault: what it answers instead to the request with a number; None for the truth.
        latency_seconds: how long an answer takes.

    """

    items: Sequence[Any] = ()
    page_size: int = 12
    max_limit: int | None = 100
    obeys_offset: bool = True
    obeys_min: bool = True
    obeys_max: bool = True
    counts: str | None = "all"
    ahead_seconds: float | None = None
    fault: Callable[[int], Fault | None] = lambda _: None
    latency_seconds: float = 0.0
    payloads: list[Json] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        payload = json.loads(request.content)
        if request.url.path == "/hailuo/tasks":
            # It knows none of them.
            return httpx.Response(200, json={} if "id" in payload else {"items": [], "count": 0})
        self.payloads.append(payload)
        self.tokens.append(request.headers["authorization"].removeprefix("Bearer "))
        number = len(self.payloads)
        headers = {}
        if self.ahead_seconds is not None:
            headers["date"] = formatdate(NOW + clock() + self.ahead_seconds, usegmt=True)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency_seconds)
        finally:
            self.in_flight -= 1
        fault = self.fault(number)
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return httpx.Response(
                fault.status_code, headers={**headers, **fault.headers}, content=fault.content
            )
        return httpx.Response(200, headers=headers, json=self.answer(payload))

    def answer(self, payload: Json) -> Json:
        """Return the JSON of a page, or of one task."""
        if payload["action"] == "retrieve":
            return {
                "task": next((each for each in self.items if each["id"] == payload["id"]), None)
            }
        assert payload["action"] == "retrieve_batch"
        if "ids" in payload:
            items = [each for each in self.items if each["id"] in payload["ids"]]
            return {"items": items, "total": len(items)}
        found = [item for item in self.items if self._is_asked_for(item, payload)]
        limit = self.page_size if self.max_limit is None else min(payload["limit"], self.max_limit)
        offset = payload["offset"] if self.obeys_offset else 0
        page = found[offset : offset + limit]
        counts = {"all": {"total": len(found)}, "page": {"total": len(page)}, None: {}}
        return {"items": page, **counts[self.counts]}

    def _is_asked_for(self, item: Any, payload: Json) -> bool:
        created_at = item.get("created_at") if isinstance(item, dict) else None
        if not isinstance(created_at, int | float):
            return True
        too_old = self.obeys_min and created_at < payload["created_at_min"]
        too_young = self.obeys_max and created_at > payload.get("created_at_max", created_at)
        return not (too_old or too_young)
