"""What every component is built from: the log, its keys, who is enrolled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from agents.shell import ShellPorts
from infra.deployment import Deployment
from infra.keys.folder import KeyFolder
from infra.keys.live import LiveIdentities
from infra.worker import halt
from infra.workers import FIRST_INSTANCE
from schemas.envelope import Enrollment, Role
from streams.broker import Broker
from streams.clock import Clock, system_clock
from streams.identity import Directory
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from streams.replies import Desk
from streams.requests import Asker
from streams.topics import SIGNING_KEYS
from streams.view import View

AGENT_DELIVERY_TIMEOUT_MS: Final = 60_000
"""An agent waits this long for a broker that is away, then halts and starts again."""
GATEWAY_DELIVERY_TIMEOUT_MS: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every component is built from."""

    deployment: Deployment
    broker: Broker
    clock: Clock
    publisher: Publisher
    keys: KeyFolder
    identities: LiveIdentities
    directory: Directory
    registry: CollectorRegistry
    ports: ShellPorts
    instance: str
    """Of a worker, among those of its group."""

    def desk(self, role: Role) -> Desk:
        """The counter of an agent that answers requests."""
        identity = self.identities.identity(role)
        return Desk(self.publisher, identity, self.directory, clock=self.clock)

    def asker(self, role: Role, publisher: Publisher | None = None) -> Asker:
        """The asking side, for the gateway and the packager; `publisher`: other than its own."""
        return Asker(
            self.broker,
            publisher or self.publisher,
            self.identities.identity(role),
            self.directory,
            clock=self.clock,
        )


@asynccontextmanager
async def open_parts(
    deployment: Deployment,
    client_id: str,
    *,
    delivery_timeout_ms: int,
    holds_state_key: bool,
    instance: str = FIRST_INSTANCE,
) -> AsyncIterator[Parts]:
    """Connect to the log and read who is enrolled."""
    broker, keys = deployment.broker(), KeyFolder(deployment.keys)
    state_key = keys.state_key() if holds_state_key else None
    publisher = Publisher(
        broker,
        client_id=client_id,
        state_key=state_key,
        delivery_timeout_ms=delivery_timeout_ms,
    )
    enrolled: View[Enrollment] = View(broker, SIGNING_KEYS, clock=system_clock)
    registry = CollectorRegistry()
    identities = LiveIdentities(keys)
    await publisher.start()
    following = asyncio.create_task(identities.follow(), name="identities")
    try:
        await enrolled.start()
        yield Parts(
            deployment=deployment,
            broker=broker,
            clock=system_clock,
            publisher=publisher,
            keys=keys,
            identities=identities,
            directory=Directory(enrolled, keys.root_public(), clock=system_clock),
            registry=registry,
            ports=ShellPorts(
                broker=broker,
                publisher=publisher,
                clock=system_clock,
                metrics=WorkerMetrics(registry),
                halt=halt,
                state_key=state_key,
            ),
            instance=instance,
        )
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await enrolled.stop()
        await publisher.stop()
