"""The bitrate agent's shell: measurements in, ceilings out, nothing decided here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

import faust

from agents.bitrate.ceilings import SESSIONS_MAX, TICK_MS, Ceilings
from agents.bitrate.population import Population
from agents.bitrate.stochastic import compile_all
from agents.shell import ShellPorts, serve
from schemas.bitrate import BitrateDecision, PopulationBlock
from schemas.catalog import Title
from schemas.errors import PlayheadError
from schemas.events import PlaybackEvent
from schemas.experiments import Experiment
from schemas.sessions import Session
from streams.records import Record
from streams.topics import (
    BITRATE_DECISIONS,
    BITRATE_POPULATION,
    CATALOG_TITLES,
    EXPERIMENTS,
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    SESSIONS,
)
from streams.view import View

log = logging.getLogger(__name__)

SESSIONS_VIEW_MAX: Final = 200_000
REMEMBER_S: Final = 60.0
"""Between tellings; a busy worker tells all of its 5 MB in each."""


class BitrateAgent:
    """Follows sessions and publishes their ceilings on change."""

    name = "bitrate"

    def __init__(self, ports: ShellPorts, *, instance: str = "1") -> None:
        """`instance`: one worker's name among several, under which it tells what it learned."""
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
        self._experiments: View[Experiment] = View(
            ports.broker, EXPERIMENTS, clock=ports.clock, state_key=ports.state_key
        )
        self._instance = instance
        self._population = Population()
        self._ceilings = Ceilings(
            self._sessions, self._titles, self._decisions, self._experiments, self._population
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read what is known of sessions, titles, experiments, ceilings and past networks."""
        await asyncio.gather(
            asyncio.to_thread(compile_all),  # it takes seconds, once for each machine
            self._sessions.start(),
            self._titles.start(),
            self._decisions.start(),
            self._experiments.start(),
            self._recall(),
        )
        self._tasks = [
            asyncio.create_task(self._tick_for_ever(), name="bitrate tick"),
            asyncio.create_task(self._remember_for_ever(), name="bitrate memory"),
        ]

    def attach(self, app: faust.App) -> None:
        """Take measurements and what viewers do."""
        serve(app, PLAYBACK_BANDWIDTH, self.handle, self._ports, chunked=True)
        serve(app, PLAYBACK_EVENTS, self.handle, self._ports, chunked=True)

    async def stop(self) -> None:
        """Stop looking again, tell what was learned since, and leave the log."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._tasks:
            with suppress(PlayheadError):  # it is learned again
                await self._remember()
        for view in (self._sessions, self._titles, self._decisions, self._experiments):
            await view.stop()

    def handle(self, record: Record[PlaybackEvent]) -> Coroutine[Any, Any, None] | None:
        """Take one event; returns the publishing of the ceiling that it changed."""
        decision = self._ceilings.take(record, self._ports.clock())
        return None if decision is None else self._publish(decision)

    async def _publish(self, decision: BitrateDecision) -> None:
        await self._ports.publisher.publish(BITRATE_DECISIONS, decision.session_id, decision)
        log.info(
            "session %s: ceiling %s kbps (%s)",
            decision.session_id,
            decision.ceiling_kbps,
            decision.reason,
        )

    async def _tick_for_ever(self) -> None:
        """Publish what only waited for its time."""
        while True:
            await asyncio.sleep(TICK_MS / 1000)
            try:
                for decision in self._ceilings.due(self._ports.clock()):
                    await self._publish(decision)
            except PlayheadError as error:
                self._ports.halt(error)
                raise

    async def _recall(self) -> None:
        blocks: View[PopulationBlock] = View(
            self._ports.broker,
            BITRATE_POPULATION,
            clock=self._ports.clock,
            state_key=self._ports.state_key,
        )
        await blocks.start()
        await blocks.stop()
        self._population.recall(block for _, block in blocks.items())
        log.info("%d situations of earlier sessions are remembered", len(self._population))

    async def _remember(self) -> None:
        for block in self._population.blocks_changed(self._instance):
            key = f"{block.worker}/{block.memory}/{block.number}"
            await self._ports.publisher.publish(BITRATE_POPULATION, key, block)

    async def _remember_for_ever(self) -> None:
        """What was learned since may be lost with the process: it is a memory, no promise."""
        while True:
            await asyncio.sleep(REMEMBER_S)
            try:
                await self._remember()
            except PlayheadError as error:
                log.warning("what was learned could not be told: %s", error)
