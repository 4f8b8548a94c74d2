"""Reads the packager's MPD and files: exact segment durations, codecs, sizes, rates."""

from __future__ import annotations

from pathlib import Path

import msgspec
from lxml import etree

from infra.content.errors import MediaError
from schemas.catalog import Segments

NAMESPACES = {
    "mpd": "urn:mpeg:dash:schema:mpd:2011",
    "cenc": "urn:mpeg:cenc:2013",
}
DEFAULT_KEY_ID = "{urn:mpeg:cenc:2013}default_KID"
SHORT_SEGMENT_RATIO = 0.5


class TrackFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one packaged track is."""

    track_id: str
    codecs: str
    key_id: str | None
    channels: int
    sampling_rate_hz: int
    segments: Segments
    peak_kbps: int
    average_kbps: int

    def duration_ms(self) -> int:
        """The sum of its segments."""
        return sum(self.segments.durations) * 1000 // self.segments.timescale


def read_facts(manifest: Path, media_dir: Path, prefix: str) -> dict[str, TrackFacts]:
    """Facts by track id; `prefix` is where the title's folder will hold media_dir."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.parse(str(manifest), parser).getroot()
    found = root.iterfind(".//mpd:Representation", NAMESPACES)
    facts = (_track(element, media_dir, prefix) for element in found)
    return {fact.track_id: fact for fact in facts}


def _track(representation: etree._Element, media_dir: Path, prefix: str) -> TrackFacts:
    template = representation.find("mpd:SegmentTemplate", NAMESPACES)
    if template is None:
        raise MediaError("the packager wrote a track without segments")
    track_id = Path(str(template.attrib["initialization"])).parent.name
    durations = tuple(expand_timeline(template))
    sizes = _sizes(media_dir / track_id, len(durations))
    timescale = int(template.attrib["timescale"])
    peak_kbps, average_kbps = rates_kbps(durations, sizes, timescale)
    return TrackFacts(
        track_id=track_id,
        codecs=str(representation.attrib["codecs"]),
        key_id=_key_id(representation),
        channels=_channels(representation),
        sampling_rate_hz=int(representation.get("audioSamplingRate") or 0),
        segments=Segments(
            init=f"{prefix}/{track_id}/init.mp4",
            media=f"{prefix}/{track_id}/$Number$.m4s",
            timescale=timescale,
            durations=durations,
            sizes_bytes=sizes,
        ),
        peak_kbps=peak_kbps,
        average_kbps=average_kbps,
    )


def expand_timeline(template: etree._Element) -> list[int]:
    """Every segment's duration in ticks; a gap or a late start would break $Number$ addressing."""
    durations: list[int] = []
    clock = 0
    for entry in template.iterfind("mpd:SegmentTimeline/mpd:S", NAMESPACES):
        if int(entry.get("t") or clock) != clock:
            raise MediaError("the packaged timeline has a gap")
        ticks, repeats = int(entry.attrib["d"]), int(entry.get("r") or 0)
        durations += [ticks] * (repeats + 1)
        clock += ticks * (repeats + 1)
    if not durations:
        raise MediaError("the packager wrote an empty timeline")
    return durations


def rates_kbps(
    durations: tuple[int, ...], sizes_bytes: tuple[int, ...], timescale: int
) -> tuple[int, int]:
    """Peak over segments, and average. A short last segment tells nothing about a peak."""
    longest = max(durations)
    peak = max(
        size * 8 * timescale / ticks / 1000
        for ticks, size in zip(durations, sizes_bytes, strict=True)
        if ticks >= longest * SHORT_SEGMENT_RATIO
    )
    average = sum(sizes_bytes) * 8 * timescale / sum(durations) / 1000
    return max(1, round(peak)), max(1, round(average))


def _sizes(track_dir: Path, count: int) -> tuple[int, ...]:
    return tuple((track_dir / f"{n}.m4s").stat().st_size for n in range(1, count + 1))


def _key_id(representation: etree._Element) -> str | None:
    adaptation_set = representation.getparent()
    assert adaptation_set is not None
    for protection in adaptation_set.iterfind("mpd:ContentProtection", NAMESPACES):
        key_id = protection.get(DEFAULT_KEY_ID)
        if key_id:
            return key_id.replace("-", "").lower()
    return None


def _channels(representation: etree._Element) -> int:
    configuration = representation.find("mpd:AudioChannelConfiguration", NAMESPACES)
    return int(configuration.attrib["value"]) if configuration is not None else 0
