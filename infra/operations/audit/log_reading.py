"""One partition of `license.decisions.v1` as entries, up to an end that was noted first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.operations.audit.entries import Entry, read_entry
from schemas.secrets import SecretBytes
from streams.reader import is_genuine
from streams.topics import LICENSE_DECISIONS

POLL_MS: Final = 500


class LogPartition:
    """Reads stretches of a partition, one after another; what was fetched beyond one is kept."""

    def __init__(
        self, consumer: AIOKafkaConsumer, place: TopicPartition, end: int, state_key: SecretBytes
    ) -> None:
        self._consumer = consumer
        self._place = place
        self._end = end
        self._state_key = state_key
        self._ahead: list[Entry] = []

    async def start(self) -> None:
        """Begin at the oldest record. Raises KafkaError."""
        self._consumer.assign([self._place])
        await self._consumer.seek_to_beginning(self._place)

    async def until(self, offset: int) -> list[Entry]:
        """The entries before this offset that were not given yet. Raises KafkaError."""
        until = min(offset, self._end)
        while await self._consumer.position(self._place) < until:
            fetched = await self._consumer.getmany(self._place, timeout_ms=POLL_MS)
            self._ahead += self._entries(fetched.get(self._place, []))
        given = [entry for entry in self._ahead if entry.offset < until]
        self._ahead = self._ahead[len(given) :]
        return given

    def _entries(self, records: Iterable[Any]) -> list[Entry]:
        return [
            read_entry(
                raw.offset,
                raw.value or b"",
                at_ms=raw.timestamp,
                is_forged=not is_genuine(self._state_key, LICENSE_DECISIONS.name, raw),
            )
            for raw in records
            if raw.offset < self._end
        ]
