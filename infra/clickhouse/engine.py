"""The one chDB engine of this process, and the handles on it.

Importing chdb starts threads and an engine under TMPDIR, so nothing outside this file imports it, and this file does
so only when the engine is opened: after the process is confined.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Protocol

from infra.clickhouse.gate import Statement
from infra.clickhouse.sql import leading_words


class Result(Protocol):
    """What a finished statement gave."""

    def bytes(self) -> bytes | None: ...
    def size(self) -> int: ...
    def elapsed(self) -> float: ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...


class Handle(Protocol):
    """One connection of chDB: SET, USE and temporary tables are its own. For one thread at a time."""

    def query(self, sql: str | bytes, format: str, *, params: dict[str, str] = ...) -> Result: ...
    def classify_query(self, sql: str | bytes) -> dict[str, Any]: ...
    def send_query(self, sql: str | bytes, format: str, *, params: dict[str, str] = ...) -> Any: ...
    def streaming_fetch_result(self, stream: Any) -> Result | None: ...
    def streaming_cancel_query(self, stream: Any) -> None: ...
    def send_insert(self, sql: str | bytes, format: str) -> Any: ...
    def insert_append(self, insert: Any, data: bytes) -> None: ...
    def insert_done(self, insert: Any) -> Result: ...
    def insert_cancel(self, insert: Any) -> None: ...
    def close(self) -> None: ...


class Engine:
    """Opens in well under a second, whatever the directory holds; one process per directory."""

    def __init__(self, data: Path, config_file: Path) -> None:
        from chdb import _chdb

        self._connect = _chdb.connect
        self._address = f"{data}?config-file={config_file}"
        self._root: Handle = self._connect(self._address)
        # KILL QUERY runs on a handle of its own, so that it never waits for the statement that it ends.
        self._control: Handle = self._connect(self._address)
        self._control_lock = threading.Lock()
        row = self._root.query("SELECT version(), serverTimezone()", "TSVRaw").bytes() or b""
        self.version, self.timezone = row.decode().rstrip("\n").split("\t")

    def handle(self) -> Handle:
        """A new handle (0.5 ms, 0.1 MB): close it."""
        handle: Handle = self._connect(self._address)
        return handle

    def end_statement_of(self, thread_id: int) -> None:
        """Ends the statement that the thread (its native id) runs now, if any; it fails with code 394."""
        with self._control_lock:
            self._control.query(f"KILL QUERY WHERE has(thread_ids, {thread_id:d}) ASYNC", "Null")

    def check_health(self) -> None:
        """Raises where the engine answers no query."""
        handle = self.handle()
        try:
            if handle.query("SELECT 1", "TSVRaw").bytes() != b"1\n":
                raise RuntimeError("SELECT 1 gave no 1")
        finally:
            handle.close()

    def close(self) -> None:
        """No handle may be used afterwards."""
        self._control.close()
        self._root.close()


def classify(handle: Handle, text: bytes) -> Statement:
    """chDB's judgement of a statement, without running it."""
    judged = handle.classify_query(text)
    return Statement(
        text=text,
        query_class=judged["query_class"].name,
        statement_count=judged["statement_count"],
        words=tuple(leading_words(text, 2)),
    )
