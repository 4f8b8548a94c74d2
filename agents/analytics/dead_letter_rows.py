"""A dead letter as a row of `dead_letters_raw`; whatever it holds, it becomes one."""

from __future__ import annotations

from typing import Any, Final

from agents.analytics.moments import seconds
from agents.analytics.summary_rows import SummaryRow
from streams.reader import RawRecord

PAYLOAD_BYTES_MAX: Final = 64 * 1024
TEXT_BYTES_MAX: Final = 1024


class DeadLetterReader:
    """Reads one dead-letter topic."""

    def __init__(self, topic: str, source_topic: str) -> None:
        self._topic = topic
        self._source_topic = source_topic

    def read(self, raw: RawRecord) -> SummaryRow:
        """The record's row; nobody's headers or payload can stop it."""
        headers = dict(raw.headers or ())

        def text(name: str) -> str:
            return _text(headers.get(name, b""), TEXT_BYTES_MAX)

        def number(name: str, otherwise: int, most: int = 2**53) -> int:
            value = headers.get(name, b"")
            return min(int(value), most) if value.isdigit() and len(value) < 20 else otherwise

        columns: dict[str, Any] = {
            "topic": text("source-topic") or self._source_topic,
            "source_partition": number("source-partition", raw.partition, 0xFFFF),
            "source_offset": number("source-offset", raw.offset),
            "source_time": seconds(number("source-timestamp-ms", raw.timestamp)),
            "agent": text("agent"),
            "attempt": number("attempt", 0, 0xFFFF),
            "reason": text("reason"),
            "detail": text("detail"),
            "failed_at": seconds(number("failed-at-ms", raw.timestamp)),
            "key": _text(raw.key or b"", TEXT_BYTES_MAX),
            "payload": _text(raw.value or b"", PAYLOAD_BYTES_MAX),
            "payload_bytes": len(raw.value or b""),
            "kafka_topic": self._topic,
            "kafka_partition": raw.partition,
            "kafka_offset": raw.offset,
            "kafka_time": seconds(raw.timestamp),
        }
        return SummaryRow(offset=raw.offset, columns=columns)


def _text(value: bytes, bytes_max: int) -> str:
    return value[:bytes_max].decode("utf-8", "replace")
