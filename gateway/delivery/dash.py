"""The MPD of a title, in the form that unmodified Shaka Player and dash.js both accept.

ClearKey is told only by the e2719d58 scheme with its Laurl: a pssh, or the 1077efec scheme beside
it, breaks dash.js. Renditions under different keys lie in adaptation sets of their own, joined by
the switching property, so that a player may still cross from one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from uuid import UUID

from lxml import etree

from gateway.delivery.template import ROOT_URL, SESSION_ID, SESSION_QUERY, printable
from gateway.delivery.viewer import Cdn
from schemas.catalog import AudioTrack, Rendition, Segments, SubtitleTrack, Title

MPD = "urn:mpeg:dash:schema:mpd:2011"
CENC = "urn:mpeg:cenc:2013"
DASHIF = "https://dashif.org/CPS"
CLEAR_KEY = "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e"
CMCD_KEYS = "sid cid v br bl bs d mtp ot pr rtp sf sn st sta su tb ts"

_Element = etree._Element  # noqa: SLF001 - lxml has no public name for what it makes


def build_mpd(title: Title, renditions: tuple[Rendition, ...], cdns: Sequence[Cdn]) -> str:
    """A template of the MPD with these renditions, CDNs in order of preference."""
    root = etree.Element(
        f"{{{MPD}}}MPD",
        nsmap={None: MPD, "cenc": CENC, "dashif": DASHIF},  # type: ignore[dict-item]  # stubs: str
        profiles="urn:mpeg:dash:profile:isoff-live:2011",
        type="static",
        minBufferTime="PT2S",
        mediaPresentationDuration=f"PT{title.duration_ms / 1000:.3f}S",
    )
    for cdn in cdns:
        base = _add(root, "BaseURL", serviceLocation=cdn.name)
        base.text = f"{cdn.base_url}/{title.content_id}/"
    _add_steering(root, cdns)
    _add_client_data(root, title)
    period = _add(root, "Period", id="0")
    for index, track in enumerate(title.audio):
        _add_audio(period, track, is_main=track.is_default or (index == 0 and _no_default(title)))
    _add_video(period, renditions)
    for subtitle in title.subtitles:
        _add_subtitle(period, subtitle)
    for number, adaptation_set in enumerate(period):
        adaptation_set.set("id", str(number))
    _join_by_switching(period)
    text = etree.tostring(root, encoding="unicode", pretty_print=True)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'


def _add_steering(root: _Element, cdns: Sequence[Cdn]) -> None:
    # Without queryBeforeStart dash.js 5.2 never asks at all.
    steering = _add(
        root, "ContentSteering", defaultServiceLocation=cdns[0].name, queryBeforeStart="true"
    )
    steering.text = f"{ROOT_URL}/steering"


def _add_client_data(root: _Element, title: Title) -> None:
    """Has dash.js send CMCD with its requests under our session id, without any app code."""
    service = _add(root, "ServiceDescription", id="0")
    _add(
        _add(service, "ClientDataReporting"),
        "CMCDParameters",
        schemeIdUri="urn:mpeg:dash:cta-5004:2023",
        version="2",
        mode="query",
        includeInRequests="segment mpd",
        contentID=title.content_id,
        sessionID=SESSION_ID,
        keys=CMCD_KEYS,
    )


def _add_audio(period: _Element, track: AudioTrack, *, is_main: bool) -> None:
    adaptation_set = _add_set(period, "audio", track.key_id, is_main=is_main)
    adaptation_set.set("lang", track.language)
    _add_label(adaptation_set, track.label)
    representation = _add(
        adaptation_set,
        "Representation",
        id=track.track_id,
        bandwidth=str(track.bitrate_kbps * 1000),
        codecs=track.codecs,
        mimeType="audio/mp4",
        audioSamplingRate=str(track.sampling_rate_hz),
    )
    _add(
        representation,
        "AudioChannelConfiguration",
        schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011",
        value=str(track.channels),
    )
    _add_segments(representation, track.segments)


def _add_video(period: _Element, renditions: tuple[Rendition, ...]) -> None:
    def shared(rendition: Rendition) -> tuple[str, str]:
        return rendition.codecs.partition(".")[0], rendition.key_id or ""

    for (_, key_id), group in groupby(sorted(renditions, key=shared), key=shared):
        adaptation_set = _add_set(period, "video", key_id or None, is_main=True)
        for rendition in sorted(group, key=lambda member: member.bitrate_kbps):
            representation = _add(
                adaptation_set,
                "Representation",
                id=rendition.rendition_id,
                bandwidth=str(rendition.bitrate_kbps * 1000),
                codecs=rendition.codecs,
                mimeType="video/mp4",
                width=str(rendition.width),
                height=str(rendition.height),
                frameRate=_ratio(rendition.frame_rate),
            )
            _add_segments(representation, rendition.segments)


def _add_subtitle(period: _Element, track: SubtitleTrack) -> None:
    adaptation_set = _add(
        period, "AdaptationSet", contentType="text", mimeType="text/vtt", lang=track.language
    )
    _add(adaptation_set, "Role", schemeIdUri="urn:mpeg:dash:role:2011", value="subtitle")
    _add_label(adaptation_set, track.label)
    representation = _add(adaptation_set, "Representation", id=track.track_id, bandwidth="1000")
    _add(representation, "BaseURL").text = f"{track.path}{SESSION_QUERY}"


def _add_set(period: _Element, content_type: str, key_id: str | None, *, is_main: bool) -> _Element:
    adaptation_set = _add(
        period,
        "AdaptationSet",
        contentType=content_type,
        segmentAlignment="true",
        startWithSAP="1",
    )
    if key_id is not None:
        _add_protection(adaptation_set, key_id)
    _add(
        adaptation_set,
        "Role",
        schemeIdUri="urn:mpeg:dash:role:2011",
        value="main" if is_main else "alternate",
    )
    return adaptation_set


def _add_protection(adaptation_set: _Element, key_id: str) -> None:
    encryption = _add(
        adaptation_set,
        "ContentProtection",
        schemeIdUri="urn:mpeg:dash:mp4protection:2011",
        value="cenc",
    )
    encryption.set(f"{{{CENC}}}default_KID", str(UUID(hex=key_id)))
    clear_key = _add(
        adaptation_set, "ContentProtection", schemeIdUri=CLEAR_KEY, value="ClearKey1.0"
    )
    etree.SubElement(clear_key, f"{{{DASHIF}}}Laurl").text = f"{ROOT_URL}/license"


def _add_segments(representation: _Element, segments: Segments) -> None:
    template = _add(
        representation,
        "SegmentTemplate",
        timescale=str(segments.timescale),
        initialization=f"{segments.init}{SESSION_QUERY}",
        media=f"{segments.media}{SESSION_QUERY}",
        startNumber=str(segments.first_number),
    )
    timeline = _add(template, "SegmentTimeline")
    start = 0
    for ticks, group in groupby(segments.durations):
        count = len(list(group))
        entry = _add(timeline, "S", t=str(start), d=str(ticks))
        if count > 1:
            entry.set("r", str(count - 1))
        start += ticks * count


def _join_by_switching(period: _Element) -> None:
    """Each video set names the others of its codec; players switch across keys only then."""
    sets = [element for element in period if element.get("contentType") == "video"]
    for adaptation_set in sets:
        others = [
            str(other.get("id"))
            for other in sets
            if other is not adaptation_set and _codec(other) == _codec(adaptation_set)
        ]
        if others:
            switching = etree.Element(
                f"{{{MPD}}}SupplementalProperty",
                schemeIdUri="urn:mpeg:dash:adaptation-set-switching:2016",
                value=",".join(others),
            )
            _role(adaptation_set).addprevious(switching)


def _add_label(adaptation_set: _Element, label: str) -> None:
    if label:
        element = etree.Element(f"{{{MPD}}}Label")
        element.text = printable(label)
        _role(adaptation_set).addprevious(element)


def _role(adaptation_set: _Element) -> _Element:
    """The Role: the schema wants properties and labels before it."""
    role = adaptation_set.find(f"{{{MPD}}}Role")
    assert role is not None
    return role


def _codec(adaptation_set: _Element) -> str:
    representation = adaptation_set.find(f"{{{MPD}}}Representation")
    assert representation is not None
    return str(representation.get("codecs")).partition(".")[0]


def _ratio(frame_rate: float) -> str:
    """A frame rate as DASH writes it: ``25`` or ``30000/1001``."""
    ratio = Fraction(frame_rate).limit_denominator(1001)
    return str(ratio)


def _no_default(title: Title) -> bool:
    return not any(track.is_default for track in title.audio)


def _add(parent: _Element, name: str, **attributes: str) -> _Element:
    return etree.SubElement(parent, f"{{{MPD}}}{name}", attributes)
