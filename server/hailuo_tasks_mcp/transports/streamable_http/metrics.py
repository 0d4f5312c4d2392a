"""What Prometheus is told of a server: counts and times, and no ids, tokens or prompts."""

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response

from hailuo_tasks_mcp.observer import Observer
from hailuo_tasks_mcp.transports.streamable_http.options import METRICS_FOLDER_VARIABLE

METRICS_PATH = "/metrics"

# From a look-up at once to the longest wait.
_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 120, 300, 600, 1800, 3600)


class Metrics(Observer):
    """Counts what happens in this process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = Counter(
            "hailuo_tasks_calls",
            "Calls of tools, by what came of them: ok, or the kind of error.",
            ["tool", "outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "hailuo_tasks_call_seconds",
            "How long calls of tools took, waits included.",
            ["tool"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._waits = Gauge(
            "hailuo_tasks_waits",
            "Calls that wait.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._requests = Counter(
            "hailuo_tasks_platform_requests",
            "Requests to the platform, by the status of the response or the kind of fault.",
            ["service", "status"],
            registry=self._registry,
        )

    def call_ended(self, tool: str, outcome: str, seconds: float) -> None:
        """Count a call of a tool."""
        self._calls.labels(tool, outcome).inc()
        self._seconds.labels(tool).observe(seconds)

    def platform_answered(self, service: str, status: str) -> None:
        """Count a request to the platform."""
        self._requests.labels(service, status).inc()

    def waits_changed(self, under_way: int) -> None:
        """Note how many calls wait."""
        self._waits.set(under_way)

    def page(self) -> Response:
        """Return all numbers, of all processes that share a folder, in Prometheus' text format."""
        registry = self._registry
        if METRICS_FOLDER_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})
