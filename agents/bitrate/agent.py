"""The bitrate agent's shell: measurements in, ceilings out, nothing decided here.

A session's measurements of the last seconds live in memory: after a restart they are worthless
anyway. What must last, the version and the ceiling, is read back from the decisions themselves,
which is also how a session goes on when its partition moves to another worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import faust

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
from agents.shell import ShellPorts, serve
from schemas.bitrate import BitrateDecision
from schemas.catalog import Title
from schemas.errors import PlayheadError
from schemas.events import PlaybackEvent
from schemas.sessions import Session
from streams.records import Record
from streams.topics import (
    BITRATE_DECISIONS,
    CATALOG_TITLES,
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    SESSIONS,
)
from streams.view import View

log = logging.getLogger(__name__)

SESSIONS_MAX: Final = 50_000
"""Sessions followed at once; the longest silent ones are forgotten first."""
SESSION_IDLE_MS_MAX: Final = 600_000
SESSIONS_VIEW_MAX: Final = 200_000
TICK_MS: Final = 500


@dataclass(slots=True)
class _Followed:
    """A session, and the newest record that changed it."""

    state: SessionState
    topic: str
    partition: int
    offset: int


class BitrateAgent:
    """Follows sessions and publishes their ceilings on change."""

    name = "bitrate"

    def __init__(self, ports: ShellPorts) -> None:
        self._ports = ports
        self._sessions: View[Session] = View(
            ports.broker,
            SESSIONS,
            clock=ports.clock,
            state_key=ports.state_key,
            entries_max=SESSIONS_VIEW_MAX,
        )
        self._titles: View[Title] = View(
            ports.broker, CATALOG_TITLES, clock=ports.clock, state_key=ports.state_key
        )
        self._decisions: View[BitrateDecision] = View(
            ports.broker, BITRATE_DECISIONS, clock=ports.clock, entries_max=SESSIONS_MAX
        )
        self._followed: OrderedDict[str, _Followed] = OrderedDict()
        self._waiting: set[str] = set()
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read sessions, titles and the ceilings decided before."""
        await asyncio.gather(self._sessions.start(), self._titles.start(), self._decisions.start())
        self._ticker = asyncio.create_task(self._tick_for_ever(), name="bitrate tick")

    def attach(self, app: faust.App) -> None:
        """Take measurements and what viewers do."""
        serve(app, PLAYBACK_BANDWIDTH, self.handle, self._ports, chunked=True)
        serve(app, PLAYBACK_EVENTS, self.handle, self._ports, chunked=True)

    async def stop(self) -> None:
        """Stop looking again, and leave the log."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        for view in (self._sessions, self._titles, self._decisions):
            await view.stop()

    def handle(self, record: Record[PlaybackEvent]) -> Coroutine[Any, Any, None] | None:
        """Take one event; returns the publishing of the ceiling that it changed."""
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
        return self._decide(event.session_id, followed)

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

    def _decide(self, session_id: str, followed: _Followed) -> Coroutine[Any, Any, None] | None:
        self._waiting.discard(session_id)
        session = self._sessions.get(session_id)
        title = None if session is None else self._titles.get(session.content_id)
        if session is None or title is None or session.ended_at_ms is not None:
            return None
        ladder = build_ladder(title, session)
        if ladder is None:
            return None
        now_ms = self._ports.clock()
        resumed = resume(followed.state, self._decisions.get(session_id))
        followed.state, choice = decide(resumed, ladder, now_ms)
        if choice is None:
            if wants_another_look(followed.state, now_ms):
                self._waiting.add(session_id)
            return None
        return self._publish(_decision_of(session, choice, followed, now_ms))

    async def _publish(self, decision: BitrateDecision) -> None:
        await self._ports.publisher.publish(BITRATE_DECISIONS, decision.session_id, decision)
        log.info(
            "session %s: ceiling %s kbps (%s)",
            decision.session_id,
            decision.ceiling_kbps,
            decision.reason,
        )

    async def _tick_for_ever(self) -> None:
        """Publish what only waited for its time, and forget who went silent."""
        while True:
            await asyncio.sleep(TICK_MS / 1000)
            try:
                await self._tick()
            except PlayheadError as error:
                self._ports.halt(error)
                raise

    async def _tick(self) -> None:
        for session_id in list(self._waiting):
            followed = self._followed.get(session_id)
            if followed is None:
                self._waiting.discard(session_id)
                continue
            work = self._decide(session_id, followed)
            if work is not None:
                await work
        self._forget_silent()

    def _forget_silent(self) -> None:
        oldest_ms = self._ports.clock() - SESSION_IDLE_MS_MAX
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
