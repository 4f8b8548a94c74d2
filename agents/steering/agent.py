"""The steering agent's shell: outcomes in, an order of CDNs out, nothing decided here.

One worker of it sees every partition; its window is worthless after a restart, and what must
last (order, version, running penalties) is read back from its last decision.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

import faust

from agents.shell import ShellPorts, serve
from agents.steering.outcomes import CdnOrigin, cdn_of, outcome_of
from agents.steering.policy import decide, initial_state, observe
from schemas.errors import PlayheadError
from schemas.events import PlaybackEvent
from schemas.steering import SteeringDecision
from streams.records import Record
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS, STEERING_DECISIONS
from streams.view import View

log = logging.getLogger(__name__)

EVERYBODY: Final = "*"
TICK_MS: Final = 1_000
SESSIONS_MAX: Final = 20_000
IDENTITIES_MAX: Final = 20_000
"""Errors remembered, so that one that is sent again counts once."""


class SteeringAgent:
    """Watches the configured CDNs and publishes their order on change."""

    name = "steering"

    def __init__(self, ports: ShellPorts, cdns: tuple[CdnOrigin, ...]) -> None:
        """`cdns` is in order of preference, names unique, at least one."""
        assert cdns, "steering needs a CDN"
        assert len({cdn.name for cdn in cdns}) == len(cdns), "names of CDNs are unique"
        self._ports = ports
        self._cdns = cdns
        self._state = initial_state(tuple(cdn.name for cdn in cdns), None)
        self._last_cdns: OrderedDict[str, str] = OrderedDict()
        self._errors: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the last decision and publish the order where it is another one."""
        decisions: View[SteeringDecision] = View(
            self._ports.broker, STEERING_DECISIONS, clock=self._ports.clock
        )
        await decisions.start()
        last = decisions.get(EVERYBODY)
        await decisions.stop()
        self._state = initial_state(tuple(cdn.name for cdn in self._cdns), last)
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

    def handle(self, record: Record[PlaybackEvent]) -> Coroutine[Any, Any, None] | None:
        """Take one event; returns the publishing of the order that it changed."""
        event = record.value
        last_cdn = self._last_cdns.get(event.session_id)
        outcome = outcome_of(event, self._cdns, record.timestamp_ms, last_cdn)
        self._remember_cdn(event)
        if outcome is None or (outcome.is_error and self._is_repeated(event)):
            return None
        self._state = observe(self._state, outcome)
        return self._decide() if outcome.is_error else None

    def _decide(self) -> Coroutine[Any, Any, None] | None:
        self._state, decision = decide(self._state, self._ports.clock())
        return None if decision is None else self._publish(decision)

    async def _publish(self, decision: SteeringDecision) -> None:
        await self._ports.publisher.publish(STEERING_DECISIONS, decision.cohort, decision)
        log.info("CDN order: %s (%s)", " > ".join(decision.order), decision.reason)

    def _remember_cdn(self, event: PlaybackEvent) -> None:
        cdn = cdn_of(event, self._cdns)
        if cdn is None:
            return
        self._last_cdns[event.session_id] = cdn
        self._last_cdns.move_to_end(event.session_id)
        if len(self._last_cdns) > SESSIONS_MAX:
            self._last_cdns.popitem(last=False)

    def _is_repeated(self, event: PlaybackEvent) -> bool:
        identity = (event.session_id, event.source, event.sequence)
        if identity in self._errors:
            return True
        self._errors[identity] = None
        if len(self._errors) > IDENTITIES_MAX:
            self._errors.popitem(last=False)
        return False

    async def _tick(self) -> None:
        work = self._decide()
        if work is not None:
            await work

    async def _tick_for_ever(self) -> None:
        """Let penalties end when nothing is reported."""
        while True:
            await asyncio.sleep(TICK_MS / 1000)
            try:
                await self._tick()
            except PlayheadError as error:
                self._ports.halt(error)
                raise
