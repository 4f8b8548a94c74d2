"""The one chDB engine of this process, and the handles on it.

Importing chdb starts threads and an engine under TMPDIR, so nothing outside this file imports it,
and this file does so only when the engine is opened: after the process is confined.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from infra.clickhouse.gate import Statement
from infra.clickhouse.sql import leading_words


class Result(Protocol):
    """What a finished statement gave: a piece of chDB's interface, under its names."""

    def bytes(self) -> bytes | None:
        """The result in its format."""

    def size(self) -> int:
        """Length of the result in its format."""

    def elapsed(self) -> float:
        """Seconds."""

    def rows_read(self) -> int:
        """Rows of the result."""

    def bytes_read(self) -> int:
        """Bytes of the result before it was formatted."""

    def rows_written(self) -> int:
        """Rows inserted."""

    def bytes_written(self) -> int:
        """Bytes inserted, before compression."""

    def storage_rows_read(self) -> int:
        """Rows read from tables."""

    def storage_bytes_read(self) -> int:
        """Bytes read from tables."""


class Handle(Protocol):
    """One connection of chDB, under its names: SET, USE and temporary tables are its own.

    For one thread at a time. Everything raises RuntimeError, with ClickHouse's code in its text.
    """

    def query(self, sql: str | bytes, output: str, /, *, params: dict[str, str] = ...) -> Result:
        """Runs any statement, the result in the format named."""

    def classify_query(self, sql: str | bytes, /) -> dict[str, Any]:
        """What the statement would do."""

    def send_query(self, sql: str | bytes, output: str, /, *, params: dict[str, str] = ...) -> Any:
        """Begins a SELECT whose result is fetched in pieces."""

    def streaming_fetch_result(self, stream: Any, /) -> Result | None:
        """The next piece: None or without rows at the end."""

    def streaming_cancel_query(self, stream: Any, /) -> None:
        """Ends it early."""

    def close(self) -> None:
        """No other method may be called afterwards."""


class Engine:
    """Opens in well under a second, whatever the directory holds; one process per directory."""

    def __init__(self, data: Path, config_file: Path) -> None:
        from chdb import _chdb

        self._connect: Callable[[str], Handle] = _chdb.connect  # type: ignore[attr-defined]  # no stubs
        self._address = f"{data}?config-file={config_file}"
        self._root = self._connect(self._address)
        # KILL QUERY runs on a handle of its own, so that it never waits for the statement that it
        # ends.
        self._control = self._connect(self._address)
        self._control_lock = threading.Lock()
        row = self._root.query("SELECT version(), serverTimezone()", "TSVRaw").bytes() or b""
        version, timezone = row.decode().rstrip("\n").split("\t")
        self.version: str = version
        self.timezone: str = timezone

    def handle(self) -> Handle:
        """A new handle (0.5 ms, 0.1 MB): close it."""
        return self._connect(self._address)

    def end_statement_of(self, thread_id: int) -> None:
        """Ends the statement that the thread (its native id) runs now, if any; it fails with code
        394.
        """
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
