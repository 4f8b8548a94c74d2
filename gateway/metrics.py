"""The gateway's metrics, declared once: base units, and labels only from closed lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class GatewayMetrics:
    """Of one gateway; `route` is an operation id of the route table, never a path."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "playhead_http_requests",
            "Answered requests.",
            ("route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "playhead_http_request_duration_seconds",
            "From whole headers to the answer's end.",
            ("route",),
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self.events = Counter(
            "playhead_events",
            "Events by topic and outcome: accepted, refused, unavailable, shed.",
            ("topic", "outcome"),
            registry=self.registry,
        )
        self.loop_lag_seconds = Gauge(
            "playhead_loop_lag_seconds",
            "How late the event loop came to a timer of 0.5 s.",
            registry=self.registry,
        )
        self.shared_answers = Counter(
            "playhead_answers_shared",
            "Requests that were answered by an equal one in flight.",
            registry=self.registry,
        )

        # Finding a labelled child costs more than counting in it.
        self._counted: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._event_counts: dict[tuple[str, str], Counter] = {}

    def count_request(self, route: str, status: int, took_s: float) -> None:
        """An answered request."""
        children = self._counted.get((route, status))
        if children is None:
            children = self._counted[(route, status)] = (
                self.requests.labels(route, str(status)),
                self.request_seconds.labels(route),
            )
        children[0].inc()
        children[1].observe(took_s)

    def count_events(self, topic: str, outcome: str, count: int) -> None:
        """Events that met the same outcome."""
        child = self._event_counts.get((topic, outcome))
        if child is None:
            child = self._event_counts[(topic, outcome)] = self.events.labels(topic, outcome)
        child.inc(count)

    def watch(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(name, help_, registry=self.registry).set_function(read)

    def watch_counts(
        self, name: str, help_: str, label: str, read: Callable[[], Mapping[Any, int]]
    ) -> None:
        """A counter with one label that is read when it is asked for: cheaper to count in."""
        self.registry.register(_Counts(name, help_, label, read))

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


class _Counts(Collector):
    def __init__(
        self, name: str, help_: str, label: str, read: Callable[[], Mapping[Any, int]]
    ) -> None:
        self._family = name, help_, label
        self._read = read

    def collect(self) -> Iterable[Metric]:
        name, help_, label = self._family
        family = CounterMetricFamily(name, help_, labels=(label,))
        for value, count in self._read().items():
            family.add_metric((value,), count)
        return (family,)
