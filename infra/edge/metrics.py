"""The edge's metrics, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class EdgeMetrics:
    """One registry per edge: nothing is global."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.responses = Counter(
            "playhead_edge_responses_total",
            "Responses about objects, by status.",
            ["status"],
            registry=self._registry,
        )
        self.sent_bytes = Counter(
            "playhead_edge_sent_bytes_total", "Bytes of object bodies.", registry=self._registry
        )
        self.refused = Counter(
            "playhead_edge_refused_total", "Requests of refused sessions.", registry=self._registry
        )
        self.logs = Counter(
            "playhead_edge_log_lines_total",
            "Log lines by what became of them: stored, refused, dropped.",
            ["outcome"],
            registry=self._registry,
        )
        self.following = Gauge(
            "playhead_edge_following",
            "1 while the stream of decisions is open.",
            registry=self._registry,
        )

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self._registry)
