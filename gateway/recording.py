"""Events into the log: by type to their topic, acknowledged or counted as what they met."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.ledger import Ledger, Outcome
from gateway.metrics import GatewayMetrics
from gateway.ports import Publishing
from gateway.stamping import Stamped, with_arms
from schemas import codec
from schemas.events import Bandwidth, Event, Stamp
from streams.experiments import Experiments
from streams.producer import UnavailableError
from streams.topic import Topic
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS

Rows = list[tuple[str, bytes]]
"""Key and value."""


class Recorder:
    """One per gateway."""

    def __init__(
        self,
        publisher: Publishing,
        ledger: Ledger,
        metrics: GatewayMetrics,
        experiments: Experiments,
    ) -> None:
        self._publisher = publisher
        self._ledger = ledger
        self._metrics = metrics
        self._experiments = experiments

    async def record(
        self,
        events: Sequence[Stamped],
        received_at_ms: int,
        *,
        lost_as: Outcome = "unavailable",
    ) -> None:
        """Returns once every event is acknowledged.

        Raises UnavailableError, whose outcome is `not_stored` only where that holds for all.
        `lost_as` says how the ledger counts what was not acknowledged.
        """
        parts = _by_topic(with_arms(events, self._experiments))
        if len(parts) == 1:  # nearly always; a task more would cost as much as the rest
            failures = [await self._publish(*parts[0])]
        else:
            failures = await asyncio.gather(*(self._publish(*part) for part in parts))
        for (topic, rows), failure in zip(parts, failures, strict=True):
            outcome: Outcome = "accepted" if failure is None else lost_as
            self.count(topic, outcome, len(rows), received_at_ms)
        lost = [failure for failure in failures if failure is not None]
        if lost:
            for_sure = len(lost) == len(parts) and all(f.outcome == "not_stored" for f in lost)
            raise UnavailableError("not_stored" if for_sure else "unknown", str(lost[0]))

    def count(self, topic: Topic, outcome: Outcome, count: int, received_at_ms: int) -> None:
        """In the ledger and in the metrics."""
        if count:
            self._ledger.count(topic.name, outcome, count, received_at_ms)
            self._metrics.count_events(topic.name, outcome, count)

    async def _publish(self, topic: Topic, rows: Rows) -> UnavailableError | None:
        try:
            await self._publisher.publish_many(topic, rows)
        except UnavailableError as error:
            return error
        return None


def topic_of(event: Event) -> Topic:
    """High-volume measurements have a topic of their own."""
    return PLAYBACK_BANDWIDTH if isinstance(event, Bandwidth) else PLAYBACK_EVENTS


def _by_topic(events: Sequence[Stamped]) -> list[tuple[Topic, Rows]]:
    """Encoded rows, each with its stamp at the end: encoded once where neighbors share it."""
    lines = codec.encode_lines([event for event, _ in events])
    viewed: Rows = []
    measured: Rows = []
    latest: Stamp | None = None
    tail = b""
    for (event, stamp), line in zip(events, lines, strict=True):
        if stamp is not latest:
            latest, tail = stamp, b',"stamp":' + codec.encode(stamp) + b"}"
        rows = measured if isinstance(event, Bandwidth) else viewed
        rows.append((event.session_id, line[:-1] + tail))
    parts = ((PLAYBACK_EVENTS, viewed), (PLAYBACK_BANDWIDTH, measured))
    return [(topic, rows) for topic, rows in parts if rows]
