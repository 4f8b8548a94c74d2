"""Reads rows out of the columns that are sent to ClickHouse."""

from __future__ import annotations

from typing import Any, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from agents.analytics.batches import Batch
from agents.analytics.chunks import Chunk
from agents.analytics.event_table import EventRows, EventTable, EventTableReader
from agents.analytics.native import Column, Numbers, Texts, Words
from tests.unit.analytics.playback import START_MS

TOPIC = "playback.events.v1"


class Raw(NamedTuple):
    value: bytes | None
    partition: int = 3
    offset: int = 7
    timestamp: int = START_MS
    key: bytes | None = b"k"
    headers: Any = ()


def a_chunk(*values: bytes | None, topic: str = TOPIC, first: int = 7) -> Chunk:
    batch = a_batch(*values, first=first)
    return Chunk(topic, 3, [batch], len(batch.data))


def a_batch(*values: bytes | None, first: int = 7) -> Batch:
    """As the broker keeps it, but for the time: it is the producer's."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 30,
    )
    for number, value in enumerate(values):
        builder.append(number, START_MS, b"k", value, [])
    data = first.to_bytes(8, "big") + bytes(builder.build())[8:]  # the broker gives the offsets
    return Batch(data, first, first + len(values), START_MS, START_MS)


def table_of(*values: bytes | None) -> EventTable:
    return EventTableReader().read(a_chunk(*values))


def rows_of(*values: bytes | None) -> list[dict[str, Any]]:
    """What is sent, row by row."""
    table = table_of(*values)
    return cells_of(table.rows()) if table.events is not None else []


def cells_of(rows: EventRows) -> list[dict[str, Any]]:
    columns = {name: _values(column) for name, column in rows.columns.items()}
    return [
        {name: values[number] for name, values in columns.items()}
        for number in range(len(rows.offsets))
    ]


def _values(column: Column) -> list[Any]:
    if isinstance(column, Words):
        return [column.words[code] for code in column.codes.tolist()]
    if isinstance(column, Texts):
        return list(column.texts)
    assert isinstance(column, Numbers)
    values: list[Any] = column.values.tolist()
    if column.nulls is None:
        return values
    return [
        None if is_null else value
        for value, is_null in zip(values, column.nulls.tolist(), strict=True)
    ]
