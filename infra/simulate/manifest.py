"""What a viewer needs of an MPD: length, ladder, key ids, where segments are."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

import msgspec
from lxml import etree

from infra.simulate.playback import Rung
from schemas.errors import InvalidMessageError

_MPD: Final = "{urn:mpeg:dash:schema:mpd:2011}"
_KID: Final = "{urn:mpeg:cenc:2013}default_KID"
_DURATION: Final = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The MPD as far as it matters here."""

    duration_ms: int
    ladder: tuple[Rung, ...]
    key_ids: tuple[str, ...]
    """Hex, each once."""


def read_manifest(body: bytes) -> Manifest:
    """Raises InvalidMessageError where it is no manifest with a picture."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise InvalidMessageError("manifest", str(error)) from error
    base = root.findtext(f"{_MPD}BaseURL") or ""
    sets = [s for s in root.iter(f"{_MPD}AdaptationSet") if s.get("contentType") == "video"]
    ladder = tuple(
        _rung(each, base) for group in sets for each in group.iter(f"{_MPD}Representation")
    )
    duration_ms = _duration_ms(root.get("mediaPresentationDuration") or "")
    if not ladder or not duration_ms:
        raise InvalidMessageError("manifest", "it has no picture, or no length")
    kids = [UUID(kid).hex for e in root.iter() if (kid := e.get(_KID)) is not None]
    return Manifest(duration_ms=duration_ms, ladder=ladder, key_ids=tuple(dict.fromkeys(kids)))


def _rung(representation: etree._Element, base: str) -> Rung:
    template = representation.find(f"{_MPD}SegmentTemplate")
    media = template.get("media", "") if template is not None else ""
    first = template.get("startNumber", "1") if template is not None else "1"
    return Rung(
        bitrate_kbps=int(representation.get("bandwidth") or 0) // 1000,
        height=int(representation.get("height") or 0),
        media=base + media if media else "",
        first_number=int(first),
    )


def _duration_ms(text: str) -> int:
    parts = _DURATION.fullmatch(text)
    if parts is None:
        return 0
    hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return round((hours * 3600 + minutes * 60 + seconds) * 1000)
