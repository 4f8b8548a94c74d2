"""Content steering's pathways: one per CDN, and for hls.js one per CDN and ceiling.

hls.js knows no CMSD, but it plays only the variants of the pathway it is steered to. So each CDN
comes again with every shorter ladder, and a bitrate ceiling is an order of pathways.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.delivery.viewer import Cdn, Player
from schemas.catalog import Rendition, Title


class Pathway(msgspec.Struct, frozen=True, kw_only=True):
    """A name that steering can prefer, and what a player finds there."""

    name: str
    cdn: Cdn
    renditions: tuple[Rendition, ...]


def list_pathways(
    cdns: Sequence[Cdn], renditions: tuple[Rendition, ...], player: Player
) -> tuple[Pathway, ...]:
    """The pathways of a multivariant playlist, the preferred CDN's whole ladder first."""
    whole = [Pathway(name=cdn.name, cdn=cdn, renditions=renditions) for cdn in cdns]
    if player != "hlsjs":
        return tuple(whole)
    capped = [
        Pathway(
            name=_capped_name(cdn.name, renditions[length - 1]),
            cdn=cdn,
            renditions=renditions[:length],
        )
        for length in range(len(renditions) - 1, 0, -1)
        for cdn in cdns
    ]
    return tuple(whole + capped)


def prioritize(
    order: Sequence[str],
    renditions: tuple[Rendition, ...],
    *,
    player: Player,
    audio_kbps: int = 0,
    ceiling_kbps: int | None = None,
) -> tuple[str, ...]:
    """Pathway names, best first: CDNs in `order`, under the ceiling (video and audio together).

    `renditions` are those of the manifest, lowest first. The whole ladder follows at the end, so
    that a player which gave up on the capped pathways still finds one.
    """
    if player != "hlsjs" or ceiling_kbps is None:
        return tuple(order)
    fitting = sum(rendition.bitrate_kbps + audio_kbps <= ceiling_kbps for rendition in renditions)
    if fitting == len(renditions):
        return tuple(order)
    top = renditions[max(fitting, 1) - 1]
    if len(renditions) == 1:
        return tuple(order)
    return (*(_capped_name(name, top) for name in order), *order)


def audio_kbps_max(title: Title) -> int:
    """The rate of the title's heaviest audio track, which every variant is counted with."""
    return max((track.bitrate_kbps for track in title.audio), default=0)


def _capped_name(cdn: str, top: Rendition) -> str:
    return f"{cdn}-{top.rendition_id}"
