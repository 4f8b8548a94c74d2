"""The orders of CDNs that the steering agent's rules of today would have given then.

Whoever fell is told by the second: the same fall may be decided a moment earlier or later than it
was. So orders are compared one after the other, as the versions count them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.steering.ordering import TICK_MS, Ordering
from agents.steering.outcomes import CdnOrigin
from infra.operations.shadow.reading import ShadowReader
from infra.operations.shadow.rules import Decided, Make, Rules
from schemas.steering import EVERYBODY, SteeringDecision
from streams.records import Record
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS, STEERING_DECISIONS


class SteeringShadow:
    """All partitions' events, by the broker's time."""

    def __init__(self, cdns: tuple[CdnOrigin, ...]) -> None:
        self._cdns = cdns
        self._last: SteeringDecision | None = None
        self._ordering: Ordering | None = None
        self._looked_at_ms = 0

    def warm_up(self, record: Record[SteeringDecision]) -> None:
        """The order before the window, and the penalties that ran; plans follow settings, which
        may be others today, and are not decided anew."""
        if record.value.cohort == EVERYBODY:
            self._last = record.value

    def take(self, record: Record[Any]) -> Sequence[SteeringDecision]:
        """What was due before the event, and what it changed."""
        now_ms = record.timestamp_ms
        if self._ordering is None:
            self._ordering = Ordering(self._cdns, self._last)
            self._looked_at_ms = now_ms - TICK_MS  # the agent looks once when it starts
        found = []
        while self._looked_at_ms + TICK_MS <= now_ms:
            self._looked_at_ms += TICK_MS
            found.append(self._ordering.due(self._looked_at_ms))
        found.append(self._ordering.take(record, now_ms))
        return [decision for decision in found if decision is not None]

    def rest(self) -> Sequence[SteeringDecision]:
        """Nothing: a penalty that ends later is not of the window."""
        return ()


def _describe(decision: SteeringDecision) -> Decided:
    return Decided(
        identity=(decision.cohort, decision.version),
        subject=decision.cohort,
        cause=f"version {decision.version}",
        said=f"{' > '.join(decision.order)} ({decision.reason})",
    )


def steering_rules(cdns: tuple[CdnOrigin, ...]) -> Rules:
    """The steering agent's, for these CDNs."""

    async def learn(_: ShadowReader) -> Make:
        return lambda: SteeringShadow(cdns)

    return Rules(
        reads=(PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH),
        windows=(PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH),
        remembers=(STEERING_DECISIONS,),
        decides=STEERING_DECISIONS,
        is_partitioned=False,
        describe=_describe,
        learn=learn,
    )
