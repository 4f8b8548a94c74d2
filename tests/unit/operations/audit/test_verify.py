"""The log held against the table, and both against a checkpoint: what is told, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from infra.operations.audit.checkpoint import Anchor, Checkpoint
from infra.operations.audit.comparing import Bounds
from infra.operations.audit.entries import Entry
from infra.operations.audit.verify import BREAKS_TOLD_MAX, STRETCH_OFFSETS, Audit, Audited
from schemas.envelope import Enrollment
from tests.builders import NOW_MS
from tests.unit.operations.audit.records import DAY_MS, bounds, changed, entries, some_payloads

COUNT = 20
CHAIN = entries(some_payloads(COUNT))


class FakeLog:
    """Entries that were read already."""

    def __init__(self, chain: list[Entry]) -> None:
        self._rest = chain

    async def until(self, offset: int) -> list[Entry]:
        given = [entry for entry in self._rest if entry.offset < offset]
        self._rest = [entry for entry in self._rest if entry.offset >= offset]
        return given


class FakeTable:
    """Rows in memory; remembers how much was asked for at a time."""

    def __init__(self, rows: list[Entry]) -> None:
        self._rows = sorted(rows, key=lambda row: (row.offset, row.hash))
        self.largest = 0

    def stretch(self, partition: int, first: int, until: int) -> list[Entry]:
        assert partition == 0
        self.largest = max(self.largest, until - first)
        return [row for row in self._rows if first <= row.offset < until]


async def audited(
    log: list[Entry],
    table: list[Entry] | None,
    limits: Bounds | None = None,
    *,
    anchor: Anchor | None = None,
    now_ms: int = NOW_MS + COUNT,
) -> Audited:
    audit = Audit(now_ms, a_checkpoint(anchor) if anchor else None, lambda _done, _total: None)
    ends = [entry.offset + 1 for entry in log]
    limits = limits or bounds(max(ends, default=0), begin=log[0].offset if log else 0)
    rows = None
    if table:
        offsets = [row.offset for row in table]
        rows = (min(offsets), max(offsets) + 1)
    stored = FakeTable(table) if table is not None else None
    await audit.partition(0, FakeLog(log), stored, rows, limits)
    return audit.result(reads_table=table is not None)


def a_checkpoint(anchor: Anchor) -> Checkpoint:
    enrollment = Enrollment(
        key_id="operator-1",
        role="operator",
        signing_key=b"",
        sealing_key=b"",
        enrolled_at_ms=0,
        not_after_ms=0,
    )
    return Checkpoint(
        format=1, namespace="", at_ms=NOW_MS, anchors=(anchor,), enrollment=enrollment
    )


async def told(
    log: list[Entry],
    table: list[Entry] | None,
    limits: Bounds | None = None,
    *,
    anchor: Anchor | None = None,
) -> list[tuple[str, str, int]]:
    report = (await audited(log, table, limits, anchor=anchor)).report
    assert report.is_whole == (report.breaks == ())
    return [(b.where, b.kind, b.offset) for b in report.breaks]


async def test_both_places_whole() -> None:
    result = await audited(CHAIN, CHAIN)
    report = result.report
    assert report.is_whole
    assert report.table is not None
    assert (report.log.decisions, report.table.decisions) == (COUNT, COUNT)
    assert (report.granted, report.denied) == (13, 7)
    assert [(a.offset, a.count) for a in result.anchors] == [(COUNT - 1, COUNT)]


@pytest.mark.parametrize("at", [0, 7, COUNT - 1])
async def test_a_row_that_was_changed_is_found_in_the_table_alone(at: int) -> None:
    rows = [*CHAIN[:at], changed(CHAIN[at]), *CHAIN[at + 1 :]]
    assert await told(CHAIN, rows) == [("table", "changed", at)]


@pytest.mark.parametrize("at", [0, 7, COUNT - 1])
async def test_a_row_that_was_taken_away_is_found(at: int) -> None:
    assert await told(CHAIN, CHAIN[:at] + CHAIN[at + 1 :]) == [("table", "missing", at)]


async def test_rows_that_were_added_are_found() -> None:
    beside = changed(CHAIN[4])
    assert await told(CHAIN, [*CHAIN, beside]) == [("table", "added", 4)]
    beyond = Entry(COUNT, "f" * 64, CHAIN[-1].hash, NOW_MS)
    assert await told(CHAIN, [*CHAIN, beyond]) == [("log", "missing", COUNT)]


@pytest.mark.parametrize("at", [3, COUNT - 2])
async def test_a_record_of_the_log_that_was_changed_is_told_in_both_places(at: int) -> None:
    log = [*CHAIN[:at], changed(CHAIN[at]), *CHAIN[at + 1 :]]
    assert ("log", "changed", at) in await told(log, CHAIN)


async def test_what_is_not_stored_yet_is_said_and_is_no_break() -> None:
    report = (await audited(CHAIN, CHAIN[:15], bounds(COUNT, stored_until=15))).report
    assert report.is_whole
    assert report.waiting == 5
    assert await told(CHAIN, CHAIN[:15]) == [("table", "missing", at) for at in range(15, COUNT)]


async def test_what_retention_removed_is_said_and_is_no_break() -> None:
    """The log's beginning is old enough to be gone; the table has it still, and the other way."""
    old = entries(some_payloads(COUNT, start_ms=NOW_MS - 500 * DAY_MS))
    report = (await audited(old[6:], old, bounds(COUNT, begin=6))).report
    assert report.is_whole
    assert report.expired == 6
    assert report.log.removed_before == {0: 6}
    report = (await audited(old, old[:3] + old[9:], bounds(COUNT))).report
    assert report.is_whole
    assert report.expired == 6


