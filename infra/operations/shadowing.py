"""Where a shadow may run, and how it is given what it needs, which is little."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from agents.analytics.pace import Pace
from agents.analytics.windows import Window
from agents.license.plans import LicensePolicy
from agents.steering.outcomes import CdnOrigin
from infra.deployment import Deployment
from infra.operations.log_access import saying_why
from infra.operations.operator import require_keys
from infra.operations.replay import ReplayRefusedError
from infra.operations.shadow.bitrate import bitrate_rules
from infra.operations.shadow.license import license_rules
from infra.operations.shadow.log import ShadowLog
from infra.operations.shadow.policy import PolicyReport, simulate_policy
from infra.operations.shadow.reading import ShadowReader
from infra.operations.shadow.rules import Rules
from infra.operations.shadow.run import ShadowReport, ShadowRun
from infra.operations.shadow.steering import steering_rules
from infra.policies import policy_in_force
from streams.topics import BY_NAME


def _steering(deployment: Deployment) -> Rules:
    cdns = deployment.cdns()
    return steering_rules(tuple(CdnOrigin(name=cdn.name, url=cdn.base_url) for cdn in cdns))


RULES: Final[Mapping[str, Callable[[Deployment], Rules]]] = {
    "license": lambda deployment: license_rules(policy_in_force(deployment.settings)),
    "bitrate": lambda _: bitrate_rules(),
    "steering": _steering,
}
"""By group: the agents whose rules can run without hands."""


def rules_of(deployment: Deployment, topic_name: str, group: str) -> Rules | None:
    """The rules of a group; None where they cannot run without hands.

    Raises ReplayRefusedError where they can, but not on this topic.
    """
    make = RULES.get(group)
    if make is None:
        return None
    rules = make(deployment)
    names = [topic.name for topic in rules.windows]
    if topic_name not in names:
        raise ReplayRefusedError(
            f"the {group} rules decide on {' and '.join(names)}, not on {topic_name}"
        )
    return rules


async def simulate(
    deployment: Deployment,
    policy: LicensePolicy,
    window: Window,
    *,
    on_progress: Callable[[PolicyReport], None],
) -> PolicyReport:
    """The window of past license decisions under another policy; nothing is written."""
    broker = deployment.broker()
    reader = ShadowReader(broker, require_keys(deployment).state_key())
    with saying_why(broker):
        return await simulate_policy(reader, policy, window, on_progress)


async def shadow(
    deployment: Deployment,
    rules: Rules,
    topic_name: str,
    window: Window,
    *,
    dry_run: bool,
    warms_up: bool,
    rate_max: int,
    on_progress: Callable[[ShadowReport], None],
) -> ShadowReport:
    """The window of the topic through today's rules; their decisions into `<topic>.shadow`."""
    broker = deployment.broker()
    reader = ShadowReader(broker, require_keys(deployment).state_key())
    replication = deployment.replication
    log = None if dry_run else ShadowLog(broker, rules.decides, replication=replication)
    with saying_why(broker):
        if log is not None:
            await log.start()
        try:
            run = ShadowRun(reader, log, rules, on_progress, pace=Pace(rate_max))
            return await run.run(BY_NAME[topic_name], window, warms_up=warms_up)
        finally:
            if log is not None:
                await log.stop()
