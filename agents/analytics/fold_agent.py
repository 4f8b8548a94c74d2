"""The session fold's shell: events in; summaries, watch steps and its own state out.

Its state is the compacted topic `session.folds.v1`, written before the events are acknowledged:
after kill -9 it is read back, and what was not acknowledged comes again and changes nothing,
because a fold knows an event by its identity. A Faust table would write as much, but its changelog
is not awaited before the acknowledgment, and an offset per topic could not tell a replayed event.
A fold is a few hundred bytes once its session's numbers have no gap.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

import faust
import msgspec

from agents.analytics.fold_memory import FoldMemory
from agents.analytics.session import admit
from agents.analytics.summary import summarize
from agents.analytics.watches import due_watches, is_settled
from agents.shell import ShellPorts, serve
from schemas import codec
from schemas.catalog import Title
from schemas.errors import RetryableError
from schemas.events import Bandwidth, PlaybackEvent
from schemas.folds import SessionFold
from streams.producer import UnavailableError
from streams.records import Record
from streams.topics import (
    CATALOG_TITLES,
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    SESSION_FOLDS,
    SESSION_SUMMARIES,
    WATCHES,
)
from streams.view import View

log = logging.getLogger(__name__)

TICK_MS: Final = 250
TOUCH_MS: Final = 750
"""An event shows in its session's summary within this, the tick and the log's own time: ≤ 2 s."""
MEASUREMENT_MS: Final = 5_000
"""Measurements come per segment: they may wait for the next event."""
GONE_MS: Final = 300_000
"""A session silent for so long will not go on: what was not watched to its end is abandoned."""
FORGOTTEN_MS: Final = 24 * 3_600_000
IN_FLIGHT_MAX: Final = 50_000
BATCH_MAX: Final = 500
PUBLISH_TRIES_MAX: Final = 6


class _Touched(msgspec.Struct):
    """A session whose summary is due, and who waits for it to be stored."""

    due_ms: int
    stored: asyncio.Future[None]


class FoldAgent:
    """Folds sessions while they go on."""

    name = "fold"

    def __init__(self, ports: ShellPorts, *, memory: FoldMemory | None = None) -> None:
        self._ports = ports
        self._memory = memory or FoldMemory()
        self._titles: View[Title] = View(
            ports.broker, CATALOG_TITLES, clock=ports.clock, state_key=ports.state_key
        )
        self._folds: View[SessionFold] = View(
            ports.broker, SESSION_FOLDS, clock=ports.clock, on_record=self._restore, keep=False
        )
        self._touched: OrderedDict[str, _Touched] = OrderedDict()
        self._storing: dict[str, _Touched] = {}
        self._awaited: set[asyncio.Future[None]] = set()
        """What the events of the delivery at hand wait for."""
        self._silent: OrderedDict[str, int] = OrderedDict()
        """Sessions that may still be abandoned, by when they were last touched."""
        self._expired: list[str] = []
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read titles and the folds as they were stored last."""
        await asyncio.gather(self._titles.start(), self._folds.start())
        self._ticker = asyncio.create_task(self._tick_for_ever(), name="fold tick")
        self._ticker.add_done_callback(self._on_ticker_done)

    def attach(self, app: faust.App) -> None:
        """Take what viewers do and what players measure."""
        for topic in (PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH):
            serve(
                app,
                topic,
                self.handle,
                self._ports,
                concurrency=IN_FLIGHT_MAX,
                chunked=True,
                settle=self.settle,
            )

    async def stop(self) -> None:
        """Leave the log; what is not stored was not acknowledged."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        await self._titles.stop()
        await self._folds.stop()

    def handle(self, record: Record[PlaybackEvent]) -> None:
        """Take one event."""
        event = record.value
        fold = self._memory.touch(event.session_id)
        if admit(fold, event):
            wait_ms = MEASUREMENT_MS if isinstance(event, Bandwidth) else TOUCH_MS
            self._awaited.add(self._touch(event.session_id, wait_ms).stored)
            return
        # It came before, perhaps in a chunk that is void now: then nobody else waits for it.
        name = event.session_id
        touched = self._touched.get(name) or self._storing.get(name)
        if touched is not None:
            self._awaited.add(touched.stored)

    def settle(self) -> Coroutine[Any, Any, None] | None:
        """The waiting until what was taken since the last call is stored."""
        awaited, self._awaited = self._awaited, set()
        return self._wait(awaited) if awaited else None

    def _touch(self, session_id: str, wait_ms: int) -> _Touched:
        now_ms = self._ports.clock()
        touched = self._touched.get(session_id)
        if touched is None:
            stored = asyncio.get_running_loop().create_future()
            touched = self._touched[session_id] = _Touched(now_ms + wait_ms, stored)
        touched.due_ms = min(touched.due_ms, now_ms + wait_ms)
        self._silent.pop(session_id, None)
        self._silent[session_id] = now_ms
        return touched

    async def _wait(self, stored: set[asyncio.Future[None]]) -> None:
        await asyncio.wait(stored)

    async def _tick_for_ever(self) -> None:
        await self._forget(self._expired)
        while True:
            await asyncio.sleep(TICK_MS / 1000)
            self._find_gone(self._ports.clock())
            await self._store_due(self._ports.clock())
            await self._forget(self._memory.settle(frozenset(self._touched)))

    def _on_ticker_done(self, ticker: asyncio.Task[None]) -> None:
        if not ticker.cancelled() and (error := ticker.exception()) is not None:
            self._ports.halt(error)

    async def _forget(self, session_ids: list[str]) -> None:
        for session_id in session_ids:
            await self._ports.publisher.publish(SESSION_FOLDS, session_id, None)
        session_ids.clear()

    def _find_gone(self, now_ms: int) -> None:
        while self._silent:
            session_id, last_ms = next(iter(self._silent.items()))
            if now_ms - last_ms < GONE_MS:
                return
            del self._silent[session_id]
            touched = self._touched.get(session_id)
            if touched is None:
                stored = asyncio.get_running_loop().create_future()
                self._touched[session_id] = _Touched(now_ms, stored)

    async def _store_due(self, now_ms: int) -> None:
        due = [name for name, touched in self._touched.items() if touched.due_ms <= now_ms]
        for start in range(0, len(due), BATCH_MAX):
            names = due[start : start + BATCH_MAX]
            batch = {name: self._touched.pop(name) for name in names}
            self._storing = batch
            try:
                await self._publish(names, now_ms)
            finally:
                self._storing = {}
            for touched in batch.values():
                if not touched.stored.done():
                    touched.stored.set_result(None)

    async def _publish(self, names: list[str], now_ms: int) -> None:
        summaries: list[tuple[str, bytes]] = []
        watches: list[tuple[str, bytes]] = []
        folds: list[tuple[str, bytes]] = []
        for name in names:
            fold = self._memory.touch(name)
            title = self._titles.get(fold.facts.content_id)
            duration_ms = title.duration_ms if title is not None else None
            summary = summarize(fold, duration_ms)
            if summary is None:
                continue
            is_gone = name not in self._silent
            due, fold.told = due_watches(summary, fold.told, duration_ms, is_gone=is_gone)
            if is_settled(summary, fold.told):
                self._silent.pop(name, None)
            summaries.append((name, codec.encode(summary)))
            watches += [(watch.profile_id, codec.encode(watch)) for watch in due]
            folds.append((name, codec.encode(fold)))
        for topic, rows in (
            (SESSION_SUMMARIES, summaries),
            (WATCHES, watches),
            (SESSION_FOLDS, folds),
        ):
            await self._publish_rows(topic, rows)

    async def _publish_rows(self, topic: Any, rows: list[tuple[str, bytes]]) -> None:
        for attempt in range(PUBLISH_TRIES_MAX):
            try:
                await self._ports.publisher.publish_many(topic, rows)
            except UnavailableError as error:
                log.warning("the fold waits for the log: %s", error)
                await asyncio.sleep(2**attempt / 10)
            else:
                return
        raise RetryableError(f"{topic.name} takes nothing")

    def _restore(self, record: Record[SessionFold | None]) -> None:
        """Follow the state's own topic: at the start, and where another worker wrote it."""
        if record.value is None:
            return
        fold = record.value
        if self._ticker is None and self._ports.clock() - record.timestamp_ms > FORGOTTEN_MS:
            self._expired.append(fold.session_id)
            return
        if fold.session_id in self._touched or fold.session_id in self._storing:
            return
        self._memory.restore(fold)
        if self._ticker is None and not (fold.told.is_abandoned or fold.told.is_completed):
            self._silent[fold.session_id] = record.timestamp_ms
