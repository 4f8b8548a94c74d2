"""Content steering's pathways: one per CDN, and for hls.js one per CDN and ceiling.

hls.js knows no CMSD, but it plays only the variants of the pathway it is steered to. So each CDN
comes again under every ceiling, and a bitrate ceiling is an order of pathways.

Every ladder has the same number of rungs, the highest that is left standing for those above it:
hls.js 1.6 goes on with the number of its level when the pathway changes. Where that number was not
there any more it threw ("reading 'maxBitrate'") at each look at its estimate, and stayed above the
ceiling for good [measured; it needs a steering answer before hls.js has come down by itself].
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

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
            renditions=_capped(renditions, length),
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


def _capped(renditions: tuple[Rendition, ...], length: int) -> tuple[Rendition, ...]:
    """The lowest so many, the top of them again in place of the others.

    Its copies say 1, 2, … kbit/s less, or hls.js would take them for one level.
    """
    top = renditions[length - 1]
    copies = tuple(
        replace(
            top,
            bitrate_kbps=max(1, top.bitrate_kbps - less_kbps),
            average_bitrate_kbps=max(1, top.average_bitrate_kbps - less_kbps),
        )
        for less_kbps in range(len(renditions) - length, 0, -1)
    )
    return (*renditions[: length - 1], *copies, top)


def audio_kbps_max(title: Title) -> int:
    """The rate of the title's heaviest audio track, which every variant is counted with."""
    return max((track.bitrate_kbps for track in title.audio), default=0)


def _capped_name(cdn: str, top: Rendition) -> str:
    return f"{cdn}-{top.rendition_id}"
