"""Every worker: a new agent is a function here and a line in WORKERS.

Each function imports its agent when it is called, so that a process holds only its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agents.shell import Agent
from infra.deployment import Deployment
from infra.event_loop import run_process
from infra.logs import configure_logging
from infra.wiring.parts import AGENT_DELIVERY_TIMEOUT_MS, Parts, open_parts
from infra.worker import WorkerPlan, run_worker
from infra.workers import FIRST_INSTANCE, place_of


def _account(parts: Parts) -> Agent:
    from agents.account.agent import AccountAgent
    from agents.account.outbox import Outbox
    from agents.account.passwords import Argon2Passwords
    from agents.account.rules import DAY_MS, AccountRules
    from agents.account.vault import Vault
    from infra.policies import policy_in_force

    settings = parts.deployment.settings
    plans = frozenset(policy_in_force(settings).plans)
    return AccountAgent(
        parts.ports,
        parts.identities.identity("account"),
        parts.desk("account"),
        vault=Vault(parts.keys.account_key()),
        passwords=Argon2Passwords(),
        mail=Outbox(parts.deployment.home / "outbox"),
        rules=AccountRules(plans=plans, trial_ms=settings.trial_days * DAY_MS),
    )


def _license(parts: Parts) -> Agent:
    from agents.license.agent import LicenseAgent
    from agents.license.key_encryption import KeyEncryptionKeys
    from infra.keys.packagers import read_packagers
    from infra.keys.providers import key_providers
    from infra.policies import policy_in_force
    from streams.clock import steady_clock

    settings = parts.deployment.settings
    return LicenseAgent(
        parts.ports,
        parts.identities.identity("license"),
        parts.desk("license"),
        keks=KeyEncryptionKeys(
            key_providers(settings, parts.keys.kek_root),
            clock=steady_clock,
            inherited=parts.keys.inherited_keks(),
        ),
        policy=policy_in_force(settings),
        packagers=read_packagers(
            settings.packager_certificates, allows_plain=settings.packager_plain_keys
        ),
    )


def _bitrate(parts: Parts) -> Agent:
    from agents.bitrate.agent import BitrateAgent

    return BitrateAgent(parts.ports, instance=parts.instance)


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


def _fold(parts: Parts) -> Agent:
    from agents.analytics.fold_agent import FoldAgent

    return FoldAgent(parts.ports)


def _analytics(parts: Parts) -> Agent:
    from agents.analytics.agent import AnalyticsAgent

    url = parts.deployment.clickhouse_url()
    return AnalyticsAgent(parts.ports, url, instance=parts.instance)


WORKERS: Final[dict[str, Callable[[Parts], Agent]]] = {
    "account": _account,
    "license": _license,
    "bitrate": _bitrate,
    "steering": _steering,
    "recommendation": _recommendation,
    "catalog": _catalog,
    "fold": _fold,
    "analytics": _analytics,
}


def run_worker_process(
    name: str, deployment: Deployment, *, instance: str = FIRST_INSTANCE
) -> None:
    """One worker in this process, until SIGTERM; its instance has a folder of its own."""
    settings = deployment.settings
    configure_logging(name, settings.log_format, settings.log_level)
    run_process(_run_worker(name, deployment, instance))


async def _run_worker(name: str, deployment: Deployment, instance: str) -> None:
    place = place_of(name, instance)
    async with open_parts(
        deployment,
        f"playhead-{place}",
        delivery_timeout_ms=AGENT_DELIVERY_TIMEOUT_MS,
        holds_state_key=True,
        instance=instance,
    ) as parts:
        plan = WorkerPlan(
            name=name,
            broker=parts.broker,
            data_folder=deployment.home / "faust" / place,
            announce=deployment.run / f"worker-{place}.json",
            instance=instance,
        )
        agent = WORKERS[name](parts)
        await run_worker(plan, agent, parts.publisher, parts.registry)
