"""Writes a table's changes to its changelog: a batch per chunk instead of a record per event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from aiokafka.errors import KafkaError

from schemas.errors import RetryableError
from streams.broker import Broker
from streams.connection import Connection

DELIVERY_TIMEOUT_MS: Final = 60_000
"""A worker waits this long for a broker that is away, then halts and starts again."""


class Changelog(Protocol):
    """A compacted topic with one partition per partition of the table."""

    async def write(
        self,
        partition: int,
        rows: Mapping[bytes, bytes | None],
        whole: Mapping[bytes, bytes | None],
    ) -> tuple[int, int]:
        """Append `rows`, and after them `whole`, which nobody sees a part of.

        Returns the first and the last offset. Raises RetryableError where it is unknown whether
        they are stored, ValueError where `whole` is too large.
        """


class KafkaChangelog:
    """The changelog on the broker: acks=all, idempotent."""

    def __init__(self, broker: Broker, physical_topic: str, *, client_id: str) -> None:
        self._topic = physical_topic
        self._connection = Connection(
            broker, client_id=client_id, request_timeout_ms=DELIVERY_TIMEOUT_MS
        )

    async def start(self) -> None:
        """Connect; raises KafkaError where no broker answers."""
        await self._connection.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._connection.stop()

    async def write(
        self,
        partition: int,
        rows: Mapping[bytes, bytes | None],
        whole: Mapping[bytes, bytes | None],
    ) -> tuple[int, int]:
        """Batches of at most BATCH_BYTES_MAX; the broker takes a batch whole or not."""
        batches = self._fill(rows, self._connection.create_batch())
        room = batches[-1]
        if not all(_append(room, key, value) for key, value in whole.items()):
            # A batch cannot be taken back by rows: `whole` begins again in one of its own.
            batches = [*self._fill(rows, self._connection.create_batch()), self._whole(whole)]
        first = last = -1
        for batch in batches:
            count = batch.record_count()
            if count == 0:
                continue
            batch.close()
            try:
                offset = await self._connection.send(batch, self._topic, partition)
            except KafkaError as error:
                raise RetryableError(f"{self._topic} takes nothing: {error!r}") from error
            first = offset if first < 0 else first
            last = offset + count - 1
        return first, last

    def _fill(self, rows: Mapping[bytes, bytes | None], batch: Any) -> list[Any]:
        batches = [batch]
        for key, value in rows.items():
            if not _append(batches[-1], key, value):
                batches.append(self._connection.create_batch())
                if not _append(batches[-1], key, value):
                    raise ValueError(f"a value of {len(value or b'')} bytes is larger than a batch")
        return batches

    def _whole(self, rows: Mapping[bytes, bytes | None]) -> Any:
        batch = self._connection.create_batch()
        if not all(_append(batch, key, value) for key, value in rows.items()):
            raise ValueError(f"{len(rows)} rows are more than a batch holds")
        return batch


def _append(batch: Any, key: bytes, value: bytes | None) -> bool:
    return batch.append(key=key, value=value, timestamp=None) is not None
