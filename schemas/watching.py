"""What became of sessions: their QoE so far, and what it means for the profile."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec


class SessionSummary(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="session_summary",
):
    """The fold of a session's events (CTA-2066; `metrics.md`): `session.summaries.v1`.

    The highest `version` counts. Times that never happened are None.
    """

    session_id: str
    version: int
    account_id: str = ""
    profile_id: str = ""
    content_id: str = ""
    plan: str = ""
    region: str = ""
    asn: int = 0
    device_model: str = ""
    os: str = ""
    player: str = ""
    cdn: str = ""
    """The last in use."""
    source: str = ""
    """The authoritative source."""
    started_at_ms: int
    last_event_at_ms: int
    ended_at_ms: int | None = None
    end_reason: str = ""
    """ended, aborted, error, timeout; empty while it goes on."""
    time_to_first_frame_ms: int | None = None
    playback_failed: bool = False
    exit_before_video_start: bool = False
    rebuffer_count: int = 0
    rebuffer_duration_ms: int = 0
    watched_ms: int = 0
    played_ms: int = 0
    rebuffer_ratio: float = 0.0
    average_bitrate_kbps: int | None = None
    bitrate_kbps: int | None = None
    """The last known."""
    bitrate_up_count: int = 0
    bitrate_down_count: int = 0
    seek_count: int = 0
    pause_count: int = 0
    error_code: str = ""
    exit_playhead_ms: int | None = None
    max_playhead_ms: int | None = None
    completion_ratio: float | None = None
    event_count: int = 0
    canary: bool = False
    arms: dict[str, str] = {}
    """By experiment, as its first event says."""
    last_received_at_ms: int = 0
    """When the newest event came, by the gateway's clock: silence is counted from here."""


class Watch(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="watch"
):
    """What a profile did with a content: `watches.v1`."""

    IDENTITY: ClassVar[tuple[str, ...]] = ("session_id", "step", "bucket")
    """Published again, it is the same fact: analytics stores it once."""

    profile_id: str
    account_id: str
    content_id: str
    session_id: str
    step: Literal["started", "progressed", "completed", "abandoned"]
    playhead_ms: int
    completion_ratio: float
    at_ms: int
    region: str = ""
    """ISO 3166-1, where it was watched; empty: not known."""
    os: str = ""
    """Of the device, as its client says; empty: not known."""
    bucket: int = 0
    """Counts the `progressed` steps of the session."""
