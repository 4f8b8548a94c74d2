"""Statements on a ready handle, in a worker thread: results go out piece by piece, inserts come in
from a spool.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from infra.clickhouse import sql
from infra.clickhouse.channel import ClientGoneError, ResultChannel, Summary
from infra.clickhouse.data_files import insert_file
from infra.clickhouse.engine import Handle, Result
from infra.clickhouse.errors import EngineError
from infra.clickhouse.gate import Statement
from infra.clickhouse.guard import admitted
from infra.clickhouse.handles import Ready
from infra.clickhouse.request import StatementRequest
from infra.clickhouse.running import Ticket

# Formats without head and foot: the engine's pieces, one after the other, are the whole. The others
# come at once.
_STREAMED: Final = frozenset(
    (
        "Native",
        "TabSeparated",
        "TSV",
        "TabSeparatedRaw",
        "TSVRaw",
        "CSV",
        "RowBinary",
        "JSONEachRow",
        "JSONCompactEachRow",
        "LineAsString",
    )
)
_PIECE_BYTES: Final = 1 << 18
_PIECE_SECONDS: Final = 0.1


def run_query(
    ready: Ready, request: StatementRequest, text: bytes, channel: ResultChannel, ticket: Ticket
) -> Summary:
    """Runs any statement that brings no data of its own; the result goes to the channel."""
    statement = admitted(ready.handle, text, user=request.user, readonly=request.readonly)
    format_name = sql.output_format(text) or request.default_format
    timezone = request.settings.get("session_timezone")
    if statement.is_select and format_name in _STREAMED:
        channel.start(format_name, timezone)
        return _streamed(ready.handle, request, text, channel, ticket)
    return _at_once(ready, request, statement, format_name, channel)


def _at_once(
    ready: Ready,
    request: StatementRequest,
    statement: Statement,
    format_name: str,
    channel: ResultChannel,
) -> Summary:
    result = ready.handle.query(statement.text, request.default_format, params=request.parameters)
    if ready.session is not None and statement.is_use:
        ready.session.database = _current_database(ready.handle)
    body = result.bytes() or b""
    is_result = bool(body) or statement.is_read_only
    channel.start(format_name if is_result else None, request.settings.get("session_timezone"))
    if body:
        channel.write(body)
    return _summary(result)


def _current_database(handle: Handle) -> str:
    name = handle.query("SELECT currentDatabase()", "TSVRaw").bytes() or b""
    return name.decode().removesuffix("\n")


def _streamed(
    handle: Handle,
    request: StatementRequest,
    text: bytes,
    channel: ResultChannel,
    ticket: Ticket,
) -> Summary:
    started_at = time.perf_counter_ns()
    stream = handle.send_query(text, request.default_format, params=request.parameters)
    try:
        rows, size = _pump(handle, stream, channel, ticket)
    except (ClientGoneError, EngineError):
        handle.streaming_cancel_query(stream)
        raise
    elapsed_ns = time.perf_counter_ns() - started_at
    return Summary(
        read_rows=str(rows),
        read_bytes=str(size),
        result_rows=str(rows),
        result_bytes=str(size),
        elapsed_ns=str(elapsed_ns),
    )


def _pump(handle: Handle, stream: Any, channel: ResultChannel, ticket: Ticket) -> tuple[int, int]:
    """Moves the result over in pieces of some size, or of some age where rows come slowly."""
    rows = size = 0
    gathered = bytearray()
    handed_over_at = time.monotonic()
    try:
        while (chunk := handle.streaming_fetch_result(stream)) and chunk.rows_read():
            ticket.check()
            rows += chunk.rows_read()
            size += chunk.size()
            gathered += chunk.bytes() or b""
            now = time.monotonic()
            if len(gathered) >= _PIECE_BYTES or now - handed_over_at > _PIECE_SECONDS:
                channel.write(bytes(gathered))
                gathered.clear()
                handed_over_at = now
    finally:
        # Rows that were there before a failure are handed over: the client sees how far the result
        # went.
        if gathered:
            channel.write(bytes(gathered))
    return rows, size


def run_insert(
    ready: Ready, request: StatementRequest, insert: sql.InsertText, path: Path
) -> Summary:
    """Inserts the rows of a file."""
    admitted(ready.handle, insert.head, user=request.user, readonly=request.readonly)
    result = insert_file(ready.handle, insert, path)
    rows, size = str(result.rows_written()), str(result.bytes_written())
    return Summary(
        read_rows=rows,
        read_bytes=size,
        written_rows=rows,
        written_bytes=size,
        result_rows=rows,
        result_bytes=size,
        elapsed_ns=str(int(result.elapsed() * 1e9)),
    )


def _summary(result: Result) -> Summary:
    return Summary(
        read_rows=str(result.storage_rows_read()),
        read_bytes=str(result.storage_bytes_read()),
        written_rows=str(result.rows_written()),
        written_bytes=str(result.bytes_written()),
        result_rows=str(result.rows_read()),
        result_bytes=str(result.bytes_read()),
        elapsed_ns=str(int(result.elapsed() * 1e9)),
    )
