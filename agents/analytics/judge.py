"""Stops an arm that harms: reads how the arms do, decides, and publishes the experiment without it.

What it judges by is the view `experiment_results`: one row per session, however often its summary
was delivered, so that a session counts once and nothing is to be kept here over a restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

from aiokafka.errors import KafkaError

from agents.analytics.comparison import Measured, compare
from agents.analytics.store import Store, quoted
from agents.shell import ShellPorts
from schemas.errors import PlayheadError
from schemas.experiments import Experiment
from streams.experiments import running, stop_arms
from streams.topics import EXPERIMENTS
from streams.view import View

log = logging.getLogger(__name__)

LOOK_S: Final = 15.0

Results = Mapping[str, Mapping[str, Measured]]
"""By experiment and arm."""


def harmful(experiment: Experiment, measured: Mapping[str, Measured]) -> dict[str, str]:
    """The running arms whose metric is lower than the control's beyond doubt, and why.

    The experiment's alpha is shared by its arms (Bonferroni).
    """
    control, *others = experiment.arms
    reasons: dict[str, str] = {}
    for arm in others:
        if arm.stopped_at_ms is not None or not {arm.name, control.name} <= measured.keys():
            continue
        bounds = compare(measured[arm.name], measured[control.name], experiment.alpha / len(others))
        if bounds is not None and bounds.upper < 0:
            reasons[arm.name] = (
                f"{experiment.metric} is lower than the control's by {-bounds.upper:.3g} to"
                f" {-bounds.lower:.3g}, after {measured[arm.name].count} sessions"
            )
    return reasons


class Judge:
    """Looks at every running experiment again and again."""

    def __init__(self, ports: ShellPorts, store: Store) -> None:
        self._ports = ports
        self._store = store
        self._experiments: View[Experiment] = View(
            ports.broker, EXPERIMENTS, clock=ports.clock, state_key=ports.state_key
        )
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the experiments, and begin."""
        await self._experiments.start()
        self._looking = asyncio.create_task(self._look_for_ever(), name="judge")
        self._looking.add_done_callback(self._on_done)

    async def stop(self) -> None:
        """Leave the log."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        await self._experiments.stop()

    async def look(self) -> None:
        """Judge once. Raises PlayheadError or KafkaError where ClickHouse or the log is away."""
        names = [each.name for each in running(self._experiments)]
        if not names:
            return
        results = await read_results(self._store, names)
        await self._experiments.reach_end(0)  # an operator may have changed it meanwhile
        for experiment in running(self._experiments):
            reasons = harmful(experiment, results.get(experiment.name, {}))
            if reasons:
                stopped = stop_arms(experiment, reasons, self._ports.clock())
                await self._ports.publisher.publish(EXPERIMENTS, experiment.name, stopped)
                log.warning("experiment %s: stopped %s", experiment.name, reasons)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except (PlayheadError, KafkaError) as error:
                log.warning("experiments are judged later: %s", error)

    def _on_done(self, looking: asyncio.Task[None]) -> None:
        if not looking.cancelled() and (error := looking.exception()) is not None:
            self._ports.halt(error)


async def read_results(store: Store, names: Collection[str]) -> Results:
    """What ClickHouse knows of these experiments' arms. Raises StoreUnavailableError."""
    rows = await store.query(
        "SELECT experiment, arm, session_count, qoe_mean, qoe_variance FROM experiment_results"  # noqa: S608 - quoted
        f" WHERE experiment IN ({','.join(map(quoted, names))}) AND session_count > 1"
    )
    found: dict[str, dict[str, Measured]] = {}
    for experiment, arm, count, mean, variance in rows:
        measured = Measured(count=count, mean=mean, variance=variance)
        found.setdefault(experiment, {})[arm] = measured
    return found
