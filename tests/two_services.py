"""A stand-in for both services of the platform, for tests of what is made of their answers."""

import json
from typing import Any

import httpx

from helpers import Json, succeeded

SERVICES = {"/minimax/tasks": "minimax", "/hailuo/tasks": "hailuo"}


class TwoServices(httpx.AsyncBaseTransport):
    """Answers look-ups of the tasks that each service is told to know.

    Attributes:
        asked: which ids each service was asked for, in the order of the requests.
        questions: the bodies of all requests.
        failure: answers everything in place of the tasks, if it is set.

    """

    def __init__(self) -> None:
        self.asked: dict[str, list[str]] = {"minimax": [], "hailuo": []}
        self.questions: list[Json] = []
        self.failure: httpx.Response | None = None
        self._records: dict[str, dict[str, Any]] = {"minimax": {}, "hailuo": {}}

    def know(self, service: str, *task_ids: str, **changes: Any) -> None:
        """Have a service know tasks: succeeded ones, or with other fields."""
        for task_id in task_ids:
            record = {"id": task_id, **changes} if changes else succeeded(task_id)
            self._records[service][task_id] = record

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        service = SERVICES[request.url.path]
        question: Json = json.loads(request.content)
        self.questions.append(question)
        ids = question.get("ids") or [question["id"]]
        self.asked[service] += ids
        if self.failure is not None:
            content, status = self.failure.content, self.failure.status_code
            return httpx.Response(status, headers=self.failure.headers, content=content)
        found = [self._records[service][each] for each in ids if each in self._records[service]]
        if question["action"] == "retrieve":
            return httpx.Response(200, json=found[0] if found else {})
        return httpx.Response(200, json={"items": found, "count": len(found)})
