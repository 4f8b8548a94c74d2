"""Where a table keeps one partition on this machine: what its changelog has acknowledged.

A store is never ahead of the changelog. It may lie behind it, and is then brought up by recovery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

Rows = Mapping[bytes, bytes | None]
"""Key and value; None: the key is gone."""

OFFSET_KEY: Final = b"\x00changelog-offset"
"""No text key begins with a zero byte. It is never in the changelog."""
WRITE_BUFFER_BYTES: Final = 16 << 20
BLOCK_CACHE_BYTES: Final = 32 << 20


class PartitionStore(Protocol):
    """One partition."""

    @property
    def changelog_offset(self) -> int | None:
        """The last record of the changelog that is in here; None: nothing is."""

    def get(self, key: bytes) -> bytes | None:
        """The stored value."""

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Those that are stored."""

    def write(self, rows: Rows, changelog_offset: int) -> None:
        """All of it, or, where the process dies, nothing."""

    def close(self) -> None:
        """Let go of what lies on disk; the store is not used again."""


OpenStore = Callable[[int], PartitionStore]
"""Opens the store of a partition."""


class MemoryStore:
    """Gone with the process: recovery then reads the whole changelog."""

    def __init__(self, _: int = 0) -> None:
        self._rows: dict[bytes, bytes] = {}
        self.changelog_offset: int | None = None

    def get(self, key: bytes) -> bytes | None:
        """The stored value."""
        return self._rows.get(key)

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Those that are stored."""
        rows = self._rows
        return {key: rows[key] for key in keys if key in rows}

    def write(self, rows: Rows, changelog_offset: int) -> None:
        """Nothing in between can be seen."""
        for key, value in rows.items():
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value
        self.changelog_offset = changelog_offset

    def close(self) -> None:
        """Drop everything."""
        self._rows.clear()


class RocksStore:
    """On disk, by RocksDB's own log: survives kill -9; power loss is made up by recovery."""

    def __init__(self, folder: Path) -> None:
        import rocksdict

        self._rocksdict: Any = rocksdict
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._db: Any = rocksdict.Rdict(str(folder), options=_options(rocksdict))
        stored = self._db.get(OFFSET_KEY)
        self.changelog_offset: int | None = None if stored is None else int(stored)

    def get(self, key: bytes) -> bytes | None:
        """The stored value."""
        value: bytes | None = self._db.get(key)
        return value

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Those that are stored, by one look-up."""
        asked = list(keys)
        found = self._db.get(asked) if asked else []
        return {key: value for key, value in zip(asked, found, strict=True) if value is not None}

    def write(self, rows: Rows, changelog_offset: int) -> None:
        """One batch, with the offset in it."""
        batch = self._rocksdict.WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(OFFSET_KEY, b"%d" % changelog_offset)
        self._db.write(batch)
        self.changelog_offset = changelog_offset

    def close(self) -> None:
        """Another process may open it then."""
        self._db.close()


def _options(rocksdict: Any) -> Any:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    table = rocksdict.BlockBasedOptions()
    table.set_bloom_filter(10, block_based=False)
    table.set_block_cache(rocksdict.Cache(BLOCK_CACHE_BYTES))
    options.set_block_based_table_factory(table)
    return options


def rocks_stores(folder: Path) -> OpenStore:
    """One database a partition below the folder; the folder is one worker's."""

    def open_store(partition: int) -> PartitionStore:
        return RocksStore(folder / str(partition))

    return open_store
