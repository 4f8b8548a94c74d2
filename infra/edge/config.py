"""What one edge is told at its start."""

from __future__ import annotations

from pathlib import Path

import msgspec


class EdgeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Arguments of one edge process; port 0 is any free one, told in `announce_file`."""

    name: str
    storage_url: str
    gateway_url: str
    token_file: Path
    host: str = "127.0.0.1"
    port: int = 0
    announce_file: Path | None = None
    cache_bytes_max: int = 64 << 20
    log_queue_bytes_max: int = 16 << 20
