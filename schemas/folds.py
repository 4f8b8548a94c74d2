"""The session fold's state: what is kept of each event, and what has come of it so far."""

from __future__ import annotations

from typing import Literal

import msgspec

Phase = Literal["idle", "starting", "playing", "stalled", "seeking", "paused", "ended", "failed"]


class Step(msgspec.Struct, frozen=True, array_like=True):
    """What the fold needs of one event."""

    sequence: int
    at_ms: int
    kind: str
    """The event's tag."""
    playhead_ms: int | None = None
    bitrate_kbps: int | None = None
    """None too where the measurement is not one of pictures."""
    cdn: str = ""
    detail: str = ""
    """Why it stopped; the code of a fatal error."""
    from_playhead_ms: int | None = None
    to_ms: int | None = None
    """From where and to where a seek goes."""


class BitrateLane(msgspec.Struct, omit_defaults=True):
    """Rendition intervals as one kind of event tells them."""

    kbps: int | None = None
    kbps_ms: int = 0
    """Sum of bitrate times media time."""
    media_ms: int = 0
    up_count: int = 0
    down_count: int = 0


class Progress(msgspec.Struct, omit_defaults=True):
    """One source's events so far, in the order of their sequence."""

    phase: Phase = "idle"
    event_count: int = 0
    first_at_ms: int | None = None
    last_at_ms: int = 0
    play_at_ms: int | None = None
    """The first `play` before the first frame."""
    frame_at_ms: int | None = None
    """The first frame."""
    ended_at_ms: int | None = None
    end_reason: str = ""
    is_failed: bool = False
    failed_from: Phase = "idle"
    error_code: str = ""
    has_heartbeats: bool = False
    watched_ms: int = 0
    played_ms: int = 0
    rebuffer_count: int = 0
    rebuffer_duration_ms: int = 0
    seek_count: int = 0
    pause_count: int = 0
    playhead_ms: int | None = None
    """Told by the player, or gone on from what it told."""
    max_playhead_ms: int | None = None
    """The furthest that was shown."""
    cdn: str = ""
    has_changes: bool = False
    """The source announces its changes of rendition; what it fetches does not count then."""
    announced: BitrateLane = msgspec.field(default_factory=BitrateLane)
    fetched: BitrateLane = msgspec.field(default_factory=BitrateLane)


class SourceFold(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One source: `base` holds every event up to `settled`, `pending` the later ones, sorted."""

    via: str
    source: str
    settled: int = -1
    base: Progress = msgspec.field(default_factory=Progress)
    pending: list[Step] = []


class SessionFacts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the gateway's stamp says of the session."""

    account_id: str = ""
    profile_id: str = ""
    content_id: str = ""
    plan: str = ""
    region: str = ""
    asn: int = 0
    device_model: str = ""
    os: str = ""
    player: str = ""
    canary: bool = False
    arms: dict[str, str] = {}


class Told(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Which watch steps were published."""

    is_started: bool = False
    bucket: int = 0
    is_completed: bool = False
    is_abandoned: bool = False


class SessionFold(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Everything the fold knows about a session: `session.folds.v1`."""

    session_id: str
    sources: list[SourceFold] = []
    facts: SessionFacts = SessionFacts()
    facts_rank: tuple[int, str, str, int] | None = None
    """The least (received_at_ms, via, source, sequence): that event's stamp gives the facts."""
    received_at_ms: int = 0
    """When the newest event came."""
    late_count: int = 0
    """Events that came after what follows them was settled, or of too many sources."""
    told: Told = Told()
