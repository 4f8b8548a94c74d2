"""A session's summary as a row of `sessions_raw`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from agents.analytics.arms import arms_word
from agents.analytics.moments import seconds
from schemas.errors import InvalidMessageError
from schemas.watching import SessionSummary
from streams.reader import RawRecord, RecordReader
from streams.topics import SESSION_SUMMARIES

_INSTANTS: Final = {
    "started_at_ms": "started_at",
    "last_event_at_ms": "last_event_at",
    "last_received_at_ms": "last_received_at",
    "ended_at_ms": "ended_at",
}


class SummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row and its place."""

    offset: int
    columns: dict[str, Any]


class SummaryReader:
    """Reads the session fold's topic."""

    def __init__(self) -> None:
        self._reader = RecordReader(SESSION_SUMMARIES)

    def read(self, raw: RawRecord) -> SummaryRow:
        """The record's row. Raises InvalidMessageError where it can be none."""
        summary = self._reader.read(raw).value
        if not isinstance(summary, SessionSummary):
            raise InvalidMessageError("schema", "no session summary")
        columns = {k: v for k, v in msgspec.structs.asdict(summary).items() if v is not None}
        for field, column in _INSTANTS.items():
            at_ms = columns.pop(field, None)
            if at_ms is not None:
                columns[column] = seconds(at_ms)
        columns |= {
            "arms": arms_word(summary.arms),
            "topic": SESSION_SUMMARIES.name,
            "kafka_partition": raw.partition,
            "kafka_offset": raw.offset,
            "kafka_time": seconds(raw.timestamp),
        }
        return SummaryRow(offset=raw.offset, columns=columns)
