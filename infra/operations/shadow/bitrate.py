"""The ceilings that the bitrate agent's rules of today choose for sessions of then.

Sessions, titles and experiments are known as they are now, but for when a session ended. The
agent's clock is the machine's, a shadow's is the log's: where a decision only waited for its time,
the two may differ by half a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agents.bitrate.ceilings import TICK_MS, Ceilings
from agents.bitrate.controller import DECISION_INTERVAL_MS
from agents.bitrate.population import Population
from infra.operations.shadow.reading import ShadowReader
from infra.operations.shadow.rules import Decided, Make, Rules
from schemas.bitrate import BitrateDecision
from schemas.catalog import Title
from schemas.experiments import Experiment
from schemas.sessions import Session
from streams.records import Record
from streams.topics import (
    BITRATE_DECISIONS,
    CATALOG_TITLES,
    EXPERIMENTS,
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    SESSIONS,
)


class BitrateShadow:
    """Every session of the window."""

    def __init__(
        self,
        sessions: Mapping[str, Session],
        titles: Mapping[str, Title],
        experiments: dict[str, Experiment],
    ) -> None:
        self._then = _SessionsThen(sessions)
        self._decisions: dict[str, BitrateDecision] = {}
        self._ceilings = Ceilings(self._then, titles, self._decisions, experiments, Population())
        self._looked_at_ms: int | None = None

    def warm_up(self, record: Record[BitrateDecision]) -> None:
        """The last ceiling of before the window."""
        self._decisions[record.key] = record.value

    def take(self, record: Record[Any]) -> Sequence[BitrateDecision]:
        """What was due before the event, and what it changed."""
        now_ms = record.timestamp_ms
        found = self._due(now_ms)
        self._then.now_ms = now_ms
        if (decision := self._ceilings.take(record, now_ms)) is not None:
            found.append(self._noted(decision))
        return found

    def rest(self) -> Sequence[BitrateDecision]:
        """What nothing but its time was missing to."""
        if self._looked_at_ms is None:
            return ()
        return self._due(self._looked_at_ms + TICK_MS + DECISION_INTERVAL_MS)

    def _due(self, now_ms: int) -> list[BitrateDecision]:
        found: list[BitrateDecision] = []
        looked_at_ms = now_ms if self._looked_at_ms is None else self._looked_at_ms
        while looked_at_ms + TICK_MS <= now_ms:
            looked_at_ms += TICK_MS
            self._then.now_ms = looked_at_ms
            found += map(self._noted, self._ceilings.due(looked_at_ms))
        self._looked_at_ms = looked_at_ms
        return found

    def _noted(self, decision: BitrateDecision) -> BitrateDecision:
        self._decisions[decision.session_id] = decision
        return decision


class _SessionsThen:
    """Sessions as they were: one that ended since was open."""

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._sessions = sessions
        self.now_ms = 0

    def get(self, key: str) -> Session | None:
        """The session, ended or not as of `now_ms`."""
        session = self._sessions.get(key)
        if session is None or session.ended_at_ms is None or session.ended_at_ms <= self.now_ms:
            return session
        return msgspec.structs.replace(session, ended_at_ms=None)


async def _learn(reader: ShadowReader) -> Make:
    sessions: dict[str, Session] = await reader.newest(SESSIONS)
    titles: dict[str, Title] = await reader.newest(CATALOG_TITLES)
    experiments: dict[str, Experiment] = await reader.newest(EXPERIMENTS)
    return lambda: BitrateShadow(sessions, titles, experiments)


def _describe(decision: BitrateDecision) -> Decided:
    place = (decision.source_topic, decision.source_partition, decision.source_offset)
    return Decided(
        identity=(decision.session_id, *place),
        subject=decision.session_id,
        cause=" ".join(map(str, place)),
        said=f"{decision.ceiling_kbps or decision.shadow_ceiling_kbps} kbit/s {decision.reason}",
    )


def bitrate_rules() -> Rules:
    """The bitrate agent's."""
    return Rules(
        reads=(PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH),
        windows=(PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH),
        remembers=(BITRATE_DECISIONS,),
        decides=BITRATE_DECISIONS,
        is_partitioned=False,  # its topics may have grown
        describe=_describe,
        learn=_learn,
    )
