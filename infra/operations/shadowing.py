"""Where a shadow may run, and how it is given what it needs, which is little."""

from __future__ import annotations

from collections.abc import Callable

from agents.analytics.pace import Pace
from agents.analytics.windows import Window
from agents.license.plans import POLICY
from infra.deployment import Deployment
from infra.operations.log_access import saying_why
from infra.operations.operator import require_keys
from infra.operations.replay import ReplayRefusedError
from infra.operations.shadow.log import ShadowLog
from infra.operations.shadow.reading import ShadowReader
from infra.operations.shadow.run import ShadowReport, ShadowRun
from streams.topics import LICENSE_DECISIONS, LICENSE_REQUESTS


def check_shadow(topic_name: str, group: str) -> bool:
    """Whether the group has rules that can run without hands.

    Raises ReplayRefusedError where it has, but not for this topic.
    """
    if group != "license":
        return False
    if topic_name != LICENSE_REQUESTS.name:
        raise ReplayRefusedError(
            f"the license rules decide on {LICENSE_REQUESTS.name}, not on {topic_name}"
        )
    return True


async def shadow(
    deployment: Deployment,
    window: Window,
    *,
    dry_run: bool,
    warms_up: bool,
    rate_max: int,
    on_progress: Callable[[ShadowReport], None],
) -> ShadowReport:
    """The window's license requests through today's rules, into `license.decisions.v1.shadow`."""
    broker = deployment.broker()
    reader = ShadowReader(broker, require_keys(deployment).state_key())
    replication = deployment.replication
    log = None if dry_run else ShadowLog(broker, LICENSE_DECISIONS, replication=replication)
    with saying_why(broker):
        if log is not None:
            await log.start()
        try:
            run = ShadowRun(reader, log, POLICY, on_progress, pace=Pace(rate_max))
            return await run.run(window, warms_up=warms_up)
        finally:
            if log is not None:
                await log.stop()
