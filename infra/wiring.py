"""Builds every component from the settings and passes it what it needs; nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from agents.shell import Agent, ShellPorts
from infra.deployment import Deployment
from infra.keys.folder import KeyFolder
from infra.logs import configure_logging
from infra.worker import WorkerPlan, halt, run_worker
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
    directory: Directory
    registry: CollectorRegistry
    ports: ShellPorts

    def desk(self, role: Role) -> Desk:
        """The counter of an agent that answers requests."""
        return Desk(self.publisher, self.keys.identity(role), self.directory, clock=self.clock)

    def asker(self, role: Role) -> Asker:
        """The asking side, for the gateway and the packager."""
        return Asker(
            self.broker,
            self.publisher,
            self.keys.identity(role),
            self.directory,
            clock=self.clock,
        )


@asynccontextmanager
async def open_parts(
    deployment: Deployment, client_id: str, *, delivery_timeout_ms: int, holds_state_key: bool
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
    await publisher.start()
    try:
        await enrolled.start()
        yield Parts(
            deployment=deployment,
            broker=broker,
            clock=system_clock,
            publisher=publisher,
            keys=keys,
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
        )
    finally:
        await enrolled.stop()
        await publisher.stop()


# -- agents: a new one is a function here and a line in WORKERS ---------------------------------
# Each imports its agent when it is built, so that a worker process holds only its own.


def _account(parts: Parts) -> Agent:
    from agents.account.agent import AccountAgent
    from agents.account.outbox import Outbox
    from agents.account.passwords import Argon2Passwords
    from agents.account.rules import DAY_MS, AccountRules
    from agents.account.vault import Vault
    from agents.license.plans import POLICY

    trial_days = parts.deployment.settings.trial_days
    return AccountAgent(
        parts.ports,
        parts.keys.identity("account"),
        parts.desk("account"),
        vault=Vault(parts.keys.account_key()),
        passwords=Argon2Passwords(),
        mail=Outbox(parts.deployment.home / "outbox"),
        rules=AccountRules(plans=frozenset(POLICY.plans), trial_ms=trial_days * DAY_MS),
    )


def _license(parts: Parts) -> Agent:
    from agents.license.agent import LicenseAgent
    from agents.license.plans import POLICY

    return LicenseAgent(
        parts.ports,
        parts.keys.identity("license"),
        parts.desk("license"),
        key_provider=parts.keys.key_provider(),
        policy=POLICY,
    )


def _bitrate(parts: Parts) -> Agent:
    from agents.bitrate.agent import BitrateAgent

    return BitrateAgent(parts.ports)


def _steering(parts: Parts) -> Agent:
    from agents.steering.agent import SteeringAgent
    from agents.steering.outcomes import CdnOrigin

    cdns = parts.deployment.cdns()
    return SteeringAgent(
        parts.ports, tuple(CdnOrigin(name=cdn.name, url=cdn.base_url) for cdn in cdns)
    )


def _recommendation(parts: Parts) -> Agent:
    from agents.recommendation.agent import RecommendationAgent

    return RecommendationAgent(parts.ports, parts.desk("recommendation"))


def _catalog(parts: Parts) -> Agent:
    from agents.catalog.agent import CatalogAgent
    from agents.catalog.soundness import CatalogLimits

    return CatalogAgent(parts.ports, parts.desk("catalog"), CatalogLimits())


WORKERS: Final[dict[str, Callable[[Parts], Agent]]] = {
    "account": _account,
    "license": _license,
    "bitrate": _bitrate,
    "steering": _steering,
    "recommendation": _recommendation,
    "catalog": _catalog,
}


def run_worker_process(name: str, deployment: Deployment) -> None:
    """One worker in this process, until SIGTERM."""
    settings = deployment.settings
    configure_logging(name, settings.log_format, settings.log_level)
    asyncio.run(_run_worker(name, deployment))


async def _run_worker(name: str, deployment: Deployment) -> None:
    async with open_parts(
        deployment,
        f"playhead-{name}",
        delivery_timeout_ms=AGENT_DELIVERY_TIMEOUT_MS,
        holds_state_key=True,
    ) as parts:
        plan = WorkerPlan(
            name=name,
            broker=parts.broker,
            data_folder=deployment.home / "faust" / name,
            announce=deployment.run / f"worker-{name}.json",
        )
        agent = WORKERS[name](parts)
        await run_worker(plan, agent, parts.publisher, parts.registry, parts.clock)
