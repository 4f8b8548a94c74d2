"""Who asks for a manifest, and from which CDNs they may fetch: all that assembly depends on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from schemas.catalog import Tier

Player = Literal["shaka", "dashjs", "hlsjs"]

CDN_NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")


class Cdn(msgspec.Struct, frozen=True, kw_only=True):
    """One CDN: `base_url` is where the titles' folders lie, without a slash at its end."""

    name: str
    base_url: str


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a session token, and where its player is sent."""

    session_id: str
    root_url: str
    """``https://gateway/s/{session_token}``, without a slash at its end."""
    tiers: tuple[Tier, ...]
    height_max: int = 0
    """Of device and plan, as in "720p"; 0: no limit."""
    bitrate_kbps_max: int = 0
    """Of the plan, video alone; 0: no limit."""
    cdns: tuple[Cdn, ...]
    """The first is preferred; never empty."""
    player: Player = "shaka"


def name_cdns(base_urls: Sequence[str]) -> tuple[Cdn, ...]:
    """CDNs in the order of the setting, named alpha, beta, and so on."""
    return tuple(
        Cdn(name=name, base_url=url.rstrip("/"))
        for name, url in zip(CDN_NAMES, base_urls, strict=False)
    )


def order_cdns(cdns: Sequence[Cdn], order: Iterable[str]) -> tuple[Cdn, ...]:
    """The CDNs as a steering decision orders them; those it does not name follow, as they were."""
    rank = {name: position for position, name in enumerate(order)}
    return tuple(sorted(cdns, key=lambda cdn: rank.get(cdn.name, len(rank))))
