"""Ends sessions that nobody ended: idle for too long, or over their time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import suppress
from functools import partial

from agents.license.ledger import Ledger
from agents.license.plans import LicensePolicy
from agents.license.registrar import Registrar
from agents.license.upkeep import lapse
from agents.shell import ShellPorts
from schemas.errors import RetryableError

log = logging.getLogger(__name__)
INTERVAL_S = 10
ENDED_PER_ROUND_MAX = 1_000
PRUNED_PER_ROUND_MAX = 5_000


class Sweeper:
    """Looks at the sessions of this worker's accounts now and then."""

    def __init__(
        self,
        ports: ShellPorts,
        ledger: Ledger,
        registrar: Registrar,
        policy: LicensePolicy,
    ) -> None:
        self._ports = ports
        self._ledger = ledger
        self._registrar = registrar
        self._policy = policy
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._sweep_for_ever(), name="license sweeper")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await self.sweep()
            except RetryableError as error:
                self._ports.halt(error)
                return

    async def sweep(self) -> None:
        """End what is over now, and forget what is long over."""
        now_ms = self._ports.clock()
        idle = (
            running
            for running in self._ledger.idle(now_ms, self._policy.idle_ms)
            if self._registrar.owns(running.session.account_id)
        )
        for running in list(itertools.islice(idle, ENDED_PER_ROUND_MAX)):
            await self._registrar.end(running, "lapse", partial(lapse, running, self._policy))
        self._ledger.prune(now_ms, households_max=PRUNED_PER_ROUND_MAX)
