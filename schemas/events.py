"""What a viewer does and a player measures: `playback.events.v1` and `playback.bandwidth.v1`.

Identity is (session_id, source, sequence). `at` is the client's clock; `sequence` gives the order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Text = Annotated[str, Meta(max_length=2048)]
SessionId = Annotated[str, Meta(min_length=36, max_length=36)]
Sequence = Annotated[int, Meta(ge=0, le=2**53)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53)]
Kbps = Annotated[int, Meta(ge=0, le=100_000_000)]
Bytes = Annotated[int, Meta(ge=0, le=2**53)]
Instant = Annotated[datetime, Meta(tz=True)]

Via = Literal["sdk", "cmcd", "edge", "ingest"]


class Stamp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the gateway adds: when and which way the event came, and its token's facts."""

    received_at_ms: int
    via: Via
    account_id: str = ""
    profile_id: str = ""
    content_id: str = ""
    plan: str = ""
    region: str = ""
    asn: int = 0
    network: str = ""
    """The address cut to /24 or /48."""
    device_model: str = ""
    os: str = ""
    player: str = ""
    canary: bool = False
    arms: dict[str, str] = {}
    """Of the session, by experiment."""


class Event(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=False, omit_defaults=True
):
    """What every event carries."""

    session_id: SessionId
    sequence: Sequence
    at: Instant
    id: Annotated[str, Meta(max_length=36)] = ""
    source: Annotated[str, Meta(max_length=128)] = "default"
    playhead_ms: Milliseconds | None = None
    cdn: Annotated[str, Meta(max_length=64)] = ""
    extra: dict[str, Any] | None = None
    """Fields that this version does not know."""
    stamp: Stamp | None = None
    """Set by the gateway; what a client sends here is dropped."""

    @property
    def at_ms(self) -> int:
        """The client's clock in Unix milliseconds."""
        return round(self.at.timestamp() * 1000)


class Play(Event, frozen=True, kw_only=True, tag="play", omit_defaults=True):
    """The viewer asked for playback."""


class Playing(Event, frozen=True, kw_only=True, tag="playing", omit_defaults=True):
    """The first frame is shown, or playback goes on."""

    bitrate_kbps: Kbps | None = None


class Pause(Event, frozen=True, kw_only=True, tag="pause", omit_defaults=True):
    """The viewer paused."""


class Seek(Event, frozen=True, kw_only=True, tag="seek", omit_defaults=True):
    """The viewer jumps."""

    from_ms: Milliseconds | None = None
    to_ms: Milliseconds | None = None


class Seeked(Event, frozen=True, kw_only=True, tag="seeked", omit_defaults=True):
    """The jump is done."""


class Buffering(Event, frozen=True, kw_only=True, tag="buffering", omit_defaults=True):
    """The player waits for media; whether start-up, seek or stall is the fold's to say."""


class Buffered(Event, frozen=True, kw_only=True, tag="buffered", omit_defaults=True):
    """The wait is over."""


class Bandwidth(Event, frozen=True, kw_only=True, tag="bandwidth", omit_defaults=True):
    """A measurement of the network or the buffer, mostly once per segment."""

    measured_throughput_kbps: Kbps | None = None
    latency_ms: Milliseconds | None = None
    """Time to first byte."""
    buffer_length_ms: Milliseconds | None = None
    bitrate_kbps: Kbps | None = None
    """Encoded rate of what was fetched."""
    top_bitrate_kbps: Kbps | None = None
    object_type: Annotated[str, Meta(max_length=4)] = ""
    """CMCD `ot`: v, a, av, m, i, c, tt, k, o."""
    object_bytes: Bytes | None = None
    object_duration_ms: Milliseconds | None = None
    transfer_ms: Milliseconds | None = None
    """Time to last byte."""
    status: Annotated[int, Meta(ge=0, le=999)] | None = None
    """HTTP status of the fetch."""
    is_starved: bool = False
    playback_rate: float | None = None
    url: Annotated[str, Meta(max_length=4096)] = ""
    """What was fetched, its tokens replaced."""


class BitrateChanged(Event, frozen=True, kw_only=True, tag="bitrate_changed", omit_defaults=True):
    """Another rendition plays."""

    bitrate_kbps: Kbps
    from_bitrate_kbps: Kbps | None = None
    height: Annotated[int, Meta(ge=0, le=16384)] | None = None


class Heartbeat(Event, frozen=True, kw_only=True, tag="heartbeat", omit_defaults=True):
    """The session is alive."""

    bitrate_kbps: Kbps | None = None
    buffer_length_ms: Milliseconds | None = None


class Stopped(Event, frozen=True, kw_only=True, tag="stopped", omit_defaults=True):
    """Playback ended: by the viewer, or at the end of the content."""

    reason: Literal["ended", "aborted", ""] = ""


class PlaybackError(Event, frozen=True, kw_only=True, tag="error", omit_defaults=True):
    """Playback failed; `is_fatal` where it cannot go on."""

    code: Annotated[str, Meta(max_length=128)] = ""
    message: Text = ""
    is_fatal: bool = True


class PlaybackWarning(Event, frozen=True, kw_only=True, tag="warning", omit_defaults=True):
    """Something went wrong and playback goes on."""

    code: Annotated[str, Meta(max_length=128)] = ""
    message: Text = ""


class Interaction(Event, frozen=True, kw_only=True, tag="interaction", omit_defaults=True):
    """Any other thing the viewer did."""

    name: Name
    value: Annotated[str, Meta(max_length=512)] = ""


PlaybackEvent = (
    Play
    | Playing
    | Pause
    | Seek
    | Seeked
    | Buffering
    | Buffered
    | Bandwidth
    | BitrateChanged
    | Heartbeat
    | Stopped
    | PlaybackError
    | PlaybackWarning
    | Interaction
)
