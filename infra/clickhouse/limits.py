"""Every limit of the engine process, with a name and a unit."""

from __future__ import annotations

import msgspec

MEBIBYTE = 1 << 20


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one client, and all clients together, may take of the process."""

    connection_count_max: int = 256
    first_request_seconds_max: float = 10.0
    keep_alive_seconds_max: float = 75.0
    uri_bytes_max: int = 256 << 10
    header_bytes_max: int = 64 << 10

    body_idle_seconds_max: float = 15.0
    """The longest pause between two pieces of a request body."""
    body_seconds_max: float = 300.0
    body_bytes_max: int = 1024 * MEBIBYTE
    """Of a body as it travels, compressed or not."""
    inflated_bytes_max: int = 2048 * MEBIBYTE
    """Of a body once it is unpacked; an insert needs this much disk twice while it runs."""
    body_in_memory_bytes_max: int = MEBIBYTE
    """Bodies above this wait for their end in a temporary file."""
    statement_bytes_max: int = 16 * MEBIBYTE
    """Of SQL, with the rows of INSERT ... VALUES."""
    insert_head_bytes_max: int = 256 << 10
    """How far INSERT ... FORMAT is looked for before the text counts as a plain statement."""
    external_table_bytes_max: int = 64 * MEBIBYTE
    parameter_count_max: int = 1000

    write_stall_seconds_max: float = 20.0
    """How long a reader may take nothing of a result before it is cut off."""
    query_seconds_max: float = 120.0
    insert_seconds_max: float = 300.0
    queue_seconds_max: float = 10.0
    """How long a statement waits for its turn before it is refused."""

    reader_slot_count: int = 6
    reader_thread_count: int = 48
    writer_slot_count: int = 4
    writer_thread_count: int = 32
    body_thread_count: int = 2

    session_count_max: int = 200
    session_seconds_max: float = 3600.0

    server_memory_bytes_max: int = 2048 * MEBIBYTE
    disk_reserve_bytes: int = 64 * MEBIBYTE
    """Inserts stop with error 243 while the file system still has this much for merges and logs."""

    health_seconds_max: float = 2.0
    stop_seconds_max: float = 0.6
