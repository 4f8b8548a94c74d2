"""The decisions of `decisions_raw` as entries: what ClickHouse holds of `license.decisions.v1`.

The table keeps each record's bytes, partition and offset, so that the chain is recomputed from it
alone. Rows are read without FINAL: one that was stored twice is the same row, and a row that was
put beside another must not hide behind a merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from infra.clickhouse.client import open_client, parse_url, saying_why
from infra.operations.audit.entries import Entry, read_entry
from streams.topics import LICENSE_DECISIONS

RANGES: Final = """
SELECT kafka_partition, min(kafka_offset), max(kafka_offset) + 1
FROM decisions_raw WHERE topic = {topic:String} GROUP BY kafka_partition
"""
STRETCH: Final = """
SELECT kafka_offset, payload, toUnixTimestamp64Milli(at)
FROM decisions_raw
WHERE topic = {topic:String} AND kafka_partition = {partition:UInt16}
  AND kafka_offset >= {first:UInt64} AND kafka_offset < {until:UInt64}
ORDER BY kafka_offset, payload
"""


def open_table(url: str) -> DecisionTable:
    """The table at this address. Raises PlayheadError."""
    with saying_why():
        return DecisionTable(open_client(parse_url(url)))


class DecisionTable:
    """Reads the table; each call blocks."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def ranges(self) -> dict[int, tuple[int, int]]:
        """By partition its first offset and the one after its last. Raises PlayheadError."""
        rows = self._query(RANGES)
        return {int(partition): (int(first), int(end)) for partition, first, end in rows}

    def stretch(self, partition: int, first: int, until: int) -> list[Entry]:
        """Rows from `first` to before `until`, in order. Raises PlayheadError."""
        rows = self._query(STRETCH, partition=partition, first=first, until=until)
        return [
            read_entry(int(offset), payload.encode(), at_ms=int(at_ms))
            for offset, payload, at_ms in rows
        ]

    def _query(self, text: str, **parameters: int) -> Sequence[Sequence[Any]]:
        with saying_why():
            found = self._client.query(
                text, parameters={"topic": LICENSE_DECISIONS.name, **parameters}
            )
            return found.result_rows
