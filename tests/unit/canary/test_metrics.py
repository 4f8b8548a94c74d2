"""What Prometheus alerts on."""

from __future__ import annotations

from infra.canary.run import CanaryMetrics
from infra.operations.ledger import Imbalance
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS


def test_what_the_ledger_misses_is_a_figure_for_each_topic_until_it_is_found() -> None:
    metrics = CanaryMetrics()

    def missing() -> list[float | None]:
        return [
            metrics.registry.get_sample_value(
                "playhead_ledger_missing_events", {"topic": topic.name}
            )
            for topic in (PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH)
        ]

    lost = Imbalance(
        topic=PLAYBACK_EVENTS.name, missing=7, first_minute_ms=0, last_minute_ms=60_000
    )
    metrics.take_ledger([lost])
    assert missing() == [7, 0]
    metrics.take_ledger([])
    assert missing() == [0, 0]
