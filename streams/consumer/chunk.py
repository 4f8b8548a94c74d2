"""Chunks of records, which Faust takes for one message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from faust.types import TP, ConsumerMessage

from streams.records import FetchedRecord


class Chunk(ConsumerMessage):
    """Consecutive records of one partition; `offset` is the last one's.

    One message to Faust, so that its per-message machinery runs once for all of them.
    """

    __slots__ = ("is_void", "records")

    records: Sequence[FetchedRecord]
    """At least one, in log order."""
    is_void: bool
    """The positions were taken back: these records come again, in another chunk."""


def message_of(tp: TP, record: FetchedRecord, generation_id: int) -> ConsumerMessage:
    """One record as one message."""
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        record.offset,
        record.timestamp / 1000,
        None,
        record.headers,
        record.key,
        record.value,
        None,
        tp=tp,
        generation_id=generation_id,
    )


def chunks_of(
    tp: TP, records: Sequence[FetchedRecord], records_max: int, generation_id: int
) -> Iterator[Chunk]:
    """The records cut into chunks of at most `records_max`."""
    for start in range(0, len(records), records_max):
        part = records[start : start + records_max]
        chunk = Chunk(
            tp.topic,
            tp.partition,
            part[-1].offset,
            part[-1].timestamp / 1000,
            None,
            (),
            None,
            b"",
            None,
            tp=tp,
            generation_id=generation_id,
        )
        chunk.records, chunk.is_void = part, False
        yield chunk


def records_in(message: Any) -> Sequence[FetchedRecord]:
    """The records that a Faust message stands for: a chunk's, or itself."""
    if isinstance(message, Chunk):
        return message.records
    return (
        FetchedRecord(
            message.partition,
            message.offset,
            round(message.timestamp * 1000),
            message.key,
            message.value,
            message.headers or (),
        ),
    )
