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

from agents.bitrate.applying import decision_of, lift, policy_for, put_under
from agents.bitrate.controller import (
    Choice,
    Playing,
    decide,
    is_due,
    slack_of,
    wants_another_look,
)
from agents.bitrate.ladder import build_ladder
from agents.bitrate.memory import Circumstances
from agents.bitrate.observation import observe_event
from agents.bitrate.population import Population
from agents.bitrate.sizes import SegmentSizes
from agents.bitrate.state import SessionState, observe, resume
from agents.bitrate.tape import Tape, learn_tape, record
from schemas.bitrate import BitrateDecision
from schemas.catalog import Title
from schemas.events import PlaybackEvent
from schemas.sessions import Session
from streams.experiments import Experiments
from streams.records import Record

T_co = TypeVar("T_co", covariant=True)

SESSIONS_MAX: Final = 20_000
"""Sessions followed at once, some 10 kB each; the longest silent ones are forgotten first."""
SESSION_IDLE_MS_MAX: Final = 600_000
TICK_MS: Final = 500
"""How often what only waits for its time is looked at."""
BEHIND_MS: Final = 4_000
"""Events older than this are decided on by the cheaper rule, until the agent has caught up."""
DAY_HOURS: Final = 24
HOUR_MS: Final = 3_600_000


class Known(Protocol[T_co]):
    """What is known by key."""

    def get(self, key: str) -> T_co | None:
        """The newest value."""


@dataclass(slots=True)
class _Followed:
    """A session, and the newest record that changed it."""

    state: SessionState
    tape: Tape
    """What others have not learned of yet."""
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
        experiments: Experiments,
        population: Population,
    ) -> None:
        """`decisions`: the last one of each session, as published."""
        self._sessions = sessions
        self._titles = titles
        self._decisions = decisions
        self._experiments = experiments
        self._sizes = SegmentSizes()
        self._population = population
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
        self._record(event.session_id, followed, before)
        is_behind = now_ms - record.timestamp_ms > BEHIND_MS
        return self._decide(event.session_id, followed, now_ms, is_behind=is_behind)

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

    @property
    def situations_count(self) -> int:
        """How many past situations decisions may draw on."""
        return len(self._population)

    def _follow(self, session_id: str) -> _Followed:
        followed = self._followed.get(session_id)
        if followed is None:
            followed = _Followed(SessionState(), Tape(), "", 0, -1)
            self._followed[session_id] = followed
            if len(self._followed) > SESSIONS_MAX:
                self._forget_oldest()
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

    def _record(self, session_id: str, followed: _Followed, before: SessionState) -> None:
        """Put the download before the newest one on the tape: nobody else tells of it any more."""
        done, newest = before.samples[-1:], followed.state.samples[-1:]
        if not done or (done[0].fetched, done[0].at_ms) == (newest[0].fetched, newest[0].at_ms):
            return
        size_bytes, kbps = done[0].object_bytes, done[0].kbps
        followed.tape = record(followed.tape, size_bytes, size_bytes * 8 / 1000 / max(1, kbps))
        if followed.tape.is_full:
            self._learn(session_id, followed)

    def _learn(self, session_id: str, followed: _Followed) -> None:
        session = self._sessions.get(session_id)
        if session is not None:
            at_ms = followed.state.last_seen_ms
            there = _circumstances(session, at_ms)
            followed.tape = learn_tape(self._population, followed.tape, there, at_ms)

    def _decide(
        self, session_id: str, followed: _Followed, now_ms: int, *, is_behind: bool = False
    ) -> BitrateDecision | None:
        self._waiting.discard(session_id)
        session = self._sessions.get(session_id)
        title = None if session is None else self._titles.get(session.content_id)
        if session is None or title is None or session.ended_at_ms is not None:
            return None
        followed.state = resume(followed.state, self._decisions.get(session_id))
        policy = policy_for(self._experiments, session_id)
        if policy == "player":
            followed.state, choice = lift(followed.state, now_ms)
        else:
            followed.state = put_under(followed.state, policy)
            choice = self._choose(session, title, followed, now_ms, is_behind=is_behind)
            if choice is None and wants_another_look(followed.state, now_ms):
                self._waiting.add(session_id)
        if choice is None:
            return None
        source = (followed.topic, followed.partition, followed.offset)
        return decision_of(
            session, choice, policy, self._experiments, decided_at_ms=now_ms, source=source
        )

    def _choose(
        self, session: Session, title: Title, followed: _Followed, now_ms: int, *, is_behind: bool
    ) -> Choice | None:
        playing = self._playing(session, title, now_ms) if is_due(followed.state, now_ms) else None
        if playing is None:
            return None
        followed.state, choice = decide(
            followed.state, playing, now_ms, self._population, is_behind=is_behind
        )
        return choice

    def _playing(self, session: Session, title: Title, now_ms: int) -> Playing | None:
        """None where device and plan leave nothing of the title."""
        ladder = build_ladder(title, session)
        if ladder is None:
            return None
        return Playing(
            ladder=ladder,
            sizes_bytes=self._sizes.of(title, ladder),
            circumstances=_circumstances(session, now_ms),
            slack_s=slack_of(session.device.player),
        )

    def _forget_silent(self, now_ms: int) -> None:
        oldest_ms = now_ms - SESSION_IDLE_MS_MAX
        while self._followed:
            followed = next(iter(self._followed.values()))
            if followed.state.last_seen_ms >= oldest_ms:
                return
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self._learn(*self._followed.popitem(last=False))


def _circumstances(session: Session, at_ms: int) -> Circumstances:
    """The network is an autonomous system where that is known; the hour is that of UTC."""
    return Circumstances(
        network=str(session.asn or session.network),
        device=session.device.model,
        hour=at_ms // HOUR_MS % DAY_HOURS,
    )
