"""How far the sink is, as rows of `ingest_progress`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agents.analytics.moments import seconds
from schemas import codec


class PartitionProgress(msgspec.Struct, frozen=True, kw_only=True):
    """One partition: what is stored, and until when that is everything."""

    topic: str
    partition: int
    stored_offset: int
    end_offset: int
    complete_until_ms: int


def progress_lines(partitions: Iterable[PartitionProgress], now_ms: int) -> bytes:
    """The body of the insert; empty where there is nothing to tell."""
    return b"\n".join(
        codec.encode(
            {
                "topic": progress.topic,
                "kafka_partition": progress.partition,
                "stored_offset": progress.stored_offset,
                "end_offset": progress.end_offset,
                "complete_until": seconds(progress.complete_until_ms),
                "updated_at": seconds(now_ms),
            }
        )
        for progress in partitions
    )
