"""The path as a whole: what was accepted is stored, and the canary came through."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from infra.canary.probe import ProbeReport
from infra.canary.run import read_report
from infra.deployment import Deployment
from infra.operations.doctor.finding import Finding, bad, good
from infra.operations.ledger import Imbalance, judge_ledger, read_ledger
from infra.operations.moments import instant, span

LEDGER_MINUTES: Final = 180
FAILURES_MAX: Final = 1
"""In a row: one may be a restart."""
AGE_MS_MAX: Final = 300_000


async def check_ledger(deployment: Deployment, _: int) -> list[Finding]:
    """Everything that was accepted in the last hours is stored, or known to be set aside."""
    lines = await asyncio.to_thread(read_ledger, deployment, minutes=LEDGER_MINUTES)
    return judge_path(judge_ledger(lines))


def judge_path(wrong: Iterable[Imbalance]) -> list[Finding]:
    """One finding for each topic that misses something."""
    found = [
        bad(
            "ledger",
            f"{each.missing} accepted events of {each.topic} are missing"
            f" since {instant(each.first_minute_ms)}",
            f"playhead replay {each.topic} --from {instant(each.first_minute_ms)}",
        )
        for each in wrong
    ]
    return found or [good("ledger", "what was accepted is stored")]


async def check_canary(deployment: Deployment, now_ms: int) -> list[Finding]:
    """The last probe."""
    if not deployment.settings.canary:
        return [good("canary", "off: PLAYHEAD_CANARY=0")]
    return [judge_canary(read_report(deployment), now_ms)]


def judge_canary(report: ProbeReport | None, now_ms: int) -> Finding:
    """Bad where it failed twice in a row, or tells nothing any more."""
    mend = "its log says more: logs/canary.log"
    if report is None:
        return good("canary", "has not probed yet")
    age_ms = now_ms - report.at_ms
    if age_ms > AGE_MS_MAX:
        return bad("canary", f"last probed {span(age_ms)} ago", mend)
    if report.failures_in_row > FAILURES_MAX:
        says = f"failed {report.failures_in_row} times in a row: {report.error}"
        return bad("canary", says, mend)
    if report.is_idle:
        return good("canary", "waits for a title")
    return good(
        "canary",
        f"{span(age_ms)} ago: license in {report.license_ms} ms, event queryable after"
        f" {report.event_ms} ms",
    )
