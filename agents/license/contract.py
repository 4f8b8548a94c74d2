"""Which tier each key of a packager's contract is for: pure.

A license is granted per tier, so that one key must be for one tier, and a tier has one key.
SPEKE v2.0, Encryption contract; CPIX 2.3, ContentKeyUsageRule and VideoFilter.
"""

from __future__ import annotations

from typing import Final

from schemas.catalog import Tier
from schemas.envelope import Refused
from schemas.errors import PlayheadError
from schemas.packaging import AskedKey, TrackFilter

PIXELS_MAX: Final = (1 << 32) - 1
PIXELS: Final[dict[Tier, tuple[int, int]]] = {
    "sd": (0, 589_824),
    "hd": (589_825, 2_073_600),
    "uhd": (2_073_601, PIXELS_MAX),
}
"""Encoded width × height; up to 1024×576 and up to 1920×1080, as packagers' presets have them."""
NAMED: Final[dict[str, Tier]] = {
    "SD": "sd",
    **dict.fromkeys(("HD", "HD1", "HD2"), "hd"),
    **dict.fromkeys(("UHD", "UHD1", "UHD2"), "uhd"),
    "AUDIO": "audio",
    "STEREO_AUDIO": "audio",
    "MULTICHANNEL_AUDIO": "audio",
    "MULTICHANNEL_AUDIO_3_6": "audio",
    "MULTICHANNEL_AUDIO_7": "audio",
}
"""Track types that say a tier; of any other (VIDEO, ALL, LOWRES) only its filters do."""


class ContractError(PlayheadError):
    """The contract cannot be kept; `reason` is stable, the text says what to ask for instead."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.refused = Refused(status=422, reason=reason, detail=detail)


def tiers_of(contract: tuple[AskedKey, ...]) -> tuple[Tier, ...]:
    """The tier of each key, in their order. Raises ContractError."""
    tiers: list[Tier] = []
    for asked in contract:
        tier = _tier_of(asked)
        if tier in tiers:
            raise ContractError(
                "tier-twice", f"{asked.track_type} is a second key for tier {tier}: ask for one"
            )
        tiers.append(tier)
    if len({asked.key_id for asked in contract}) < len(contract):
        raise ContractError("key-twice", "two tracks are asked for under one key id")
    return tuple(tiers)


def _tier_of(asked: AskedKey) -> Tier:
    names = asked.track_type.split("+")
    named = {NAMED[name] for name in names if name in NAMED}
    says_all = all(name in NAMED for name in names)
    lowest, highest = _default_pixels(named) if says_all else (0, PIXELS_MAX)
    covered = set(named)
    for each in asked.filters:
        covered |= _tiers_of_filter(each, lowest, highest)
    if len(covered) != 1:
        told = ", ".join(sorted(covered))
        raise ContractError(
            "shared-key",
            f"{asked.track_type} covers {told}: a key is for one of AUDIO, SD (to 589824 pixels),"
            " HD (to 2073600) and UHD",
        )
    return covered.pop()


def _default_pixels(named: set[Tier]) -> tuple[int, int]:
    """What a filter without bounds means where the track type says a tier.

    Presets leave the upper bound of their highest tier open: HD without UHD goes as far as HD.
    """
    spans = [PIXELS[tier] for tier in named if tier in PIXELS]
    if not spans:
        return 0, PIXELS_MAX
    return min(low for low, _ in spans), max(high for _, high in spans)


def _tiers_of_filter(asked: TrackFilter, lowest: int, highest: int) -> set[Tier]:
    if asked.kind == "audio":
        return {"audio"}
    low = lowest if asked.min_pixels is None else asked.min_pixels
    high = highest if asked.max_pixels is None else asked.max_pixels
    if low > high:
        raise ContractError("empty-filter", f"no track has {low} to {high} pixels")
    return {tier for tier, (first, last) in PIXELS.items() if low <= last and high >= first}
