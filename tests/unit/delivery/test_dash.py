from pathlib import Path

import pytest
from hypothesis import given
from lxml import etree

from gateway.delivery.assembly import Assembly
from gateway.delivery.entitlement import NothingPlayableError
from gateway.delivery.viewer import Viewer
from schemas.catalog import Title
from tests.unit.delivery.titles import (
    CDNS,
    HD_KEY,
    SD_KEY,
    a_rendition,
    a_title,
    a_viewer,
    an_audio_track,
    titles,
    viewers,
)

CAPTURES = Path(__file__).parents[2] / "contracts" / "captures" / "manifests"
NAMESPACES = {
    "m": "urn:mpeg:dash:schema:mpd:2011",
    "cenc": "urn:mpeg:cenc:2013",
    "dashif": "https://dashif.org/CPS",
}


def mpd_of(title: Title, viewer: Viewer) -> etree._Element:
    return etree.fromstring(Assembly().mpd(title, viewer).encode())


def texts(root: etree._Element, path: str) -> list[str]:
    return [str(found) for found in root.xpath(path, namespaces=NAMESPACES)]  # type: ignore[union-attr]  # stubs: xpath may give a scalar


def protections(root: etree._Element) -> list[list[tuple[str, str, str]]]:
    """Per encrypted adaptation set: scheme, value, key id of each ContentProtection, in order."""
    return [
        [
            (
                str(element.get("schemeIdUri")),
                str(element.get("value")),
                str(element.get(f"{{{NAMESPACES['cenc']}}}default_KID")),
            )
            for element in found.iterfind("m:ContentProtection", NAMESPACES)
        ]
        for found in root.iterfind(".//m:AdaptationSet", NAMESPACES)
        if found.get("contentType") != "text"
    ]


def timelines(root: etree._Element) -> dict[str, list[dict[str, str]]]:
    return {
        str(template.get("initialization")).partition("/")[0]: [
            {str(key): str(value) for key, value in entry.attrib.items()}
            for entry in template.iterfind("m:SegmentTimeline/m:S", NAMESPACES)
        ]
        for template in root.iterfind(".//m:SegmentTemplate", NAMESPACES)
    }


def test_the_mpd_has_the_elements_that_the_players_were_proven_with() -> None:
    proven = etree.parse(CAPTURES / "gateway_dash_works_in_shaka_and_dashjs.mpd").getroot()
    ours = mpd_of(a_title(), a_viewer())
    assert protections(ours) == protections(proven)
    assert timelines(ours) == timelines(proven)
    bases = "/m:MPD/m:BaseURL"
    assert texts(ours, f"{bases}/text()") == texts(proven, f"{bases}/text()")
    assert texts(ours, f"{bases}/@serviceLocation") == ["alpha", "beta"]
    switching = "//m:SupplementalProperty/@value"
    assert texts(ours, switching) == texts(proven, switching)


def test_every_license_url_leads_through_the_session() -> None:
    root = mpd_of(a_title(), a_viewer())
    urls = texts(root, "//dashif:Laurl/text()")
    assert urls == ["http://127.0.0.1:18080/s/TOKEN/license"] * 3


def test_no_pssh_and_no_common_system_element_is_there() -> None:
    # Either of them keeps dash.js from asking for a license.
    text = Assembly().mpd(a_title(), a_viewer())
    assert "pssh" not in text
    assert "1077efec" not in text


def test_steering_and_cmcd_are_told_under_the_session() -> None:
    root = mpd_of(a_title(), a_viewer())
    assert texts(root, "//m:ContentSteering/@defaultServiceLocation") == ["alpha"]
    assert texts(root, "//m:ContentSteering/text()") == ["http://127.0.0.1:18080/s/TOKEN/steering"]
    # Without it dash.js never asks.
    assert texts(root, "//m:ContentSteering/@queryBeforeStart") == ["true"]
    parameters = root.find(
        "m:ServiceDescription/m:ClientDataReporting/m:CMCDParameters", NAMESPACES
    )
    assert parameters is not None
    assert parameters.get("sessionID") == a_viewer().session_id
    assert parameters.get("contentID") == "cenc"
    assert parameters.get("version") == "2"


def test_the_preferred_cdn_comes_first() -> None:
    root = mpd_of(a_title(), a_viewer(cdns=CDNS[::-1]))
    assert texts(root, "/m:MPD/m:BaseURL/@serviceLocation") == ["beta", "alpha"]
    assert texts(root, "//m:ContentSteering/@defaultServiceLocation") == ["beta"]


