"""Valid messages with defaults; a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas.catalog import AudioTrack, Rendition, Segments, StorageLocation, Title
from schemas.events import Bandwidth
from schemas.recommendations import TitleFeedback
from schemas.sessions import Device, Session
from schemas.watching import Watch

SESSION_ID = "01930000-0000-7000-8000-000000000001"
NOW_MS = 1_795_300_000_000
SD_KEY, HD_KEY, AUDIO_KEY = "1" * 32, "2" * 32, "3" * 32


def some_segments(track: str, *, count: int = 15, kbps: int = 0) -> Segments:
    """`count` segments of four seconds; with `kbps`, their sizes too."""
    return Segments(
        init=f"{track}/init.mp4",
        media=f"{track}/$Number$.m4s",
        timescale=1000,
        durations=(4000,) * count,
        sizes_bytes=(kbps * 4000 // 8,) * count if kbps else (),
    )


def a_rendition(height: int, kbps: int, **changes: Any) -> Rendition:
    """A rendition whose average is 80 % of its peak; HD from 720 lines on."""
    is_hd = height >= 720
    rendition = Rendition(
        rendition_id=f"v{height}",
        width=height * 16 // 9,
        height=height,
        frame_rate=24.0,
        codecs="avc1.64001f",
        bitrate_kbps=kbps,
        average_bitrate_kbps=kbps * 4 // 5,
        tier="hd" if is_hd else "sd",
        key_id=HD_KEY if is_hd else SD_KEY,
        segments=some_segments(f"v{height}", kbps=kbps * 4 // 5),
    )
    return msgspec.structs.replace(rendition, **changes)


def an_audio_track(**changes: Any) -> AudioTrack:
    """English stereo at 128 kbps."""
    track = AudioTrack(
        track_id="a-en",
        language="en",
        label="English",
        channels=2,
        sampling_rate_hz=48_000,
        codecs="mp4a.40.2",
        bitrate_kbps=128,
        key_id=AUDIO_KEY,
        segments=some_segments("a-en", kbps=128),
        is_default=True,
    )
    return msgspec.structs.replace(track, **changes)


def a_title(content_id: str = "tears", **changes: Any) -> Title:
    """A sound title of one minute: 240p to 1080p, one audio track."""
    title = Title(
        content_id=content_id,
        title=content_id.capitalize(),
        duration_ms=60_000,
        added_at_ms=NOW_MS,
        version=1,
        storage=(StorageLocation(url=f"file:///content/{content_id}"),),
        video=(
            a_rendition(240, 300),
            a_rendition(480, 1000),
            a_rendition(720, 2500),
            a_rendition(1080, 5000),
        ),
        audio=(an_audio_track(),),
    )
    return msgspec.structs.replace(title, **changes)


def a_session(session_id: str = SESSION_ID, **changes: Any) -> Session:
    """An open session of `tears` with everything allowed."""
    session = Session(
        session_id=session_id,
        account_id="account-1",
        profile_id="profile-1",
        content_id="tears",
        device=Device(device_id="device-1"),
        tiers=("audio", "sd", "hd"),
        max_height=2160,
        max_bitrate_kbps=0,
        plan="premium",
        region="DE",
        opened_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + 86_400_000,
    )
    return msgspec.structs.replace(session, **changes)


def a_bandwidth(sequence: int, **changes: Any) -> Bandwidth:
    """A measurement that tells nothing yet."""
    event = Bandwidth(
        session_id=SESSION_ID, sequence=sequence, at=datetime.fromtimestamp(NOW_MS / 1000, UTC)
    )
    return msgspec.structs.replace(event, **changes)


def some_feedback(content_id: str, **changes: Any) -> TitleFeedback:
    """What `profile-1` says of a title: nothing, unless told."""
    feedback = TitleFeedback(
        profile_id="profile-1", account_id="account-1", content_id=content_id, at_ms=NOW_MS
    )
    return msgspec.structs.replace(feedback, **changes)


def a_watch(content_id: str, step: str = "started", **changes: Any) -> Watch:
    """A step of `profile-1`, in a session named after the content."""
    watch = Watch(
        profile_id="profile-1",
        account_id="account-1",
        content_id=content_id,
        session_id=f"session-{content_id}",
        step=step,  # type: ignore[arg-type]  # one of the literal's words
        playhead_ms=0,
        completion_ratio=0.0,
        at_ms=NOW_MS,
    )
    return msgspec.structs.replace(watch, **changes)
