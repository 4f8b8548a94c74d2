"""Follows the chain of every partition through Kafka and ClickHouse at once, stretch by stretch.

Memory is bounded by STRETCH_OFFSETS entries of each place, whatever the age of the deployment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from typing import Final, Protocol

import msgspec
from aiokafka import TopicPartition

from infra.clickhouse.migration_files import Target
from infra.deployment import Deployment
from infra.operations.audit.checkpoint import Anchor, AnchorCheck, Checkpoint
from infra.operations.audit.comparing import Bounds, compare
from infra.operations.audit.entries import Break, Entry, Where
from infra.operations.audit.log_reading import LogPartition
from infra.operations.audit.table_reading import DecisionTable, open_table
from infra.operations.audit.walk import Walk
from infra.operations.log_access import SINK_GROUP, reading, saying_why
from infra.operations.moments import instant
from infra.operations.operator import require_keys
from streams.administering import administering, committed_offsets
from streams.topics import LICENSE_DECISIONS

STRETCH_OFFSETS: Final = 2_000
BREAKS_TOLD_MAX: Final = 100
_DAY_MS: Final = 86_400_000
TABLE_DAYS: Final = Target(database="").raw_days

Progress = Callable[[int, int], None]
"""Offsets looked at, of so many."""


class PlaceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one place holds."""

    decisions: int = 0
    oldest_at_ms: int | None = None
    removed_before: dict[int, int] = {}
    """By partition the first offset that is kept, where earlier decisions are gone: retention
    removes them, and only a checkpoint or the other place can tell whether somebody else did."""


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit found."""

    log: PlaceReport
    table: PlaceReport | None
    """None: only the log was read."""
    granted: int
    denied: int
    void: int
    """In the log, and never counted: another worker was first."""
    waiting: int
    """In the log, and not yet stored in the table."""
    expired: int
    """In one of the two, and gone from the other by its retention."""
    anchors_expired: int
    """Partitions whose anchor in the checkpoint is older than what is kept."""
    checkpoint_at_ms: int | None
    break_count: int
    breaks: tuple[Break, ...]
    """The first of them, in the order of partitions and offsets."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found changed, missing or added."""
        return self.break_count == 0


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """The report, and what a checkpoint may be signed over."""

    report: AuditReport
    anchors: tuple[Anchor, ...]


async def audit_decisions(
    deployment: Deployment,
    *,
    now_ms: int,
    checkpoint: Checkpoint | None = None,
    reads_table: bool = True,
    on_progress: Progress = lambda done, total: None,
) -> Audited:
    """Read everything up to the end as it is now. Raises PlayheadError where a place is away."""
    audit = Audit(now_ms, checkpoint, on_progress)
    state_key = require_keys(deployment).state_key()
    broker = deployment.broker()
    physical = broker.physical(LICENSE_DECISIONS.name)
    places = [TopicPartition(physical, number) for number in range(LICENSE_DECISIONS.partitions)]
    with saying_why(broker), ExitStack() as stack:
        async with administering(broker) as admin:
            stored = await committed_offsets(admin, broker, SINK_GROUP)
        table: DecisionTable | None = None
        if reads_table:
            table = stack.enter_context(closing(open_table(deployment.reader_url())))
        async with reading(broker) as consumer:
            # The rows are looked for first: what is stored meanwhile is in the log by then.
            ranges = await asyncio.to_thread(table.ranges) if table is not None else {}
            begins = await consumer.beginning_offsets(places)
            ends = await consumer.end_offsets(places)
            audit.expect(sum(ends[place] - begins[place] for place in places))
            for place in places:
                bounds = Bounds(
                    log_begin=begins[place],
                    log_end=ends[place],
                    stored_until=stored.get(place, 0),
                    log_kept_from_ms=audit.log_kept_from_ms,
                    table_kept_from_ms=audit.table_kept_from_ms,
                )
                log = LogPartition(consumer, place, ends[place], state_key)
                await log.start()
                rows = ranges.get(place.partition)
                await audit.partition(place.partition, log, table, rows, bounds)
    return audit.result(reads_table=reads_table)


class Log(Protocol):
    """A partition of the log."""

    async def until(self, offset: int) -> list[Entry]:
        """The entries before this offset that were not given yet."""


class Table(Protocol):
    """The table."""

    def stretch(self, partition: int, first: int, until: int) -> list[Entry]:
        """Rows from `first` to before `until`, in order; blocks."""


class _Course:
    """One place of one partition: its chain, and its anchor where a checkpoint has one."""

    def __init__(
        self, where: Where, partition: int, kept_from_ms: int, anchor: AnchorCheck | None
    ) -> None:
        self.walk = Walk(where, partition, kept_from_ms=kept_from_ms)
        self._anchor = anchor
        self._kept_from_ms = kept_from_ms

    def take(self, entries: Iterable[Entry]) -> list[Break]:
        found = []
        for entry in entries:
            found += self.walk.take(entry)
            first = self.walk.first
            if self._anchor is not None and first is not None:
                count = self.walk.count
                found += self._anchor.look(entry, first_offset=first.offset, count=count)
        return found

    def end(self, *, stored_until: int | None = None) -> list[Break]:
        found = self.walk.end()
        if self._anchor is not None:
            found += self._anchor.end(kept_from_ms=self._kept_from_ms, stored_until=stored_until)
        return found

    @property
    def has_expired_anchor(self) -> bool:
        return self._anchor is not None and self._anchor.has_expired(
            kept_from_ms=self._kept_from_ms
        )


