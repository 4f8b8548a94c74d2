"""Which renditions a picture gets: pure, never larger than the source."""

from __future__ import annotations

import msgspec

from schemas.catalog import Tier


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a ladder; `height` is that of the shorter side, as in "720p"."""

    height: int
    bitrate_kbps: int
    tier: Tier


class FittedRung(msgspec.Struct, frozen=True, kw_only=True):
    """A rung in the shape of one picture, in even pixels."""

    rendition_id: str
    width: int
    height: int
    bitrate_kbps: int
    tier: Tier


DEFAULT_LADDER = (
    Rung(height=240, bitrate_kbps=300, tier="sd"),
    Rung(height=360, bitrate_kbps=600, tier="sd"),
    Rung(height=480, bitrate_kbps=1100, tier="sd"),
    Rung(height=720, bitrate_kbps=2500, tier="hd"),
    Rung(height=1080, bitrate_kbps=4500, tier="hd"),
)


def fit_ladder(ladder: tuple[Rung, ...], *, width: int, height: int) -> tuple[FittedRung, ...]:
    """The rungs that need no upscaling, lowest first; a picture below them all keeps its size."""
    assert ladder
    assert min(width, height) > 0
    rungs = sorted(ladder, key=lambda rung: rung.height)
    shorter = min(width, height)
    fitting = [rung for rung in rungs if rung.height <= shorter]
    if not fitting:
        lowest = rungs[0]
        fitting = [msgspec.structs.replace(lowest, height=max(2, shorter - shorter % 2))]
    return tuple(_fit(rung, width, height) for rung in fitting)


def _fit(rung: Rung, width: int, height: int) -> FittedRung:
    scale = rung.height / min(width, height)
    return FittedRung(
        rendition_id=f"v{rung.height}",
        width=_even(width * scale),
        height=_even(height * scale),
        bitrate_kbps=rung.bitrate_kbps,
        tier=rung.tier,
    )


def _even(pixels: float) -> int:
    return max(2, 2 * round(pixels / 2))
