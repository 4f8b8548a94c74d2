"""Every metric of agents and of the log's parts, declared once. Base units: seconds, bytes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class WorkerMetrics:
    """The metrics of one worker process; labels come from the topic registry, never from data."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "playhead_records_total",
            "Records that an agent handled to their end",
            ("topic",),
            registry=registry,
        )
        self.dead_letters = Counter(
            "playhead_dead_letters_total",
            "Records that went to a dead-letter topic",
            ("topic", "reason"),
            registry=registry,
        )
        self.unknown_types = Counter(
            "playhead_unknown_types_total",
            "Records of a newer writer that were skipped",
            ("topic",),
            registry=registry,
        )
        self.handle_seconds = Histogram(
            "playhead_handle_seconds",
            "From the broker's append to the end of the handling",
            ("topic",),
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.root_silent_seconds = Gauge(
            "playhead_root_silent_seconds",
            "Since the root of content keys last answered a license worker; 0: it answers",
            ("root",),
            registry=registry,
        )
