"""Holds one partition's stretch of the log against the same stretch of the table; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from infra.operations.audit.entries import Break, Entry, break_at


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What may be absent of a partition without anybody having taken it away."""

    log_begin: int
    log_end: int
    stored_until: int
    """The table holds what lies before this offset: where its writer goes on."""
    log_kept_from_ms: int
    """Decisions older than this may have left the log."""
    table_kept_from_ms: int
    """Decisions older than this may have left the table."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What a stretch came to."""

    breaks: tuple[Break, ...]
    table_entries: tuple[Entry, ...]
    """Each offset once; what was added beside a genuine row is left out."""
    waiting: int
    """In the log, and not yet stored."""
    expired: int
    """In one place, and gone from the other by its retention."""


def compare(
    partition: int, log: Sequence[Entry], table: Iterable[Entry], bounds: Bounds
) -> Compared:
    """Both in the order of offsets, of the same range of offsets."""
    genuine = {entry.offset: entry for entry in log if not entry.is_forged}
    rows, breaks = _one_per_offset(partition, table, genuine)
    waiting = expired = 0
    repeated = _repeated(log)
    for offset, entry in genuine.items():
        row = rows.get(offset)
        if row is not None and row.hash != entry.hash:
            detail = "it differs from the record in the log"
            breaks.append(break_at("table", partition, offset, "changed", detail))
        if row is not None or offset in repeated:
            continue
        if offset >= bounds.stored_until:
            waiting += 1
        elif entry.at_ms < bounds.table_kept_from_ms:
            expired += 1
        else:
            detail = "the log has it, and it was stored"
            breaks.append(break_at("table", partition, offset, "missing", detail))
    in_log = {entry.offset for entry in log}
    for offset, row in rows.items():
        if offset in in_log:
            continue
        if offset < bounds.log_begin and row.at_ms < bounds.log_kept_from_ms:
            expired += 1
        else:
            breaks.append(_not_in_log(partition, row, bounds))
    ordered = tuple(rows[offset] for offset in sorted(rows))
    return Compared(breaks=tuple(breaks), table_entries=ordered, waiting=waiting, expired=expired)


def _one_per_offset(
    partition: int, table: Iterable[Entry], genuine: Mapping[int, Entry]
) -> tuple[dict[int, Entry], list[Break]]:
    """Rows by offset. A row that the table holds twice until it merges counts once."""
    rows: dict[int, Entry] = {}
    breaks = []
    for row in table:
        known = rows.get(row.offset)
        if known is None or known.hash == row.hash:
            rows[row.offset] = row
            continue
        twin = genuine.get(row.offset)
        if twin is not None and twin.hash == row.hash:
            rows[row.offset] = row
        detail = "the offset has two rows that differ"
        breaks.append(break_at("table", partition, row.offset, "added", detail))
    return rows, breaks


def _repeated(log: Sequence[Entry]) -> set[int]:
    """Offsets of records that were sent twice: the table keeps the first."""
    return {later.offset for earlier, later in pairwise(log) if earlier.hash == later.hash}


def _not_in_log(partition: int, row: Entry, bounds: Bounds) -> Break:
    if row.offset >= bounds.log_end:
        detail = (
            f"the table has it, but the log ends at {bounds.log_end}: its end was cut off, or the"
            " row was added, or the log was restored from a backup"
        )
    elif row.offset < bounds.log_begin:
        detail = f"the table has it, and it is too young for the log to begin at {bounds.log_begin}"
    else:
        detail = "the table has it, the log has not"
    return break_at("log", partition, row.offset, "missing", detail)
