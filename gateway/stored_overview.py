"""What analytics knows of the last hour, as the operator's console shows it."""

from __future__ import annotations

import msgspec


class StoredPlays(msgspec.Struct, frozen=True, kw_only=True):
    """Ratios of sums over the sessions of the last hour (CTA-2066)."""

    running_count: int
    session_count: int
    failed_count: int
    time_to_first_frame_p50_ms: float | None
    time_to_first_frame_p95_ms: float | None
    rebuffer_ratio: float | None
    average_bitrate_kbps: float | None


class StoredDecisions(msgspec.Struct, frozen=True, kw_only=True):
    """License decisions of the last hour with one outcome and reason."""

    outcome: str
    reason: str
    count: int


class StoredTopic(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger of one topic over the last hour."""

    topic: str
    accepted: int
    refused: int
    unavailable: int
    shed: int
    stored: int
    duplicates: int
    conflicts: int
    dead_letters: int
    complete_until_ms: int | None


class StoredOverview(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    plays: StoredPlays
    decisions: tuple[StoredDecisions, ...]
    topics: tuple[StoredTopic, ...]
