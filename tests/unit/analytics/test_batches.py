"""Batches as the consumer hands them out."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords

from agents.analytics.batches import BatchConsumer, _KeptRecords
from tests.unit.analytics.tables import a_batch

PLACE = TopicPartition("t", 3)


class Fetched(FetchResult):
    """Of a partition that is assigned, or was."""

    is_assigned = True

    def check_assignment(self, tp: TopicPartition) -> bool:
        return self.is_assigned

    def _update_position(self) -> None:
        pass


@pytest.mark.parametrize("is_assigned", [True, False])
def test_what_was_fetched_is_let_go_with_its_last_batch(is_assigned: bool) -> None:
    """Without the garbage collector, which has no idea how much memory bytes take."""
    data = bytes(a_batch(b"1", b"2", first=40).data) + bytes(a_batch(b"3", first=42).data)
    consumer: Any = object.__new__(BatchConsumer)
    consumer._closed = True
    consumer._fetcher = SimpleNamespace(
        _records={PLACE: fetched(data, is_assigned=is_assigned)},
        _notify=lambda _: None,
        _wait_consume_future=None,
    )
    kept = weakref.ref(consumer._fetcher._records[PLACE]._partition_records)
    gc.disable()
    try:
        found = consumer._drain()
        assert [b.first for b in found.get(PLACE, [])] == ([40, 42] if is_assigned else [])
        del found
        assert kept() is None
    finally:
        gc.enable()


def fetched(data: bytes, *, is_assigned: bool) -> Fetched:
    records = PartitionRecords(PLACE, _KeptRecords(data), None, 40, None, None, True, 0)
    result = Fetched(PLACE, assignment=None, partition_records=records, backoff=0)
    result.is_assigned = is_assigned
    return result