class Audit:
    """Adds up what the partitions come to."""

    def __init__(self, now_ms: int, checkpoint: Checkpoint | None, on_progress: Progress) -> None:
        self.log_kept_from_ms = now_ms - (LICENSE_DECISIONS.retention_ms or now_ms)
        self.table_kept_from_ms = now_ms - TABLE_DAYS * _DAY_MS
        self._checkpoint = checkpoint
        self._anchors_of = {a.partition: a for a in checkpoint.anchors} if checkpoint else {}
        self._on_progress = on_progress
        self._total = self._done = 0
        self._breaks: list[Break] = []
        self._walks: dict[Where, list[Walk]] = {"log": [], "table": []}
        self._waiting = self._expired = self._anchors_expired = 0
        self._anchors: list[Anchor] = []

    def expect(self, total: int) -> None:
        """So many offsets are in the log."""
        self._total = total

    async def partition(
        self,
        number: int,
        log: Log,
        table: Table | None,
        rows: tuple[int, int] | None,
        bounds: Bounds,
    ) -> None:
        """Read one partition in both places, from the oldest that either has."""
        in_log = self._course("log", number, self.log_kept_from_ms)
        in_table = self._course("table", number, self.table_kept_from_ms)
        first, until = bounds.log_begin, bounds.log_end
        if bounds.stored_until > until:
            self._note([_cut_off(number, bounds)])
        if rows is not None:
            first, until = min(first, rows[0]), max(until, rows[1])
        for start in range(first, until, STRETCH_OFFSETS):
            end = min(start + STRETCH_OFFSETS, until)
            entries = await log.until(end)
            self._note(in_log.take(entries))
            if table is not None:
                found = await asyncio.to_thread(table.stretch, number, start, end)
                compared = compare(number, entries, found, bounds)
                self._note(compared.breaks)
                # What the log still has was compared with it: gaps there are told already.
                walked = in_table.take(compared.table_entries)
                self._note(b for b in walked if b.kind != "missing" or b.offset < bounds.log_begin)
                self._waiting += compared.waiting
                self._expired += compared.expired
            self._done += max(0, min(end, bounds.log_end) - max(start, bounds.log_begin))
            self._on_progress(self._done, self._total)
        self._end(number, in_log, in_table if table is not None else None, bounds)

    def _end(self, number: int, log: _Course, table: _Course | None, bounds: Bounds) -> None:
        self._note(log.end())
        self._walks["log"].append(log.walk)
        self._anchors_expired += log.has_expired_anchor
        if table is not None:
            ended = table.end(stored_until=bounds.stored_until)
            self._note(b for b in ended if b.kind != "missing" or b.offset < bounds.log_begin)
            self._walks["table"].append(table.walk)
        first, last = log.walk.first, log.walk.last
        if first is not None and last is not None:
            self._anchors.append(
                Anchor(
                    partition=number,
                    offset=last.offset,
                    hash=last.hash,
                    at_ms=last.at_ms,
                    first_offset=first.offset,
                    count=log.walk.count,
                )
            )

    def _course(self, where: Where, number: int, kept_from_ms: int) -> _Course:
        anchor = self._anchors_of.get(number)
        check = None
        if anchor is not None and self._checkpoint is not None:
            check = AnchorCheck(where, anchor, told_at=instant(self._checkpoint.at_ms))
        return _Course(where, number, kept_from_ms, check)

    def _note(self, breaks: Iterable[Break]) -> None:
        self._breaks += breaks

    def result(self, *, reads_table: bool) -> Audited:
        """When every partition was read."""
        by_place = {(b.where, b.partition, b.offset, b.kind): b for b in reversed(self._breaks)}
        breaks = sorted(by_place.values(), key=lambda b: (b.partition, b.offset, b.where))
        in_log = self._walks["log"]
        report = AuditReport(
            log=_place(in_log),
            table=_place(self._walks["table"]) if reads_table else None,
            granted=sum(walk.outcomes["granted"] for walk in in_log),
            denied=sum(walk.outcomes["denied"] for walk in in_log),
            void=sum(walk.void_count for walk in in_log),
            waiting=self._waiting,
            expired=self._expired,
            anchors_expired=self._anchors_expired,
            checkpoint_at_ms=self._checkpoint.at_ms if self._checkpoint else None,
            break_count=len(breaks),
            breaks=tuple(breaks[:BREAKS_TOLD_MAX]),
        )
        return Audited(report=report, anchors=tuple(self._anchors))


def _cut_off(partition: int, bounds: Bounds) -> Break:
    return Break(
        where="log",
        partition=partition,
        offset=bounds.log_end,
        until_offset=bounds.stored_until - 1,
        kind="missing",
        detail="they were stored in ClickHouse once: the log's end was cut off",
    )


def _place(walks: Sequence[Walk]) -> PlaceReport:
    firsts = {walk.partition: walk.first for walk in walks if walk.first is not None}
    return PlaceReport(
        decisions=sum(walk.count for walk in walks),
        oldest_at_ms=min((first.at_ms for first in firsts.values()), default=None),
        removed_before={number: first.offset for number, first in firsts.items() if first.previous},
    )
