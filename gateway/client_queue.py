"""The client's queue on disk: what was put is there after kill -9, in order, within its bound."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from schemas.errors import PlayheadError, RetryableError

BUSY_S: Final = 0.2
ROW_BYTES: Final = 64
"""What a row costs beside its event, roughly."""


class QueueFullError(RetryableError):
    """The gateway has been away for too long: there is no room until it is back."""


class QueueInUseError(PlayheadError):
    """Another process has this queue: every process needs a file of its own."""


class QueuedEvent(msgspec.Struct, frozen=True):
    """An encoded event and its place."""

    number: int
    data: bytes


class DiskQueue:
    """One SQLite file, of one process. Every call blocks for a moment; one thread at a time."""

    def __init__(self, path: Path, *, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            # Written pages outlive the process without a flush; a power cut may cost the last ones.
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
                self._file.execute(f"PRAGMA {pragma}")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, event BLOB)"
            )
            count, size = self._file.execute(
                "SELECT count(*), coalesce(sum(length(event)), 0) FROM events"
            ).fetchone()
        except sqlite3.OperationalError as error:
            self._file.close()
            raise QueueInUseError(f"{path}: {error}") from error
        self.event_count: int = count
        self.held_bytes: int = size + count * ROW_BYTES

    def put(self, events: Sequence[bytes]) -> None:
        """All of them at the end; QueueFullError, and none, where they do not fit."""
        size = sum(map(len, events)) + len(events) * ROW_BYTES
        if self.held_bytes + size > self._bytes_max:
            raise QueueFullError(f"{self.held_bytes} of {self._bytes_max} bytes are taken")
        self._write("INSERT INTO events (event) VALUES (?)", ((event,) for event in events))
        self.event_count += len(events)
        self.held_bytes += size

    def head(self, events_max: int, bytes_max: int) -> list[QueuedEvent]:
        """The oldest ones within both bounds, at least one where there is any."""
        found: list[QueuedEvent] = []
        size = 0
        rows = self._file.execute(
            "SELECT number, event FROM events ORDER BY number LIMIT ?", (events_max,)
        )
        for number, data in rows:
            size += len(data) + 1
            if found and size > bytes_max:
                break
            found.append(QueuedEvent(number, data))
        rows.close()
        return found

    def remove(self, events: Iterable[QueuedEvent]) -> None:
        """They are settled."""
        gone = tuple(events)
        self._write("DELETE FROM events WHERE number = ?", ((event.number,) for event in gone))
        self.event_count -= len(gone)
        self.held_bytes -= sum(len(event.data) + ROW_BYTES for event in gone)

    def close(self) -> None:
        """What is in it stays in the file."""
        self._file.close()

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            self._file.executemany(statement, rows)
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")
