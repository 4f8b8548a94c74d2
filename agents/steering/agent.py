"""The steering agent's shell: outcomes in, orders and shares of CDNs out, nothing decided here.

One worker of it sees every partition; its window is worthless after a restart, and what must
last (order, shares, versions, running penalties) is read back from its last decisions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import faust

from agents.shell import ShellPorts, serve
from agents.steering.ordering import TICK_MS, Ordering
from agents.steering.outcomes import CdnOrigin
from agents.steering.plan import allocate
from schemas.errors import PlayheadError
from schemas.events import PlaybackEvent
from schemas.steering import EVERYBODY, CdnSettings, SteeringDecision
from streams.records import Record
from streams.topics import (
    CDN_SETTINGS,
    PLAYBACK_BANDWIDTH,
    PLAYBACK_EVENTS,
    STEERING_DECISIONS,
)
from streams.view import View

log = logging.getLogger(__name__)


class SteeringAgent:
    """Watches the configured CDNs and publishes their order on change."""

    name = "steering"

    def __init__(self, ports: ShellPorts, cdns: tuple[CdnOrigin, ...]) -> None:
        """`cdns` is in order of preference, names unique, at least one."""
        self._ports = ports
        self._cdns = cdns
        self._ordering = Ordering(cdns, None)
        self._settings: View[CdnSettings] = View(
            ports.broker, CDN_SETTINGS, clock=ports.clock, state_key=ports.state_key
        )
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the last decision and publish the order where it is another one."""
        decisions: View[SteeringDecision] = View(
            self._ports.broker, STEERING_DECISIONS, clock=self._ports.clock
        )
        await asyncio.gather(decisions.start(), self._settings.start())
        cohorts = [each for cohort, each in decisions.items() if cohort != EVERYBODY]
        self._ordering = Ordering(self._cdns, decisions.get(EVERYBODY), cohorts)
        await decisions.stop()
        await self._tick()
        self._ticker = asyncio.create_task(self._tick_for_ever(), name="steering tick")

    def attach(self, app: faust.App) -> None:
        """Take what players and edges report."""
        serve(app, PLAYBACK_BANDWIDTH, self.handle, self._ports, chunked=True)
        serve(app, PLAYBACK_EVENTS, self.handle, self._ports, chunked=True)

    async def stop(self) -> None:
        """Stop looking at the clock."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        await self._settings.stop()

    def handle(self, record: Record[PlaybackEvent]) -> Coroutine[Any, Any, None] | None:
        """Take one event; returns the publishing of the order that it changed."""
        decision = self._ordering.take(record, self._ports.clock())
        return None if decision is None else self._publish(decision)

    async def _publish(self, decision: SteeringDecision) -> None:
        await self._ports.publisher.publish(STEERING_DECISIONS, decision.cohort, decision)
        log.info(
            "CDN order of %s: %s (%s)", decision.cohort, " > ".join(decision.order), decision.reason
        )

    async def _tick(self) -> None:
        now_ms = self._ports.clock()
        self._ordering.set(dict(self._settings.items()))
        decision = self._ordering.due(now_ms)
        if decision is not None:
            await self._publish(decision)
        if self._ordering.is_plan_due(now_ms):
            await self._plan(now_ms)

    async def _plan(self, now_ms: int) -> None:
        """The solver runs beside the loop, on values that nothing changes meanwhile."""
        problem = self._ordering.problem(now_ms)
        allocation = None if problem is None else await asyncio.to_thread(allocate, problem)
        for decision in self._ordering.fleet.settle(problem, allocation, now_ms):
            await self._publish(decision)

    async def _tick_for_ever(self) -> None:
        """Let penalties end when nothing is reported, and plan anew."""
        while True:
            await asyncio.sleep(TICK_MS / 1000)
            try:
                await self._tick()
            except PlayheadError as error:
                self._ports.halt(error)
                raise