def test_segments_carry_the_session_id_and_not_the_token() -> None:
    root = mpd_of(a_title(), a_viewer())
    urls = texts(root, "//m:SegmentTemplate/@media") + texts(root, "//m:Representation/m:BaseURL")
    assert len(urls) == 6
    for url in texts(root, "//m:SegmentTemplate/@*[name() = 'media' or name() = 'initialization']"):
        assert url.endswith(f"?sid={a_viewer().session_id}")
        assert "TOKEN" not in url


def test_a_viewer_without_hd_sees_neither_its_rendition_nor_its_key() -> None:
    text = Assembly().mpd(a_title(), a_viewer(tiers=("audio", "sd")))
    assert "v720" not in text
    assert HD_KEY[:8] not in text
    assert "v480" in text
    assert SD_KEY[:8] in text


def test_a_clear_title_has_no_protection() -> None:
    title = a_title(video=(a_rendition(240, key_id=None),), audio=(an_audio_track(key_id=None),))
    root = mpd_of(title, a_viewer())
    assert root.find(".//m:ContentProtection", NAMESPACES) is None


def test_each_audio_and_subtitle_track_is_a_set_with_its_language_and_label() -> None:
    title = a_title(
        audio=(
            an_audio_track("a-en"),
            an_audio_track("a-de", language="de", label="Deutsch & <mehr>", is_default=True),
        )
    )
    root = mpd_of(title, a_viewer())
    audio = "//m:AdaptationSet[@contentType='audio']"
    assert texts(root, f"{audio}/@lang") == ["en", "de"]
    assert texts(root, f"{audio}/m:Label/text()") == ["English", "Deutsch & <mehr>"]
    assert texts(root, f"{audio}/m:Role/@value") == ["alternate", "main"]
    subtitles = "//m:AdaptationSet[@contentType='text']"
    assert texts(root, f"{subtitles}/@mimeType") == ["text/vtt"]
    assert texts(root, f"{subtitles}//m:BaseURL/text()") == [
        f"sub/de.vtt?sid={a_viewer().session_id}"
    ]


def test_renditions_of_another_codec_are_not_switched_to() -> None:
    title = a_title(
        video=(a_rendition(240), a_rendition(720), a_rendition(480, codecs="av01.0.04M.08"))
    )
    root = mpd_of(title, a_viewer())
    joined = {
        str(found.get("id")): texts(found, "m:SupplementalProperty/@value")
        for found in root.iterfind(".//m:AdaptationSet[@contentType='video']", NAMESPACES)
    }
    assert joined == {"1": [], "2": ["3"], "3": ["2"]}


@pytest.mark.parametrize(
    ("frame_rate", "written"), [(25.0, "25"), (29.97, "2997/100"), (30000 / 1001, "30000/1001")]
)
def test_frame_rates_are_written_as_ratios(frame_rate: float, written: str) -> None:
    root = mpd_of(a_title(video=(a_rendition(240, frame_rate=frame_rate),)), a_viewer())
    assert texts(root, "//m:Representation/@frameRate") == [written]


@given(titles(), viewers())
def test_nothing_beyond_the_entitlement_appears_and_the_lowest_stays(
    title: Title, viewer: Viewer
) -> None:
    allowed = [rendition for rendition in title.video if rendition.tier in viewer.tiers]
    if not allowed:
        with pytest.raises(NothingPlayableError):
            Assembly().mpd(title, viewer)
        return
    root = mpd_of(title, viewer)
    named = set(texts(root, "//m:AdaptationSet[@contentType='video']/m:Representation/@id"))
    lowest = min(allowed, key=lambda rendition: (rendition.bitrate_kbps, rendition.height))
    assert named <= {rendition.rendition_id for rendition in allowed}
    for rendition in allowed:
        fits = (not viewer.height_max or rendition.height <= viewer.height_max) and (
            not viewer.bitrate_kbps_max or rendition.bitrate_kbps <= viewer.bitrate_kbps_max
        )
        if rendition.rendition_id in named - {lowest.rendition_id}:
            assert fits
        elif fits:
            assert rendition.rendition_id in named
    assert named
    entitled_keys = {rendition.key_id for rendition in allowed}
    entitled_keys |= {track.key_id for track in title.audio}
    key_ids = {key_id.replace("-", "") for key_id in texts(root, "//@cenc:default_KID")}
    assert key_ids <= entitled_keys
