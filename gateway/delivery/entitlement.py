"""Which renditions of a title a viewer's manifest may name."""

from __future__ import annotations

from gateway.delivery.viewer import Viewer
from schemas.catalog import Rendition, Title
from schemas.errors import PlayheadError


class NothingPlayableError(PlayheadError):
    """No rendition of the title is within the session's tiers: answer 403, do not retry."""


def entitled_renditions(title: Title, viewer: Viewer) -> tuple[Rendition, ...]:
    """The renditions of the viewer's tiers within the limits of height and bitrate, lowest first.

    Tiers are entitlement and hold strictly: each has its own key. Height and bitrate only shape
    delivery, so the lowest entitled rendition stays whatever they say.
    Raises NothingPlayableError where no tier matches.
    """
    allowed = sorted(
        (rendition for rendition in title.video if rendition.tier in viewer.tiers),
        key=lambda rendition: (rendition.bitrate_kbps, rendition.height),
    )
    if not allowed:
        raise NothingPlayableError(title.content_id)
    fitting = tuple(rendition for rendition in allowed if _fits(rendition, viewer))
    return fitting or (allowed[0],)


def _fits(rendition: Rendition, viewer: Viewer) -> bool:
    # A portrait picture is "720p" by its width.
    shorter_side = min(rendition.width, rendition.height)
    return (not viewer.height_max or shorter_side <= viewer.height_max) and (
        not viewer.bitrate_kbps_max or rendition.bitrate_kbps <= viewer.bitrate_kbps_max
    )
