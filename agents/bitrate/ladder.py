"""The rungs that a session may climb: its title's renditions within device and plan."""

from __future__ import annotations

import msgspec

from schemas.catalog import Rendition, Title
from schemas.sessions import Session


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One rendition as the controller sees it."""

    rendition_id: str
    height: int
    bitrate_kbps: int
    """Of the picture, peak."""
    average_kbps: int
    """Picture and sound together: what a second of media costs to fetch."""
    ceiling_kbps: int
    """Picture and sound together, peak: players compare whole variants against it."""


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """What a session may play, lowest first; never empty."""

    rungs: tuple[Rung, ...]
    segment_ms: int
    max_height: int = 0
    plan_max_kbps: int = 0

    @property
    def ceilings_kbps(self) -> tuple[int, ...]:
        """The only values that a ceiling may have."""
        return tuple(rung.ceiling_kbps for rung in self.rungs)

    def index_of(self, ceiling_kbps: int | None) -> int | None:
        """The rung of a ceiling decided before; None where it is no longer on the ladder."""
        for index, rung in enumerate(self.rungs):
            if rung.ceiling_kbps == ceiling_kbps:
                return index
        return None


def build_ladder(title: Title, session: Session) -> Ladder | None:
    """The rungs within the session's tiers, height and bitrate; None where there is none.

    The sound counts with its largest track: whichever the viewer chooses, the rendition named
    with a ceiling still fits below it.
    """
    limits = [height for height in (session.max_height, session.device.max_height or 0) if height]
    max_height = min(limits, default=0)
    audio_kbps = max((track.bitrate_kbps for track in title.audio), default=0)
    allowed = [
        _rung(rendition, audio_kbps)
        for rendition in title.video
        if rendition.tier in session.tiers and (not max_height or rendition.height <= max_height)
    ]
    plan_max_kbps = session.max_bitrate_kbps
    if plan_max_kbps:
        allowed = [rung for rung in allowed if rung.ceiling_kbps <= plan_max_kbps]
    if not allowed:
        return None
    allowed.sort(key=lambda rung: rung.ceiling_kbps)
    return Ladder(
        rungs=tuple(allowed),
        segment_ms=_segment_ms(title),
        max_height=max_height,
        plan_max_kbps=plan_max_kbps,
    )


def _rung(rendition: Rendition, audio_kbps: int) -> Rung:
    return Rung(
        rendition_id=rendition.rendition_id,
        height=rendition.height,
        bitrate_kbps=rendition.bitrate_kbps,
        average_kbps=rendition.average_bitrate_kbps + audio_kbps,
        ceiling_kbps=rendition.bitrate_kbps + audio_kbps,
    )


def _segment_ms(title: Title) -> int:
    segments = title.video[0].segments
    if not segments.durations:
        return 4000
    mean_ticks = sum(segments.durations) / len(segments.durations)
    return max(500, round(1000 * mean_ticks / segments.timescale))
