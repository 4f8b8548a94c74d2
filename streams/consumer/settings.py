"""What the consumer does differently from Faust's own."""

from __future__ import annotations

import msgspec


class FetchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of reading."""

    chunk_records_max: int = 500
    """The unit of processing, of acknowledging, and of what comes again after a crash."""
    wait_ms_max: int = 500
    """How long the broker may hold a fetch for which it has nothing; Faust has 1500 fixed."""
    busy_records_min: int = 20
    """Where one read brings so many, the broker is to gather more for the next: a read of few costs
    as much as one of many.
    """
    gathered_bytes_min: int = 1 << 20
    gather_ms_max: int = 50
    """For so long: a decision comes that much later on a busy log, and at once on a calm one."""
    drain_s_max: float = 2.0
    """How long a rebalance or a stop waits for running work, before that work is to come again."""
    commit_s_max: float = 5.0
    """How long a stop waits for its last commit."""
