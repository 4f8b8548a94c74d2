"""Every session's ceiling: events in, decisions out, on whatever clock the caller has.

What is measured of a session lives in memory: after a restart it is worthless anyway. What must
last, the version and the ceiling, is read back from the decisions themselves, which is also how a
session goes on when its partition moves to another worker.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from agents.bitrate.controller import (
    POLICY_VERSION,
    Choice,
    SessionState,
    decide,
    observe,
    resume,
    wants_another_look,
)
from agents.bitrate.ladder import build_ladder
from agents.bitrate.observation import observe_event
from schemas.bitrate import BitrateDecision
from schemas.catalog import Title
from schemas.events import PlaybackEvent
from schemas.sessions import Session
from streams.records import Record

T_co = TypeVar("T_co", covariant=True)

SESSIONS_MAX: Final = 50_000
"""Sessions followed at once; the longest silent ones are forgotten first."""
SESSION_IDLE_MS_MAX: Final = 600_000
TICK_MS: Final = 500
"""How often what only waits for its time is looked at."""


class Known(Protocol[T_co]):
    """What is known by key."""

    def get(self, key: str) -> T_co | None:
        """The newest value."""


@dataclass(slots=True)
class _Followed:
    """A session, and the newest record that changed it."""

    state: SessionState
    topic: str
    partition: int
    offset: int


class Ceilings:
    """Of the sessions of one worker."""

    def __init__(
        self,
        sessions: Known[Session],
        titles: Known[Title],
        decisions: Known[BitrateDecision],
    ) -> None:
        """`decisions`: the last one of each session, as published."""
        self._sessions = sessions
        self._titles = titles
        self._decisions = decisions
        self._followed: OrderedDict[str, _Followed] = OrderedDict()
        self._waiting: set[str] = set()

    def take(self, record: Record[PlaybackEvent], now_ms: int) -> BitrateDecision | None:
        """The ceiling that an event changed; None: it stays."""
        event = record.value
        followed = self._follow(event.session_id)
        if self._was_decided(record):
            return None
        observation = observe_event(event, self._title_of(event), record.timestamp_ms)
        if observation is None:
            return None
        before = followed.state
        followed.state = observe(before, observation)
        if followed.state is before:
            return None
        followed.topic = record.topic
        followed.partition = record.partition
        followed.offset = record.offset
        return self._decide(event.session_id, followed, now_ms)

    def due(self, now_ms: int) -> Iterator[BitrateDecision]:
        """What only waited for its time; whoever went silent is forgotten."""
        for session_id in list(self._waiting):
            followed = self._followed.get(session_id)
            if followed is None:
                self._waiting.discard(session_id)
                continue
            decision = self._decide(session_id, followed, now_ms)
            if decision is not None:
                yield decision
        self._forget_silent(now_ms)

    def _follow(self, session_id: str) -> _Followed:
        followed = self._followed.get(session_id)
        if followed is None:
            followed = _Followed(SessionState(), "", 0, -1)
            self._followed[session_id] = followed
            if len(self._followed) > SESSIONS_MAX:
                self._followed.popitem(last=False)
        self._followed.move_to_end(session_id)
        return followed

    def _was_decided(self, record: Record[PlaybackEvent]) -> bool:
        """Whether the last decision already counted this record: it was delivered again."""
        last = self._decisions.get(record.value.session_id)
        return (
            last is not None
            and (last.source_topic, last.source_partition) == (record.topic, record.partition)
            and record.offset <= last.source_offset
        )

    def _title_of(self, event: PlaybackEvent) -> Title | None:
        session = self._sessions.get(event.session_id)
        return None if session is None else self._titles.get(session.content_id)

    def _decide(self, session_id: str, followed: _Followed, now_ms: int) -> BitrateDecision | None:
        self._waiting.discard(session_id)
        session = self._sessions.get(session_id)
        title = None if session is None else self._titles.get(session.content_id)
        if session is None or title is None or session.ended_at_ms is not None:
            return None
        ladder = build_ladder(title, session)
        if ladder is None:
            return None
        resumed = resume(followed.state, self._decisions.get(session_id))
        followed.state, choice = decide(resumed, ladder, now_ms)
        if choice is None:
            if wants_another_look(followed.state, now_ms):
                self._waiting.add(session_id)
            return None
        return _decision_of(session, choice, followed, now_ms)

    def _forget_silent(self, now_ms: int) -> None:
        oldest_ms = now_ms - SESSION_IDLE_MS_MAX
        while self._followed:
            session_id, followed = next(iter(self._followed.items()))
            if followed.state.last_seen_ms >= oldest_ms:
                return
            del self._followed[session_id]


def _decision_of(
    session: Session, choice: Choice, followed: _Followed, now_ms: int
) -> BitrateDecision:
    return BitrateDecision(
        session_id=session.session_id,
        content_id=session.content_id,
        version=choice.version,
        ceiling_kbps=choice.ceiling_kbps,
        rendition_id=choice.rendition_id,
        height=choice.height,
        reason=choice.reason,
        facts=choice.facts,
        policy_version=POLICY_VERSION,
        decided_at_ms=now_ms,
        source_topic=followed.topic,
        source_partition=followed.partition,
        source_offset=followed.offset,
    )
