"""Rebuilds the title model from the log beside the live one, and swaps it in one assignment.

An operator's order is a record of `recommendation.models.v1`. A worker that starts reads it before
the watches and learns accordingly at once, so an order outlives any kill. A worker that runs reads
the log a second time, in slices between its answers, solves, then takes what the live model learned
meanwhile; until then the live model answers, and a rebuild that fails leaves it as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError

from agents.recommendation.ridge import solve
from agents.recommendation.tastes import Tastes
from agents.shell import ShellPorts
from schemas.recommendations import ModelStart
from schemas.watching import Watch
from streams.records import Record
from streams.topics import RECOMMENDATION_MODELS, WATCHES
from streams.view import SLICE_PAUSE_S, SLICE_RECORDS_MAX, View

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
"""Between looks whether a rebuild was ordered."""
REACH_TIMEOUT_MS: Final = 60_000


class _Taken(NamedTuple):
    """A watch that the live model learned during a rebuild."""

    watch: Watch
    partition: int
    offset: int


class Rebuilder:
    """Follows the orders of operators; at most one rebuild at a time."""

    def __init__(self, ports: ShellPorts, tastes: Tastes, watches: View[Watch]) -> None:
        self._ports = ports
        self._tastes = tastes
        self._watches = watches
        self._ordered = tastes.start
        self._taken: list[_Taken] | None = None
        """Since the rebuild began; None: there is none."""
        self._task: asyncio.Task[None] | None = None
        self._orders: View[ModelStart] = View(
            ports.broker,
            RECOMMENDATION_MODELS,
            clock=ports.clock,
            state_key=ports.state_key,
            on_record=self._order,
            keep=False,
        )

    async def start(self) -> None:
        """Read the order that counts; called before the live model reads its first watch."""
        await self._orders.start()
        self._tastes.start = self._ordered

    def follow(self) -> None:
        """Rebuild from now on whenever it is ordered."""
        self._task = asyncio.create_task(self._rebuild_when_ordered())

    async def stop(self) -> None:
        """Follow no more; what a rebuild has so far is dropped."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._orders.stop()

    def note(self, watch: Watch, partition: int, offset: int) -> None:
        """The live model has just learned it."""
        if self._taken is not None:
            self._taken.append(_Taken(watch, partition, offset))

    def _order(self, record: Record[ModelStart | None]) -> None:
        if record.value is not None:
            self._ordered = record.value

    async def _rebuild_when_ordered(self) -> None:
        while True:
            if self._ordered != self._tastes.start:
                try:
                    await self._rebuild(self._ordered)
                except KafkaError as error:
                    log.warning("a rebuild begins anew, the broker is away: %s", error)
                finally:
                    self._taken = None
            await asyncio.sleep(LOOK_S)

    async def _rebuild(self, start: ModelStart) -> None:
        began_ms = self._ports.clock()
        fresh = Tastes(start=start, beside=self._tastes)
        self._taken = []
        await self._read(fresh)
        if fresh.model.is_solve_due:
            fresh.model.adopt(await asyncio.to_thread(solve, fresh.model.snapshot()))
        # It may have read on to where the live model has not come yet.
        if not await self._watches.wait_until(
            lambda: self._tastes.has_reached(fresh), REACH_TIMEOUT_MS
        ):
            log.warning("a rebuild begins anew: the live model does not reach the log's end")
            return
        while self._taken:
            part, self._taken = (
                self._taken[:SLICE_RECORDS_MAX],
                self._taken[SLICE_RECORDS_MAX:],
            )
            for taken in part:
                fresh.take(*taken)
            await asyncio.sleep(SLICE_PAUSE_S)
        self._tastes.take_model(fresh)
        took_ms = self._ports.clock() - began_ms
        log.info("%s is live, rebuilt in %d ms", self._tastes.model_version, took_ms)

    async def _read(self, fresh: Tastes) -> None:
        """The log up to its end now."""

        def take(record: Record[Watch | None]) -> None:
            if record.value is not None:
                fresh.take(record.value, record.partition, record.offset)

        log_again: View[Watch] = View(
            self._ports.broker,
            WATCHES,
            clock=self._ports.clock,
            on_record=take,
            keep=False,
            gives_way=True,
        )
        try:
            await log_again.start()
        finally:
            await log_again.stop()
