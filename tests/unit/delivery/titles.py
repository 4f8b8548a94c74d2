"""Titles and viewers for the delivery tests; the ladder is that of the captured manifests."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from gateway.delivery.viewer import Viewer, name_cdns
from schemas.catalog import AudioTrack, Rendition, Segments, SubtitleTrack, Tier, Title

AUDIO_KEY = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
SD_KEY = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2"
HD_KEY = "ccccccccccccccccccccccccccccccc3"
CDNS = name_cdns(["http://127.0.0.1:18081/c", "http://localhost:18082/c/"])
AUDIO_TICKS = (*(96256,) * 3, 95232) * 7 + (96256, 95744)


def a_rendition(height: int, **changes: Any) -> Rendition:
    tier: Tier = "hd" if height >= 720 else "sd"
    rendition = Rendition(
        rendition_id=f"v{height}",
        width=height * 16 // 9,
        height=height,
        frame_rate=25.0,
        codecs="avc1.42c01e",
        bitrate_kbps=height * 3,
        average_bitrate_kbps=height * 2,
        tier=tier,
        key_id=HD_KEY if tier == "hd" else SD_KEY,
        segments=Segments(
            init=f"v{height}/init.mp4",
            media=f"v{height}/$Number$.m4s",
            timescale=12800,
            durations=(25600,) * 30,
        ),
    )
    return msgspec.structs.replace(rendition, **changes)


def an_audio_track(track_id: str = "a", **changes: Any) -> AudioTrack:
    track = AudioTrack(
        track_id=track_id,
        language="en",
        label="English",
        channels=2,
        sampling_rate_hz=48000,
        codecs="mp4a.40.2",
        bitrate_kbps=104,
        key_id=AUDIO_KEY,
        segments=Segments(
            init=f"{track_id}/init.mp4",
            media=f"{track_id}/$Number$.m4s",
            timescale=48000,
            durations=AUDIO_TICKS,
        ),
    )
    return msgspec.structs.replace(track, **changes)


def a_title(**changes: Any) -> Title:
    title = Title(
        content_id="cenc",
        title="Tears",
        duration_ms=60_000,
        version=1,
        video=tuple(a_rendition(height) for height in (240, 360, 480, 720)),
        audio=(an_audio_track(),),
        subtitles=(
            SubtitleTrack(track_id="sub-de", language="de", label="Deutsch", path="sub/de.vtt"),
        ),
    )
    return msgspec.structs.replace(title, **changes)


def a_viewer(**changes: Any) -> Viewer:
    viewer = Viewer(
        session_id="11111111-1111-4111-8111-111111111111",
        root_url="http://127.0.0.1:18080/s/TOKEN",
        tiers=("audio", "sd", "hd"),
        cdns=CDNS,
    )
    return msgspec.structs.replace(viewer, **changes)


TIERS: list[Tier] = ["sd", "hd", "uhd"]


@st.composite
def titles(draw: st.DrawFn) -> Title:
    """Any ladder: each rendition of any tier and codec, under its tier's key or in clear."""
    heights = draw(st.lists(st.integers(2, 2160), min_size=1, max_size=8, unique=True))
    is_clear = draw(st.booleans())
    video = []
    for height in sorted(heights):
        tier = draw(st.sampled_from(TIERS))
        video.append(
            a_rendition(
                height,
                tier=tier,
                key_id=None if is_clear else f"{TIERS.index(tier) + 1:032x}",
                codecs=draw(st.sampled_from(["avc1.42c01e", "av01.0.04M.08"])),
                bitrate_kbps=draw(st.integers(1, 20_000)),
                frame_rate=draw(st.sampled_from([23.976, 25.0, 29.97, 60.0])),
            )
        )
    labels = draw(st.lists(st.text(max_size=8), max_size=3))
    audio = tuple(an_audio_track(f"a{index}", label=label) for index, label in enumerate(labels))
    return a_title(video=tuple(video), audio=audio)


@st.composite
def viewers(draw: st.DrawFn) -> Viewer:
    return a_viewer(
        tiers=tuple(draw(st.sets(st.sampled_from(TIERS)))),
        height_max=draw(st.integers(0, 2160)),
        bitrate_kbps_max=draw(st.integers(0, 20_000)),
        player=draw(st.sampled_from(["shaka", "dashjs", "hlsjs"])),
    )
