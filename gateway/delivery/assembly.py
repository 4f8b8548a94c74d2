"""The manifests of one gateway process: entitlement first, then a cached template, then filled."""

from __future__ import annotations

from gateway.delivery.dash import build_mpd
from gateway.delivery.entitlement import entitled_renditions
from gateway.delivery.hls_master import build_master
from gateway.delivery.hls_media import build_media
from gateway.delivery.pathways import audio_kbps_max, prioritize
from gateway.delivery.steering import SteeringAnswer, answer_steering
from gateway.delivery.template import TemplateCache, fill
from gateway.delivery.viewer import Viewer
from schemas.catalog import Rendition, Title


class Assembly:
    """Makes manifests for viewers. Every call raises NothingPlayableError where no tier matches."""

    def __init__(self, cache: TemplateCache | None = None) -> None:
        self._cache = cache or TemplateCache()

    def mpd(self, title: Title, viewer: Viewer) -> str:
        """``manifest.mpd``."""
        renditions = entitled_renditions(title, viewer)
        template = self._cache.get_or_build(
            ("mpd", *_shape(title, renditions), viewer.cdns),
            lambda: build_mpd(title, renditions, viewer.cdns),
        )
        return fill(template, viewer)

    def master(self, title: Title, viewer: Viewer) -> str:
        """``master.m3u8`` for the viewer's player family."""
        renditions = entitled_renditions(title, viewer)
        template = self._cache.get_or_build(
            ("master", *_shape(title, renditions), viewer.cdns, viewer.player),
            lambda: build_master(title, renditions, viewer.cdns, viewer.player),
        )
        return fill(template, viewer)

    def media(self, title: Title, viewer: Viewer, track_id: str, cdn_name: str) -> str | None:
        """``{track}.m3u8?cdn=``; None where the title has no such track for this viewer.

        An unknown CDN reads as the preferred one: a player may come back with an old address.
        """
        renditions = entitled_renditions(title, viewer)
        withheld = {rendition.rendition_id for rendition in title.video} - {
            rendition.rendition_id for rendition in renditions
        }
        if track_id in withheld:
            return None
        cdn = next((cdn for cdn in viewer.cdns if cdn.name == cdn_name), viewer.cdns[0])
        template = self._cache.get_or_build(
            ("media", title.content_id, title.version, track_id, cdn),
            lambda: build_media(title, track_id, cdn) or "",
        )
        return fill(template, viewer) if template else None

    def steering(
        self, title: Title, viewer: Viewer, *, ttl_s: int, ceiling_kbps: int | None = None
    ) -> SteeringAnswer:
        """What ``steering`` answers: the viewer's CDNs in order, for hls.js under the ceiling."""
        priority = prioritize(
            [cdn.name for cdn in viewer.cdns],
            entitled_renditions(title, viewer),
            player=viewer.player,
            audio_kbps=audio_kbps_max(title),
            ceiling_kbps=ceiling_kbps,
        )
        reload_uri = f"{viewer.root_url}/steering?kf={viewer.player}"
        return answer_steering(priority, ttl_s=ttl_s, reload_uri=reload_uri)


def _shape(title: Title, renditions: tuple[Rendition, ...]) -> tuple[str | int, ...]:
    ids = ",".join(rendition.rendition_id for rendition in renditions)
    return title.content_id, title.version, ids
