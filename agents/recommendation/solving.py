"""Solves the linear models beside the agent's loop, whenever enough was learned.

It begins once the log is read, so that what a restart rebuilds does not depend on how long a solve
took; until the first is done the other experts rank alone. NumPy lets go of the interpreter while
it solves: a thread is enough.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from agents.recommendation.model import TitleModel
from agents.recommendation.ridge import solve

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""Between looks whether a solve is due."""


class Solver:
    """A task of the agent: at most one solve at a time, of whichever model is live."""

    def __init__(self, model: Callable[[], TitleModel], look_s: float = LOOK_S) -> None:
        self._model = model
        self._look_s = look_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        assert self._task is None
        self._task = asyncio.create_task(self._solve_when_due())

    async def stop(self) -> None:
        """Look no more; a solve that runs is not waited for, and its result is dropped."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def _solve_when_due(self) -> None:
        while True:
            model = self._model()
            if model.is_solve_due:
                weights = await asyncio.to_thread(solve, model.snapshot())
                model.adopt(weights)
                log.info("%d titles solved", len(weights.titles))
            await asyncio.sleep(self._look_s)
