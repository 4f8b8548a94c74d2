import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given

from gateway.delivery.assembly import Assembly
from gateway.delivery.entitlement import NothingPlayableError
from gateway.delivery.viewer import Viewer
from schemas.catalog import Title
from tests.unit.delivery.titles import (
    HD_KEY,
    a_rendition,
    a_title,
    a_viewer,
    an_audio_track,
    titles,
    viewers,
)

CAPTURES = Path(__file__).parents[2] / "contracts" / "captures" / "manifests"
ATTRIBUTE = re.compile(r'([A-Z-]+)=("[^"]*"|[^,]*)')


def tags(playlist: str, name: str) -> list[dict[str, str]]:
    """The attribute lists of a tag, in order."""
    return [
        {key: value.strip('"') for key, value in ATTRIBUTE.findall(line.partition(":")[2])}
        for line in playlist.splitlines()
        if line.startswith(f"#{name}:")
    ]


def variants(playlist: str) -> dict[str, list[str]]:
    """STABLE-VARIANT-IDs by pathway."""
    found: dict[str, list[str]] = {}
    for variant in tags(playlist, "EXT-X-STREAM-INF"):
        found.setdefault(variant["PATHWAY-ID"], []).append(variant["STABLE-VARIANT-ID"])
    return found


def media(track_id: str, **changes: object) -> str:
    playlist = Assembly().media(a_title(**changes), a_viewer(), track_id, "alpha")
    assert playlist is not None
    return playlist


def test_the_master_has_the_attributes_that_the_players_were_proven_with() -> None:
    proven = (CAPTURES / "gateway_hls_master_steering.m3u8").read_text()
    ours = Assembly().master(a_title(subtitles=()), a_viewer())
    for name in ("EXT-X-STREAM-INF", "EXT-X-CONTENT-STEERING"):
        assert {frozenset(found) for found in tags(ours, name)} == {
            frozenset(found) for found in tags(proven, name)
        }
    assert frozenset(tags(proven, "EXT-X-MEDIA")[0]) < frozenset(tags(ours, "EXT-X-MEDIA")[0])
    assert variants(ours) == variants(proven)


def test_the_pathways_of_a_cdn_share_its_groups_so_that_no_ceiling_changes_the_audio() -> None:
    master = Assembly().master(a_title(), a_viewer(player="hlsjs"))
    listed = [(found["TYPE"], found["GROUP-ID"]) for found in tags(master, "EXT-X-MEDIA")]
    groups = set(listed)
    assert len(listed) == len(groups)
    for variant in tags(master, "EXT-X-STREAM-INF"):
        assert variant["AUDIO"] == f"audio-{variant['PATHWAY-ID'].partition('-')[0]}"
        assert ("AUDIO", variant["AUDIO"]) in groups
        assert ("SUBTITLES", variant["SUBTITLES"]) in groups


def test_shaka_is_told_the_pathway_of_subtitles_on_their_own_tag() -> None:
    master = Assembly().master(a_title(audio=()), a_viewer(player="shaka"))
    assert [found["PATHWAY-ID"] for found in tags(master, "EXT-X-MEDIA")] == ["alpha", "beta"]


def test_hlsjs_gets_a_pathway_for_every_ceiling() -> None:
    master = Assembly().master(a_title(), a_viewer(player="hlsjs"))
    assert variants(master) == {
        "alpha": ["v240", "v360", "v480", "v720"],
        "beta": ["v240", "v360", "v480", "v720"],
        "alpha-v480": ["v240", "v360", "v480", "v480"],
        "beta-v480": ["v240", "v360", "v480", "v480"],
        "alpha-v360": ["v240", "v360", "v360", "v360"],
        "beta-v360": ["v240", "v360", "v360", "v360"],
        "alpha-v240": ["v240", "v240", "v240", "v240"],
        "beta-v240": ["v240", "v240", "v240", "v240"],
    }


def test_hlsjs_keeps_its_level_numbers_under_every_ceiling() -> None:
    master = Assembly().master(a_title(), a_viewer(player="hlsjs"))
    bandwidths: dict[str, list[int]] = {}
    for tag in tags(master, "EXT-X-STREAM-INF"):
        bandwidths.setdefault(tag["PATHWAY-ID"], []).append(int(tag["BANDWIDTH"]))
    for told in bandwidths.values():
        assert len(told) == 4
        assert told == sorted(set(told))


def test_playlists_of_a_pathway_name_its_cdn() -> None:
    master = Assembly().master(a_title(), a_viewer(player="hlsjs"))
    lines = master.splitlines()
    for tag, url in pairwise(lines):
        if tag.startswith("#EXT-X-STREAM-INF"):
            pathway = tags(tag, "EXT-X-STREAM-INF")[0]["PATHWAY-ID"]
            assert f"?cdn={pathway.partition('-')[0]}&kf=hlsjs" in url


