"""One partition of a table: what its records have changed, and what the changelog has of it.

Every value carries the offset of the last record of each source that changed it, and the
partition the offset up to which all are in the changelog. So a record that comes again changes
nothing, wherever the process died: before a flush its key has an older offset, between two
batches of one each key tells for itself, after it the partition does. Deletions go into one batch
with the partition's offset: otherwise a record that comes again would revive what it deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from schemas.errors import StopWorkerError
from streams.tables.changelog import Changelog
from streams.tables.stores import PartitionStore

V = TypeVar("V")

APPLIED_KEY: Final = b"\x00applied"
"""The changelog's record of the offsets up to which everything is in it."""
RECOVERED_MAX: Final = 50_000
"""Rows gathered in recovery."""
CACHED_MAX: Final = 50_000
"""Decoded values beyond what waits for its flush."""

Change = Callable[[V | None], V | None]
"""From the value before, None: there was none, to the value after, None: there is none more."""


class Entry(Generic[V]):
    """A value and the offsets of the last record of each source that changed it."""

    __slots__ = ("offsets", "value")

    def __init__(self, value: V | None, offsets: list[int]) -> None:
        self.value = value
        self.offsets = offsets


class Rowing(Generic[V]):
    """How an entry is written: JSON, `[[offset, …], value]`."""

    def __init__(self, value_type: Any, sources_count: int) -> None:
        self._row = msgspec.json.Decoder(tuple[list[int], value_type])
        self._offsets = msgspec.json.Decoder(tuple[list[int], msgspec.Raw])
        self._applied = msgspec.json.Decoder(list[int])
        self._encoder = msgspec.json.Encoder()
        self.none = [-1] * sources_count

    def encode(self, entry: Entry[V]) -> bytes:
        """The row of the changelog and of the store."""
        return self._encoder.encode((entry.offsets, entry.value))

    def decode(self, row: bytes) -> Entry[V]:
        """Sources that were added since have applied nothing."""
        offsets, value = self._row.decode(row)
        return Entry(value, offsets + self.none[len(offsets) :])

    def encode_applied(self, offsets: Sequence[int]) -> bytes:
        """The value under APPLIED_KEY."""
        return self._encoder.encode(offsets)

    def decode_applied(self, row: bytes | None) -> list[int]:
        """The offsets up to which everything is in the changelog."""
        offsets = [] if row is None else self._applied.decode(row)
        return offsets + self.none[len(offsets) :]

    def is_older(self, key: bytes, row: bytes, than: bytes) -> bool:
        """Whether a writer that had lost the partition wrote the row late."""
        if key == APPLIED_KEY:
            return self._applied.decode(row) < self._applied.decode(than)
        return self._offsets.decode(row)[0] < self._offsets.decode(than)[0]


class PartitionState(Generic[V]):
    """Changes at once, in memory; `flush` makes them last."""

    def __init__(
        self, partition: int, store: PartitionStore, changelog: Changelog, rowing: Rowing[V]
    ) -> None:
        self._partition = partition
        self._store = store
        self._changelog = changelog
        self._rowing = rowing
        self._entries: dict[str, Entry[V]] = {}
        self._changed: dict[str, Entry[V]] = {}
        self._seen = rowing.decode_applied(store.get(APPLIED_KEY))
        self._flushed = list(self._seen)
        self._recovered: dict[bytes, bytes | None] = {}
        self._recovered_offset: int | None = None
        self._flushing = asyncio.Lock()
        self._epoch = 0

    @property
    def changelog_offset(self) -> int | None:
        """The last record of the changelog that is in the store."""
        self._store_recovered()
        return self._store.changelog_offset

    def get(self, key: str) -> V | None:
        """The value as of the last change."""
        entry = self._entries.get(key) or self._load(key)
        return entry.value

    def apply(self, source: int, offset: int, key: str, change: Change[V]) -> bool:
        """Change the key's value by a record; False: the record was applied before."""
        seen = self._seen
        if offset <= seen[source]:
            return False
        seen[source] = offset
        entry = self._entries.get(key)
        if entry is None:
            entry = self._load(key)
        if offset <= entry.offsets[source]:
            return False
        entry.value = change(entry.value)
        entry.offsets[source] = offset
        self._changed[key] = entry
        return True

    async def flush(self) -> None:
        """Return once every change so far is in the changelog.

        Raises RetryableError or StopWorkerError: the process must halt then, because its memory
        is ahead of the log.
        """
        async with self._flushing:
            if self._seen == self._flushed:
                return
            epoch, seen = self._epoch, list(self._seen)
            changed, self._changed = self._changed, {}
            rows, whole = self._rows_of(changed, seen)
            first, last = await self._changelog.write(self._partition, rows, whole)
            if epoch != self._epoch:
                return  # a rebalance: recovery reads it back, where it is still ours
            self._require_next(first)
            rows.update(whole)
            self._store.write(rows, last)
            self._flushed = seen
            self._trim()

    def recover(self, records: Iterable[tuple[bytes, bytes | None]], changelog_offset: int) -> None:
        """Take the changelog's next keys and rows, in log order; the last has the offset.

        They are gathered, so that a key is stored once that the changelog has many times.
        """
        rows = self._recovered
        for key, row in records:
            if not self._is_late(key, row, rows.get(key)):
                rows[key] = row
        self._recovered_offset = changelog_offset
        if len(rows) >= RECOVERED_MAX:
            self._store_recovered()

    def _store_recovered(self) -> None:
        if self._recovered_offset is None:
            return
        rows, self._recovered = self._recovered, {}
        for key, known in self._store.get_many(rows).items():
            if self._is_late(key, rows[key], known):
                del rows[key]
        self._store.write(rows, self._recovered_offset)
        self._recovered_offset = None

    def _is_late(self, key: bytes, row: bytes | None, known: bytes | None) -> bool:
        return row is not None and known is not None and self._rowing.is_older(key, row, known)

    def reset(self) -> None:
        """Forget what is not in the changelog: its records come again."""
        self._store_recovered()
        self._epoch += 1
        self._entries.clear()
        self._changed = {}
        self._seen = self._rowing.decode_applied(self._store.get(APPLIED_KEY))
        self._flushed = list(self._seen)

    def close(self) -> None:
        """The partition is another worker's now."""
        self.reset()
        self._store.close()

    def _load(self, key: str) -> Entry[V]:
        row = self._store.get(key.encode())
        entry = Entry[V](None, list(self._rowing.none)) if row is None else self._rowing.decode(row)
        self._entries[key] = entry
        return entry

    def _rows_of(
        self, changed: Mapping[str, Entry[V]], seen: Sequence[int]
    ) -> tuple[dict[bytes, bytes | None], dict[bytes, bytes | None]]:
        encode = self._rowing.encode
        rows: dict[bytes, bytes | None] = {}
        whole: dict[bytes, bytes | None] = {}
        for key, entry in changed.items():
            if entry.value is None:
                whole[key.encode()] = None
            else:
                rows[key.encode()] = encode(entry)
        whole[APPLIED_KEY] = self._rowing.encode_applied(seen)
        return rows, whole

    def _require_next(self, first: int) -> None:
        """A changelog has one writer at a time: a gap means that it is not this one any more."""
        last = self._store.changelog_offset
        if last is not None and first != last + 1:
            raise StopWorkerError(
                f"the changelog of partition {self._partition} went on at {first}, not {last + 1}:"
                " another worker has written to it"
            )

    def _trim(self) -> None:
        if len(self._entries) > CACHED_MAX:
            self._entries = dict(self._changed)
