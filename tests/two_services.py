"""A stand-in for the platform with both of its services, each with tasks and faults of its own."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from helpers import clock, succeeded

Json = dict[str, Any]
Fault = httpx.Response | Exception

PATHS = {"/minimax/tasks": "minimax", "/hailuo/tasks": "hailuo"}


def h3(task_id: str, status: str = "succeeded", **fields: Any) -> Json:
    """Return a record of MiniMax H3 in its documented shape."""
    record: Json = {
        "id": task_id,
        "model": "MiniMax-H3",
        "status": status,
        "created_at": 1786184658,
        "updated_at": 1786184758,
        "resolution": "768P",
        "duration": 4,
        "task_type": "generation",
        "modality": "video",
    }
    if status == "succeeded":
        record["content"] = {"url": f"https://cdn.test/{task_id}.mp4"}
        record["usage"] = {"total_seconds": 4}
    return record | fields


def running(task_id: str) -> Json:
    return {"id": task_id, "created_at": 1736863661.511, "started_at": 1736863662}


@dataclass
class Service:
    """One service of the stand-in.

    Attributes:
        records: the records, by task id.
        fault: what it answers instead; None for the truth.
        latency_seconds: how long an answer takes.
        hangs: whether it never answers.

    """

    records: dict[str, Json] = field(default_factory=dict)
    fault: Callable[[Json], Fault | None] = lambda _: None
    latency_seconds: float = 0.0
    hangs: bool = False


class TwoServices(httpx.AsyncBaseTransport):
    """Answers for both services, and counts."""

    def __init__(
        self,
        *,
        hailuo: Mapping[str, Json] | None = None,
        minimax: Mapping[str, Json] | None = None,
        limit: int | None = None,
    ) -> None:
        self.services = {
            "hailuo": Service(dict(hailuo or {})),
            "minimax": Service(dict(minimax or {})),
        }
        self.limit = limit
        self.sent: list[tuple[str, list[str]]] = []
        self.seconds: list[float] = []
        self.payloads: list[Json] = []
        self.in_flight = 0
        self.most_in_flight = 0

    @property
    def requested(self) -> dict[str, list[str]]:
        """Return which ids each service was sent, in the order of the requests."""
        requested: dict[str, list[str]] = {name: [] for name in self.services}
        for name, ids in self.sent:
            requested[name] += ids
        return requested

    def know(self, service: str, *task_ids: str, **fields: Any) -> None:
        """Have a service know tasks: succeeded ones, or with other fields."""
        make = h3 if service == "minimax" else succeeded
        for task_id in task_ids:
            record = {"id": task_id, **fields} if fields else make(task_id)
            self.services[service].records[task_id] = record

    def fail(self, response: httpx.Response) -> None:
        """Have both services answer so, whatever they are sent."""
        for service in self.services.values():
            service.fault = lambda _: response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        payload = json.loads(request.content)
        self.payloads.append(payload)
        name = PATHS[request.url.path]
        service = self.services[name]
        self.sent.append((name, payload.get("ids") or [payload["id"]]))
        self.seconds.append(clock())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.limit is not None and self.in_flight > self.limit:
                return httpx.Response(429, json={"error": {"code": "rate_limited"}})
            await asyncio.sleep(service.latency_seconds)
            if service.hangs:
                await asyncio.Event().wait()
            fault = service.fault(payload)
            if isinstance(fault, Exception):
                raise fault
            if fault is not None:
                status, headers = fault.status_code, fault.headers
                return httpx.Response(status, headers=headers, content=fault.content)
            return httpx.Response(200, json=self.answer(name, payload))
        finally:
            self.in_flight -= 1

    def answer(self, name: str, payload: Json) -> Json:
        """Return the JSON of a response to a look-up."""
        service = self.services[name]
        if "id" in payload:
            record = service.records.get(payload["id"])
            return {"task": record} if name == "minimax" else record or {}
        items = [service.records[each] for each in payload["ids"] if each in service.records]
        return {"items": items, "total" if name == "minimax" else "count": len(items)}


def hailuo_tasks(*task_ids: str) -> dict[str, Json]:
    return {task_id: succeeded(task_id) for task_id in task_ids}


def h3_tasks(*task_ids: str) -> dict[str, Json]:
    return {task_id: h3(task_id) for task_id in task_ids}
