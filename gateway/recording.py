"""Events into the log: by type to their topic, acknowledged or counted as what they met."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.ledger import Ledger, Outcome
from gateway.metrics import GatewayMetrics
from gateway.ports import Publishing
from schemas import codec
from schemas.events import Bandwidth, Event
from streams.producer import UnavailableError
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS, Topic


class Recorder:
    """One per gateway."""

    def __init__(self, publisher: Publishing, ledger: Ledger, metrics: GatewayMetrics) -> None:
        self._publisher = publisher
        self._ledger = ledger
        self._metrics = metrics

    async def record(
        self, events: Sequence[Event], received_at_ms: int, *, lost_as: Outcome = "unavailable"
    ) -> None:
        """Returns once every event is acknowledged.

        Raises UnavailableError, whose outcome is `not_stored` only where that holds for all.
        `lost_as` says how the ledger counts what was not acknowledged.
        """
        rows: dict[str, list[tuple[str, bytes]]] = {}
        for event in events:
            topic = topic_of(event)
            rows.setdefault(topic.name, []).append((event.session_id, codec.encode(event)))
        topics = [topic for topic in (PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH) if topic.name in rows]
        if len(topics) == 1:  # nearly always; a task more would cost as much as the rest
            failures = [await self._publish(topics[0], rows[topics[0].name])]
        else:
            failures = await asyncio.gather(*(self._publish(t, rows[t.name]) for t in topics))
        for topic, failure in zip(topics, failures, strict=True):
            outcome: Outcome = "accepted" if failure is None else lost_as
            self.count(topic, outcome, len(rows[topic.name]), received_at_ms)
        lost = [failure for failure in failures if failure is not None]
        if lost:
            for_sure = len(lost) == len(topics) and all(f.outcome == "not_stored" for f in lost)
            raise UnavailableError("not_stored" if for_sure else "unknown", str(lost[0]))

    def count(self, topic: Topic, outcome: Outcome, count: int, received_at_ms: int) -> None:
        """In the ledger and in the metrics."""
        if count:
            self._ledger.count(topic.name, outcome, count, received_at_ms)
            self._metrics.count_events(topic.name, outcome, count)

    async def _publish(
        self, topic: Topic, rows: Sequence[tuple[str, bytes]]
    ) -> UnavailableError | None:
        try:
            await self._publisher.publish_many(topic, rows)
        except UnavailableError as error:
            return error
        return None


def topic_of(event: Event) -> Topic:
    """High-volume measurements have a topic of their own."""
    return PLAYBACK_BANDWIDTH if isinstance(event, Bandwidth) else PLAYBACK_EVENTS
