"""Chunks by column are what their records are one by one."""

from __future__ import annotations

from datetime import UTC
from typing import Any, get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.analytics.event_columns import EventColumns
from agents.analytics.event_rows import EventReader
from agents.analytics.event_table import BLOCK_ROWS, EventTable
from schemas import codec
from schemas.events import Heartbeat, Play, PlaybackError, PlaybackEvent, Seek, Stamp
from tests.unit.analytics.playback import SESSION_ID, TimeLine
from tests.unit.analytics.tables import a_chunk, cells_of, rows_of, table_of

STAMPS = st.none() | st.builds(
    Stamp,
    received_at_ms=st.integers(0, 2**45),
    via=st.sampled_from(("sdk", "cmcd")),
    region=st.sampled_from(("", "DE")),
    asn=st.integers(-1, 2**33),
    canary=st.booleans(),
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "session_id": st.sampled_from((SESSION_ID, "01980000-0000-4000-8000-000000000002")),
    "at": st.datetimes(timezones=st.just(UTC)),
    "sequence": st.integers(0, 2**53),
    "extra": st.none() | st.dictionaries(st.text("ab", max_size=3), st.integers(), max_size=2),
    "stamp": STAMPS,
    "reason": st.sampled_from(("ended", "")),
    "playback_rate": st.none() | st.floats(0, 4, width=32),
    "bitrate_kbps": st.integers(0, 10**8),
    "is_starved": st.booleans(),
    "is_fatal": st.booleans(),
    "name": st.text(min_size=1, max_size=4),
}
TEXTS = frozenset(("id", "source", "cdn", "object_type", "url", "code", "message", "value"))


def a_field(name: str) -> st.SearchStrategy[Any]:
    otherwise = st.text(max_size=4) if name in TEXTS else st.none() | st.integers(0, 999)
    return FIELDS.get(name, otherwise)


EVENTS = st.sampled_from(get_args(PlaybackEvent)).flatmap(
    lambda kind: st.builds(
        kind, **{field.name: a_field(field.name) for field in msgspec.structs.fields(kind)}
    )
)


def one_by_one(*values: bytes) -> list[dict[str, Any]]:
    """The rows as `EventReader` alone reads them."""
    chunk, reader, columns = a_chunk(*values), EventReader(), EventColumns()
    records = list(chunk.records())
    columns.add(records, [reader.read(record) for record in records])
    return cells_of(EventTable(chunk, columns.events(), ()).rows())


@settings(deadline=None, max_examples=60)  # a loaded machine is no counterexample
@given(st.lists(EVENTS, min_size=1, max_size=12))
def test_by_column_is_as_one_by_one(events: list[Any]) -> None:
    values = [codec.encode(event) for event in events]
    assert rows_of(*values) == one_by_one(*values)


@settings(deadline=None, max_examples=60)  # a loaded machine is no counterexample
@given(st.lists(EVENTS, min_size=2, max_size=8))
def test_the_hash_of_an_event_does_not_depend_on_its_neighbors(events: list[Any]) -> None:
    values = [codec.encode(event) for event in events]
    together = [row["payload_hash"] for row in rows_of(*values)]
    assert together == [rows_of(value)[0]["payload_hash"] for value in values]


def test_what_cannot_be_read_is_told_and_its_neighbors_are_rows() -> None:
    line = TimeLine()
    good = [codec.encode(line.at(number, Heartbeat)) for number in range(BLOCK_ROWS + 20)]
    no_session = codec.encode(msgspec.structs.replace(line.at(0, Play), session_id="x" * 36))
    bad = {
        3: (b"\xff", "not-json"),
        7: (None, "empty"),
        8: (good[0] + b"\n" + good[1], "not-json"),
        9: (b"", "not-json"),
        BLOCK_ROWS + 2: (good[0].replace(b'"sequence":0', b'"sequence":-1'), "schema"),
        BLOCK_ROWS + 4: (good[0].replace(b'"via":"sdk"', b'"via":"post"'), "schema"),
        BLOCK_ROWS + 5: (no_session, "session-id"),
        BLOCK_ROWS + 6: (good[0].replace(b"heartbeat", b"interaction"), "schema"),
        BLOCK_ROWS + 7: (good[0].replace(b"heartbeat", b"bitrate_changed"), "schema"),
    }
    values: list[bytes | None] = [*good]
    for position, (value, _) in bad.items():
        values[position] = value
    table = table_of(*values)
    told = {raw.offset - 7: error.reason for raw, error in table.unreadable}
    assert told == {position: reason for position, (_, reason) in bad.items()}
    rows = cells_of(table.rows())
    assert [row["kafka_offset"] - 7 for row in rows] == [
        position for position in range(len(values)) if position not in bad
    ]
    assert all(row["sequence"] == row["kafka_offset"] - 7 for row in rows)


def test_a_field_of_another_type_is_kept_in_extra() -> None:
    """A newer writer's seek may say what only heartbeats say today."""
    line = TimeLine()
    beat, seek = line.at(1, Heartbeat, buffer_length_ms=5), line.at(2, Seek, to_ms=9)
    newer = codec.encode(seek).replace(b'"to_ms"', b'"buffer_length_ms":7,"to_ms"')
    first, second = rows_of(codec.encode(beat), newer)
    assert (first["buffer_length_ms"], first["extra"]) == (5, "")
    assert (second["buffer_length_ms"], second["to_ms"]) == (None, 9)
    assert second["extra"] == '{"buffer_length_ms":7}'


def test_an_error_is_fatal_unless_it_says_otherwise() -> None:
    line = TimeLine()
    fatal, not_fatal = line.at(1, PlaybackError), line.at(2, PlaybackError, is_fatal=False)
    rows = rows_of(*map(codec.encode, (fatal, not_fatal, line.at(3, Play))))
    assert [row["is_fatal"] for row in rows] == [True, False, None]


def test_a_part_of_the_rows_is_these_rows() -> None:
    line = TimeLine()
    values = [codec.encode(line.at(n, Seek, id=f"{n}", to_ms=n or None)) for n in range(9)]
    rows = table_of(*values).rows()
    assert cells_of(rows.part([1, 4, 8])) == [cells_of(rows)[n] for n in (1, 4, 8)]
    assert rows.part(range(9)).body() == rows.body()
