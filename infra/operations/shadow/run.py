"""A window of license requests through the rules of today, beside what was decided then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from agents.analytics.pace import Pace
from agents.analytics.windows import Span, Window
from agents.license.plans import LicensePolicy
from infra.operations.shadow.license import LicenseShadow, ShadowKnowledge, key_tiers_of
from infra.operations.shadow.log import ShadowLog
from infra.operations.shadow.reading import ShadowReader
from schemas.licenses import LicenseDecision
from streams.topics import (
    ACCOUNTS,
    CATALOG_TITLES,
    CONTENT_KEYS,
    LICENSE_DECISIONS,
    LICENSE_REQUESTS,
    SESSION_LEASES,
)

DIFFERENCES_MAX: Final = 1_000
LATE_MS: Final = 60_000
"""A request is decided no later than this after it was written."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A request that today's rules answer otherwise."""

    request_id: str
    account_id: str
    action: str
    was: str
    """`granted ok`, `denied tier`, …; empty: nothing was recorded."""
    would_be: str


class ShadowReport(msgspec.Struct, kw_only=True):
    """What came of it; read = decided + nothing to decide."""

    total: int
    read: int = 0
    warmed_up: int = 0
    """Records that were folded before the window."""
    decided: int = 0
    granted: int = 0
    agreed: int = 0
    differed: int = 0
    unrecorded: int = 0
    """Decided here, but nothing was recorded then: late, forged, or lost."""
    unreadable: int = 0
    topic: str = ""
    differences: list[Difference] = []


class ShadowRun:
    """One run; `on_progress` is told after every record or so."""

    def __init__(
        self,
        reader: ShadowReader,
        shadow_log: ShadowLog | None,
        policy: LicensePolicy,
        on_progress: Callable[[ShadowReport], None],
        *,
        pace: Pace,
    ) -> None:
        self._reader = reader
        self._log = shadow_log
        self._policy = policy
        self._on_progress = on_progress
        self._pace = pace

    async def run(self, window: Window, *, warms_up: bool) -> ShadowReport:
        """All partitions, one after the other. Without a log (a dry run) nothing is written."""
        requests = await self._reader.spans(LICENSE_REQUESTS, window)
        leases = await self._reader.spans(SESSION_LEASES, window)
        report = ShadowReport(total=sum(s.end - s.start for s in requests.values()))
        report.topic = self._log.topic_name if self._log is not None else ""
        knowledge = ShadowKnowledge(
            accounts=await self._reader.newest(ACCOUNTS),
            titles=await self._reader.newest(CATALOG_TITLES),
            key_tiers=key_tiers_of(await self._reader.newest(CONTENT_KEYS)),
        )
        for partition in sorted(requests):
            shadow = LicenseShadow(knowledge, self._policy)
            first_ms = await self._first_ms(requests[partition])
            if warms_up:
                await self._warm_up(shadow, partition, first_ms, report)
            recorded = await self._recorded(partition, first_ms)
            sources = (
                (SESSION_LEASES, leases.get(partition)),
                (LICENSE_REQUESTS, requests[partition]),
            )
            async for record in self._reader.merged(sources):
                decision = shadow.take(record)
                if record.topic == LICENSE_REQUESTS.name:
                    report.read += 1
                    await self._pace.spend(1)
                if decision is not None:
                    await self._tell(partition, decision, recorded, report)
                self._on_progress(report)
        if self._log is not None:
            await self._log.flush()
        report.unreadable = self._reader.unreadable_count
        return report

    async def _first_ms(self, span: Span) -> int:
        """The broker's time of the first request."""
        async for record in self._reader.records(LICENSE_REQUESTS, span):
            return record.timestamp_ms
        return 0

    async def _warm_up(
        self, shadow: LicenseShadow, partition: int, first_ms: int, report: ShadowReport
    ) -> None:
        """Fold everything that the log still has of before."""
        before = Window(to_ms=first_ms)
        sources = [
            (topic, (await self._reader.spans(topic, before)).get(partition))
            for topic in (LICENSE_DECISIONS, SESSION_LEASES)
        ]
        async for record in self._reader.merged(sources):
            shadow.warm_up(record)
            report.warmed_up += 1

    async def _recorded(self, partition: int, first_ms: int) -> dict[tuple[str, str], str]:
        """What was decided then, by action and request."""
        since = Window(from_ms=first_ms)
        span = (await self._reader.spans(LICENSE_DECISIONS, since)).get(partition)
        return {
            (record.value.action, record.value.request_id): _said(record.value)
            async for record in self._reader.records(LICENSE_DECISIONS, span)
        }

    async def _tell(
        self,
        partition: int,
        decision: LicenseDecision,
        recorded: dict[tuple[str, str], str],
        report: ShadowReport,
    ) -> None:
        was, would_be = recorded.get((decision.action, decision.request_id), ""), _said(decision)
        report.decided += 1
        report.granted += decision.outcome == "granted"
        report.agreed += was == would_be
        report.unrecorded += not was
        report.differed += bool(was) and was != would_be
        if was != would_be and len(report.differences) < DIFFERENCES_MAX:
            report.differences.append(
                Difference(
                    request_id=decision.request_id,
                    account_id=decision.account_id,
                    action=decision.action,
                    was=was,
                    would_be=would_be,
                )
            )
        if self._log is not None:
            headers: dict[str, Any] = {"recorded": was.encode()}
            await self._log.write(partition, decision.account_id, decision, headers)


def _said(decision: LicenseDecision) -> str:
    return f"{decision.outcome} {decision.reason}"
