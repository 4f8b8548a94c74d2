import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from gateway.delivery.assembly import Assembly
from gateway.delivery.entitlement import entitled_renditions
from gateway.delivery.pathways import audio_kbps_max, list_pathways
from gateway.delivery.steering import (
    PATHWAYS_MAX,
    THROUGHPUT_KBPS_MAX,
    answer_steering,
    parse_steering_request,
)
from gateway.delivery.viewer import Viewer, name_cdns, order_cdns
from schemas.catalog import Title
from tests.unit.cmcd.captured import CAPTURES, PLAYERS
from tests.unit.delivery.titles import CDNS, a_title, a_viewer, titles, viewers


@pytest.mark.parametrize(
    ("query", "pathways", "throughputs_kbps"),
    [
        ({}, (), ()),
        ({"_HLS_pathway": "alpha", "_HLS_throughput": "500000"}, ("alpha",), (500,)),
        ({"_DASH_pathway": "alpha", "_DASH_throughput": "81266977"}, ("alpha",), (81266,)),
        (
            {"_DASH_pathway": '"alpha,beta"', "_DASH_throughput": "995491750,1195632750"},
            ("alpha", "beta"),
            (995491, 1195632),
        ),
        ({"_DASH_pathway": '"alpha"', "_DASH_throughput": ""}, ("alpha",), ()),
        ({"_DASH_pathway": '"a,b"', "_DASH_throughput": "5000"}, ("a", "b"), ()),
        ({"_DASH_pathway": "a", "_DASH_throughput": "NaN"}, ("a",), ()),
        ({"_DASH_pathway": "a", "_DASH_throughput": "9" * 15}, ("a",), (THROUGHPUT_KBPS_MAX,)),
        ({"_DASH_pathway": "a", "_DASH_throughput": "9" * 99}, ("a",), ()),
    ],
)
def test_what_a_player_says_is_read_quoted_or_not(
    query: dict[str, str], pathways: tuple[str, ...], throughputs_kbps: tuple[int, ...]
) -> None:
    request = parse_steering_request(query)
    assert request.pathways == pathways
    assert request.throughputs_kbps == throughputs_kbps


@pytest.mark.parametrize("player", PLAYERS)
def test_every_captured_steering_request_is_read(player: str) -> None:
    text = (CAPTURES / player / "content_steering.txt").read_text()
    targets = re.findall(r"GET (/steer\S*)", text)
    assert len(targets) > 5
    for target in targets:
        query = URL(target).query
        request = parse_steering_request(query)
        has_pathway = any(name.endswith("_pathway") for name in query)
        assert bool(request.pathways) == has_pathway
        assert len(request.throughputs_kbps) in {0, len(request.pathways)}


@given(st.dictionaries(st.sampled_from(["_DASH_pathway", "_HLS_throughput"]), st.text()))
def test_no_query_crashes_the_reader(query: dict[str, str]) -> None:
    assert len(parse_steering_request(query).pathways) <= PATHWAYS_MAX


def test_the_answer_has_the_form_of_the_standard() -> None:
    answer = answer_steering(["beta", "alpha"], ttl_s=5, reload_uri="http://gw/s/T/steering")
    assert msgspec.to_builtins(answer) == {
        "VERSION": 1,
        "TTL": 5,
        "RELOAD-URI": "http://gw/s/T/steering",
        "PATHWAY-PRIORITY": ("beta", "alpha"),
    }


@pytest.mark.parametrize(("asked_s", "told_s"), [(0, 1), (-5, 1), (5, 5), (99999, 300)])
def test_the_ttl_stays_within_bounds(asked_s: int, told_s: int) -> None:
    assert answer_steering(["a"], ttl_s=asked_s, reload_uri="").ttl_s == told_s


@pytest.mark.parametrize(
    ("ceiling_kbps", "priority"),
    [
        # The ladder is 720, 1080, 1440 and 2160 kbps of video, with 104 of audio.
        (None, ("alpha", "beta")),
        (2264, ("alpha", "beta")),
        (2263, ("alpha-v480", "beta-v480", "alpha", "beta")),
        (1184, ("alpha-v360", "beta-v360", "alpha", "beta")),
        (900, ("alpha-v240", "beta-v240", "alpha", "beta")),
        (0, ("alpha-v240", "beta-v240", "alpha", "beta")),
    ],
)
def test_hlsjs_is_steered_below_the_ceiling(
    ceiling_kbps: int | None, priority: tuple[str, ...]
) -> None:
    viewer = a_viewer(player="hlsjs")
    answer = Assembly().steering(a_title(), viewer, ttl_s=5, ceiling_kbps=ceiling_kbps)
    assert answer.pathway_priority == priority
    assert answer.reload_uri == "http://127.0.0.1:18080/s/TOKEN/steering?kf=hlsjs"


@pytest.mark.parametrize("player", ["shaka", "dashjs"])
def test_others_learn_only_the_order_of_cdns(player: str) -> None:
    viewer = a_viewer(player=player, cdns=CDNS[::-1])
    answer = Assembly().steering(a_title(), viewer, ttl_s=5, ceiling_kbps=900)
    assert answer.pathway_priority == ("beta", "alpha")


@given(titles(), viewers(), st.none() | st.integers(0, 30_000))
def test_every_named_pathway_exists_and_the_first_keeps_the_ceiling(
    title: Title, viewer: Viewer, ceiling_kbps: int | None
) -> None:
    if not any(rendition.tier in viewer.tiers for rendition in title.video):
        return
    renditions = entitled_renditions(title, viewer)
    pathways = {
        pathway.name: pathway for pathway in list_pathways(viewer.cdns, renditions, viewer.player)
    }
    answer = Assembly().steering(title, viewer, ttl_s=5, ceiling_kbps=ceiling_kbps)
    assert set(answer.pathway_priority) <= set(pathways)
    assert len(set(answer.pathway_priority)) == len(answer.pathway_priority)
    first = pathways[answer.pathway_priority[0]]
    assert first.cdn == viewer.cdns[0]
    if viewer.player == "hlsjs" and ceiling_kbps is not None:
        top_kbps = first.renditions[-1].bitrate_kbps + audio_kbps_max(title)
        lowest = {renditions[0].rendition_id}
        assert top_kbps <= ceiling_kbps or {r.rendition_id for r in first.renditions} == lowest


def test_cdns_are_named_in_order_and_ordered_by_name() -> None:
    cdns = name_cdns(["http://a/", "http://b", "http://c"])
    assert [(cdn.name, cdn.base_url) for cdn in cdns] == [
        ("alpha", "http://a"),
        ("beta", "http://b"),
        ("gamma", "http://c"),
    ]
    ordered = order_cdns(cdns, ["gamma", "unknown", "alpha"])
    assert [cdn.name for cdn in ordered] == ["gamma", "alpha", "beta"]
