"""Whether renditions and tracks fit together, so that a player can switch between them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from agents.catalog.paths import path_problem
from schemas.catalog import AudioTrack, Rendition, Segments, Title

SEGMENTS_MAX: Final = 50_000
DURATION_TOLERANCE_MS: Final = 2_000
DURATION_TOLERANCE_RATIO: Final = 0.05
BOUNDARY_TOLERANCE_MS: Final = 100
"""How far segments of two renditions may start apart."""


def video_problems(title: Title) -> Iterator[str]:
    """What is wrong with the ladder."""
    for index, rendition in enumerate(title.video):
        field = f"video[{index}]"
        yield from _rendition_problems(field, rendition)
        yield from _segments_problems(f"{field}.segments", rendition.segments, title.duration_ms)
    for index, (lower, higher) in enumerate(pairwise(title.video), start=1):
        if higher.bitrate_kbps < lower.bitrate_kbps:
            yield f"video[{index}].bitrate_kbps: lowest first"
        if higher.height < lower.height:
            yield f"video[{index}].height: below the one before"
    yield from _alignment_problems(title.video)


def audio_problems(title: Title) -> Iterator[str]:
    """What is wrong with the sound."""
    for index, track in enumerate(title.audio):
        field = f"audio[{index}]"
        yield from _track_problems(field, track)
        yield from _segments_problems(f"{field}.segments", track.segments, title.duration_ms)
    if sum(track.is_default for track in title.audio) > 1:
        yield "audio: at most one default track"


def _rendition_problems(field: str, rendition: Rendition) -> Iterator[str]:
    if not (0 < rendition.width <= 16_384 and 0 < rendition.height <= 16_384):
        yield f"{field}: width and height are 1 to 16384"
    if not 0 < rendition.frame_rate <= 300:
        yield f"{field}.frame_rate: above 0, at most 300"
    if not rendition.codecs.strip():
        yield f"{field}.codecs: as RFC 6381 writes them"
    if rendition.tier == "audio":
        yield f"{field}.tier: a picture's"
    if not 0 < rendition.average_bitrate_kbps <= rendition.bitrate_kbps:
        yield f"{field}.average_bitrate_kbps: above 0, at most the peak"


def _track_problems(field: str, track: AudioTrack) -> Iterator[str]:
    if track.channels <= 0 or track.sampling_rate_hz <= 0 or track.bitrate_kbps <= 0:
        yield f"{field}: channels, sampling_rate_hz and bitrate_kbps are above 0"
    if not track.codecs.strip():
        yield f"{field}.codecs: as RFC 6381 writes them"
    if not track.language.strip():
        yield f"{field}.language: a BCP 47 tag, `und` where unknown"


def _segments_problems(field: str, segments: Segments, duration_ms: int) -> Iterator[str]:
    for name, path in (("init", segments.init), ("media", segments.media)):
        problem = path_problem(path)
        if problem:
            yield f"{field}.{name}: {problem}"
    if segments.media.count("$Number$") != 1 or "$" in segments.media.replace("$Number$", ""):
        yield f"{field}.media: holds $Number$ once and no other template"
    if segments.timescale <= 0 or segments.first_number < 0:
        yield f"{field}: timescale is above 0, first_number not below"
        return
    count = len(segments.durations)
    if not 0 < count <= SEGMENTS_MAX or min(segments.durations) <= 0:
        yield f"{field}.durations: 1 to {SEGMENTS_MAX}, each above 0"
        return
    if segments.sizes_bytes and (
        len(segments.sizes_bytes) != count or min(segments.sizes_bytes) <= 0
    ):
        yield f"{field}.sizes_bytes: one for each duration, each above 0"
    length_ms = 1000 * sum(segments.durations) / segments.timescale
    tolerance_ms = max(DURATION_TOLERANCE_MS, DURATION_TOLERANCE_RATIO * duration_ms)
    if abs(length_ms - duration_ms) > tolerance_ms:
        yield f"{field}.durations: {length_ms:.0f} ms together, the title has {duration_ms}"


def _alignment_problems(renditions: tuple[Rendition, ...]) -> Iterator[str]:
    """Switching at a segment border needs the same borders in every rendition."""
    if not renditions or renditions[0].segments.timescale <= 0:
        return
    wanted = _starts_ms(renditions[0].segments)
    for index, rendition in enumerate(renditions[1:], start=1):
        if rendition.segments.timescale <= 0:
            continue
        starts = _starts_ms(rendition.segments)
        is_aligned = len(starts) == len(wanted) and all(
            abs(start - other) <= BOUNDARY_TOLERANCE_MS
            for start, other in zip(starts, wanted, strict=True)
        )
        if not is_aligned:
            yield f"video[{index}].segments: borders differ from those of video[0]"


def _starts_ms(segments: Segments) -> list[float]:
    starts: list[float] = []
    ticks = 0
    for duration in segments.durations:
        starts.append(1000 * ticks / segments.timescale)
        ticks += duration
    return starts
