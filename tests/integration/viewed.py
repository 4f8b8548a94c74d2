"""A small whole deployment on which a viewer with known secrets has played."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from infra.faults.stage import WITHOUT_EDGES
from infra.operations.log_access import CONSUMER_GROUPS
from infra.sandbox import Sandbox, running_sandbox
from infra.secrecy.viewing import TIMEOUT_S, Viewer
from streams.clock import system_clock
from streams.lag import read_lags
from tests.integration.broker import runtime_folder
from tests.integration.commands import Operator, eventually


@dataclass(frozen=True)
class Viewed:
    """The deployment, its operator, and who watched."""

    sandbox: Sandbox
    operator: Operator
    viewer: Viewer
    http: aiohttp.ClientSession

    async def until_stored(self) -> None:
        """Everything that was said is in ClickHouse."""
        broker = self.sandbox.deployment.broker()

        async def is_quiet() -> bool:
            lags = await read_lags(broker, CONSUMER_GROUPS, system_clock())
            return not any(lag.consumer_lag for lag in lags)

        await eventually(is_quiet, 120)


@asynccontextmanager
async def a_viewed_deployment(home: Path) -> AsyncIterator[Viewed]:
    """Everything but edges; the viewer has played once."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        running_sandbox(home, only=WITHOUT_EDGES, runtime=runtime_folder()) as sandbox,
        aiohttp.ClientSession(timeout=timeout) as http,
    ):
        viewer = Viewer(sandbox, http)
        await viewer.play()
        viewed = Viewed(sandbox, Operator(sandbox), viewer, http)
        await viewed.until_stored()
        yield viewed