def test_one_audio_track_is_the_default_and_names_are_unique() -> None:
    tracks = (an_audio_track("a1"), an_audio_track("a2", label='Eng"lish'), an_audio_track("a3"))
    master = Assembly().master(a_title(audio=tracks, subtitles=()), a_viewer())
    first = tags(master, "EXT-X-MEDIA")[:3]
    assert [found["DEFAULT"] for found in first] == ["YES", "NO", "NO"]
    assert [found["NAME"] for found in first] == ["English", "Eng'lish", "English (a3)"]


def test_a_media_playlist_is_the_proven_one_but_for_its_urls() -> None:
    proven = (CAPTURES / "gateway_hls_media_cenc_both.m3u8").read_text()
    ours = media("v720")
    keys = tags(ours, "EXT-X-KEY")
    proven_keys = tags(proven, "EXT-X-KEY")
    assert keys[0] == {**proven_keys[0], "URI": f"http://127.0.0.1:18080/s/TOKEN/key/{HD_KEY}"}
    assert keys[1] == proven_keys[1]
    assert ours.index("#EXT-X-KEY") < ours.index("#EXT-X-MAP")


def test_a_media_playlist_lists_every_segment_on_its_cdn() -> None:
    playlist = media("v720")
    sid = a_viewer().session_id
    urls = [line for line in playlist.splitlines() if not line.startswith("#")]
    assert urls == [
        f"http://127.0.0.1:18081/c/cenc/v720/{number}.m4s?sid={sid}" for number in range(1, 31)
    ]
    assert tags(playlist, "EXT-X-MAP") == [
        {"URI": f"http://127.0.0.1:18081/c/cenc/v720/init.mp4?sid={sid}"}
    ]
    assert playlist.count("#EXTINF:2.000000,") == 30
    assert playlist.endswith("#EXT-X-ENDLIST\n")


def test_no_segment_is_longer_than_the_target_duration() -> None:
    playlist = media("a")
    longest = max(float(found) for found in re.findall(r"#EXTINF:([\d.]+)", playlist))
    target = int(re.findall(r"#EXT-X-TARGETDURATION:(\d+)", playlist)[0])
    assert longest <= target < longest + 1


def test_subtitles_are_one_segment_of_the_whole_length() -> None:
    playlist = media("sub-de")
    assert "#EXTINF:60.000000," in playlist
    assert f"/c/cenc/sub/de.vtt?sid={a_viewer().session_id}" in playlist
    assert "EXT-X-KEY" not in playlist


def test_a_clear_track_has_no_key_tag() -> None:
    assert "EXT-X-KEY" not in media("v240", video=(a_rendition(240, key_id=None),))


def test_an_unknown_track_and_a_withheld_rendition_are_not_there() -> None:
    viewer = a_viewer(tiers=("audio", "sd"))
    assert Assembly().media(a_title(), viewer, "v720", "alpha") is None
    assert Assembly().media(a_title(), viewer, "nothing", "alpha") is None
    assert Assembly().media(a_title(), viewer, "v480", "alpha") is not None


def test_an_unknown_cdn_reads_as_the_preferred_one() -> None:
    playlist = Assembly().media(a_title(), a_viewer(), "v240", "omega")
    assert playlist is not None
    assert "http://127.0.0.1:18081/c/" in playlist


def test_one_viewer_never_gets_the_urls_of_another() -> None:
    assembly = Assembly()
    first = a_viewer()
    second = a_viewer(
        session_id="22222222-2222-4222-8222-222222222222", root_url="http://gw/s/OTHER"
    )
    assembly.master(a_title(), first)
    assembly.mpd(a_title(), first)
    assembly.media(a_title(), first, "a", "alpha")
    for text in (
        assembly.master(a_title(), second),
        assembly.mpd(a_title(), second),
        assembly.media(a_title(), second, "a", "alpha"),
    ):
        assert text is not None
        assert "TOKEN" not in text
        assert first.session_id not in text


def test_a_new_version_of_a_title_is_shown_at_once() -> None:
    assembly = Assembly()
    assembly.master(a_title(), a_viewer())
    shorter = a_title(version=2, video=(a_rendition(240),))
    assert variants(assembly.master(shorter, a_viewer())) == {"alpha": ["v240"], "beta": ["v240"]}


@given(titles(), viewers())
def test_nothing_beyond_the_entitlement_appears(title: Title, viewer: Viewer) -> None:
    allowed = {found.rendition_id for found in title.video if found.tier in viewer.tiers}
    if not allowed:
        with pytest.raises(NothingPlayableError):
            Assembly().master(title, viewer)
        return
    master = Assembly().master(title, viewer)
    named = {found["STABLE-VARIANT-ID"] for found in tags(master, "EXT-X-STREAM-INF")}
    assert named
    assert named <= allowed
    for rendition in title.video:
        playlist = Assembly().media(title, viewer, rendition.rendition_id, "beta")
        assert (playlist is not None) == (rendition.rendition_id in named)
    assert len(variants(master)) == (2 * len(named) if viewer.player == "hlsjs" else 2)
