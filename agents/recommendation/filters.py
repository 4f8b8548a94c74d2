"""Which titles may be offered to a viewer now; looked at before ranking, and again when served."""

from __future__ import annotations

import msgspec

from schemas.catalog import Title


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """What limits a profile, and where it looks."""

    maturity: int
    region: str
    plan: str
    os: str = ""
    """Of the device; empty: not known. It limits nothing."""


def may_be_offered(title: Title, viewer: Viewer, now_ms: int) -> bool:
    """Listed, playable, for this age, region, plan and time."""
    return (
        title.listed
        and title.maturity <= viewer.maturity
        and (not title.regions or viewer.region in title.regions)
        and (not title.plans or viewer.plan in title.plans)
        and (title.available_from_ms is None or title.available_from_ms <= now_ms)
        and (title.available_until_ms is None or now_ms < title.available_until_ms)
    )
