"""What analytics holds of one session, as the player page shows it."""

from __future__ import annotations

import msgspec


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the view `events`."""

    type: str
    via: str
    source: str
    sequence: int
    at_ms: int
    received_at_ms: int
    playhead_ms: int | None
    bitrate_kbps: int | None
    cdn: str
    detail: str
    """What is special of its type, in a few words."""
    kafka_partition: int
    kafka_offset: int


class StoredLicense(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the view `license_decisions`."""

    decided_at_ms: int
    action: str
    outcome: str
    reason: str
    system: str
    tiers: tuple[str, ...]
    key_ids_asked: tuple[str, ...]
    key_ids_granted: tuple[str, ...]
    policy_version: str


class StoredQuality(msgspec.Struct, frozen=True, kw_only=True):
    """The session's row of the view `sessions`."""

    event_count: int
    time_to_first_frame_ms: int | None
    rebuffer_count: int
    rebuffer_duration_ms: int
    played_ms: int
    average_bitrate_kbps: int | None


class StoredSession(msgspec.Struct, frozen=True, kw_only=True):
    """The newest rows of one session, newest first; `quality` is null before the first fold."""

    events: tuple[StoredEvent, ...] = ()
    licenses: tuple[StoredLicense, ...] = ()
    quality: StoredQuality | None = None
