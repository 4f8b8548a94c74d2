"""A window of the log through an agent's rules of today, beside what was decided then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, Final

import msgspec

from agents.analytics.pace import Pace
from agents.analytics.windows import Span, Window
from infra.operations.shadow.log import ShadowLog
from infra.operations.shadow.reading import ShadowReader
from infra.operations.shadow.rules import Decided, Rules, Shadow
from streams.topic import Topic

DIFFERENCES_MAX: Final = 1_000
LATE_MS: Final = 60_000
"""What a record caused is decided no later than this after it was written."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that today's rules decide otherwise."""

    subject: str
    """An account, a session, or a cohort."""
    cause: str
    was: str
    """`granted ok`, `1800 kbit/s throughput`, …; empty: nothing was recorded."""
    would_be: str


class ShadowReport(msgspec.Struct, kw_only=True):
    """What came of it."""

    total: int
    """Records of the window."""
    read: int = 0
    warmed_up: int = 0
    """Records that were folded before the window."""
    decided: int = 0
    agreed: int = 0
    differed: int = 0
    unrecorded: int = 0
    """Decided here, but nothing was recorded then: late, forged, lost, or not called for."""
    unreadable: int = 0
    topic: str = ""
    differences: list[Difference] = []


class ShadowRun:
    """One run; `on_progress` is told after every record or so."""

    def __init__(
        self,
        reader: ShadowReader,
        shadow_log: ShadowLog | None,
        rules: Rules,
        on_progress: Callable[[ShadowReport], None],
        *,
        pace: Pace,
    ) -> None:
        self._reader = reader
        self._log = shadow_log
        self._rules = rules
        self._on_progress = on_progress
        self._pace = pace

    async def run(self, topic: Topic, window: Window, *, warms_up: bool) -> ShadowReport:
        """The topic's window. Without a log (a dry run) nothing is written."""
        spans = await self._reader.spans(topic, window)
        report = ShadowReport(total=sum(s.end - s.start for s in spans.values()))
        report.topic = self._log.topic_name if self._log is not None else ""
        make = await self._rules.learn(self._reader)
        apart = [{number: span} for number, span in sorted(spans.items())]
        together = [spans] if spans else []
        for part in apart if self._rules.is_partitioned else together:
            await self._decide(make(), topic, part, report, warms_up=warms_up)
        if self._log is not None:
            await self._log.flush()
        report.unreadable = self._reader.unreadable_count
        return report

    async def _decide(
        self,
        shadow: Shadow,
        topic: Topic,
        spans: Mapping[int, Span],
        report: ShadowReport,
        *,
        warms_up: bool,
    ) -> None:
        """On all of these partitions, by the broker's time; of the other topics the same time."""
        first_ms, last_ms = await self._reader.times(topic, spans)
        partitions = spans.keys() if self._rules.is_partitioned else None
        if warms_up:
            before = Window(to_ms=first_ms)
            remembered = [
                source
                for each in self._rules.remembers
                for source in await self._sources(each, before, partitions)
            ]
            async for record in self._reader.merged(remembered):
                shadow.warm_up(record)
                report.warmed_up += 1
        recorded = await self._recorded(first_ms, last_ms, partitions)
        sources: list[tuple[Topic, Span]] = []
        for each in self._rules.reads:
            if each is topic:
                sources += [(each, span) for span in spans.values()]
            else:
                same = Window(from_ms=first_ms, to_ms=last_ms + 1)
                sources += await self._sources(each, same, partitions)
        async for record in self._reader.merged(sources):
            decisions = shadow.take(record)
            if record.topic == topic.name:
                report.read += 1
                await self._pace.spend(1)
            for decision in decisions:
                await self._tell(decision, recorded, report)
            self._on_progress(report)
        for decision in shadow.rest():
            await self._tell(decision, recorded, report)

    async def _sources(
        self, topic: Topic, window: Window, partitions: Collection[int] | None
    ) -> list[tuple[Topic, Span]]:
        spans = await self._reader.spans(topic, window)
        return [(topic, s) for n, s in spans.items() if partitions is None or n in partitions]

    async def _recorded(
        self, first_ms: int, last_ms: int, partitions: Collection[int] | None
    ) -> dict[Hashable, Decided]:
        """What was decided then."""
        since = Window(from_ms=first_ms, to_ms=last_ms + LATE_MS)
        found: dict[Hashable, Decided] = {}
        for topic, span in await self._sources(self._rules.decides, since, partitions):
            async for record in self._reader.records(topic, span):
                decided = self._rules.describe(record.value)
                found[decided.identity] = decided
        return found

    async def _tell(
        self, decision: Any, recorded: Mapping[Hashable, Decided], report: ShadowReport
    ) -> None:
        decided = self._rules.describe(decision)
        then = recorded.get(decided.identity)
        was, would_be = then.said if then is not None else "", decided.said
        report.decided += 1
        report.agreed += was == would_be
        report.unrecorded += not was
        report.differed += bool(was) and was != would_be
        if was != would_be and len(report.differences) < DIFFERENCES_MAX:
            report.differences.append(
                Difference(subject=decided.subject, cause=decided.cause, was=was, would_be=would_be)
            )
        if self._log is not None:
            await self._log.write(decided.subject, decision, {"recorded": was.encode()})