async def test_a_log_whose_beginning_went_too_early_is_told() -> None:
    assert await told(CHAIN[6:], CHAIN, bounds(COUNT, begin=6)) == [
        ("log", "missing", at) for at in range(6)
    ]


async def test_a_log_that_ends_before_what_was_stored_is_told() -> None:
    found = await told(CHAIN[:15], CHAIN[:15], bounds(15, stored_until=COUNT))
    assert found == [("log", "missing", 15)]


def an_anchor(at: int, **changes: object) -> Anchor:
    anchor = Anchor(
        partition=0,
        offset=at,
        hash=CHAIN[at].hash,
        at_ms=CHAIN[at].at_ms,
        first_offset=0,
        count=at + 1,
    )
    return replace(anchor, **changes)


@given(st.integers(0, COUNT - 1))
async def test_a_checkpoint_holds_while_nothing_was_done(at: int) -> None:
    assert await told(CHAIN, CHAIN, anchor=an_anchor(at)) == []


async def test_an_end_that_was_cut_off_everywhere_shows_against_a_checkpoint() -> None:
    cut = CHAIN[:15]
    assert await told(cut, cut) == []
    assert await told(cut, cut, anchor=an_anchor(COUNT - 1)) == [("log", "missing", COUNT - 1)]


async def test_a_record_written_anew_with_all_keys_shows_against_a_checkpoint() -> None:
    anew = entries(some_payloads(COUNT, start_ms=NOW_MS + 5))
    assert await told(anew, anew) == []
    found = await told(anew, anew, anchor=an_anchor(COUNT - 1))
    assert found == [("log", "changed", COUNT - 1), ("table", "changed", COUNT - 1)]


async def test_a_checkpoint_older_than_what_is_kept_is_said() -> None:
    anchor = an_anchor(2, at_ms=NOW_MS - 500 * DAY_MS)
    old = [replace(entry, at_ms=NOW_MS - 500 * DAY_MS) for entry in CHAIN[:6]]
    log = [*old, *CHAIN[6:]][6:]
    report = (await audited(log, log, bounds(COUNT, begin=6), anchor=anchor)).report
    assert report.is_whole
    assert report.anchors_expired == 1


async def test_memory_is_bounded_and_stretches_do_not_break_the_chain() -> None:
    payloads = entries(some_payloads(STRETCH_OFFSETS * 2 + 10))
    table = FakeTable(payloads)
    audit = Audit(NOW_MS, None, lambda _done, _total: None)
    await audit.partition(0, FakeLog(payloads), table, (0, len(payloads)), bounds(len(payloads)))
    assert audit.result(reads_table=True).report.is_whole
    assert table.largest == STRETCH_OFFSETS


async def test_of_very_many_breaks_the_first_are_told() -> None:
    chain = entries(some_payloads(BREAKS_TOLD_MAX * 2))
    report = (await audited(chain, [])).report
    assert len(report.breaks) == BREAKS_TOLD_MAX
    assert report.break_count == len(chain)
    assert report.breaks[0].offset == 0
