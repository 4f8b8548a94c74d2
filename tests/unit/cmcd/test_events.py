import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cmcd.events import CmcdSource, map_report
from gateway.cmcd.parser import parse_event_body, parse_line
from gateway.cmcd.redaction import redact_url
from schemas.codec import Decoder, encode
from schemas.events import (
    Bandwidth,
    BitrateChanged,
    Buffering,
    Heartbeat,
    Interaction,
    Pause,
    Play,
    PlaybackError,
    PlaybackEvent,
    Playing,
    Seek,
    Stopped,
)
from tests.unit.cmcd.captured import PLAYERS, event_body

SESSION_ID = "11111111-1111-4111-8111-111111111111"
SOURCE = CmcdSource(
    session_id=SESSION_ID,
    instance="i1",
    cdns={"http://127.0.0.1:1808": "wrong", "http://127.0.0.1:18081/c": "alpha"},
)
DECODER = Decoder[PlaybackEvent](PlaybackEvent)


def mapped(line: str) -> PlaybackEvent | None:
    report = parse_line(line)
    assert report is not None
    return map_report(report, SOURCE)


@pytest.mark.parametrize("player", PLAYERS)
def test_every_captured_line_becomes_one_valid_event_with_an_identity_of_its_own(
    player: str,
) -> None:
    reports = list(parse_event_body(event_body(player)))
    sid = reports[0].session_id
    assert sid is not None
    source = CmcdSource(session_id=sid, instance="x")
    events = [map_report(report, source) for report in reports]
    for event in events:
        assert event is not None
        assert DECODER.decode(encode(event)) == event
    identities = {(event.source, event.sequence) for event in events if event}
    assert len(identities) == len(reports)
    assert len({event.id for event in events if event}) == len(reports)


@pytest.mark.parametrize(
    ("player", "wanted"),
    [
        # What the scripted session did: start, pause, resume, seek, stall, seek to the end.
        ("shaka", {Playing, Pause, Seek, Buffering, BitrateChanged, Stopped, Bandwidth}),
        ("dashjs", {Play, Playing, Pause, Seek, Buffering, Stopped, Bandwidth}),
        ("hlsjs", {Play, Playing, Pause, Seek, Buffering, BitrateChanged, Stopped, Bandwidth}),
    ],
)
def test_a_scripted_session_is_told_in_our_events(player: str, wanted: set[type]) -> None:
    reports = parse_event_body(event_body(player))
    assert wanted <= {type(map_report(report, SOURCE)) for report in reports}


@pytest.mark.parametrize(
    ("line", "type_"),
    [
        ("e=ps,sta=s", Play),
        ("e=ps,sta=d", Play),
        ("e=ps,sta=p", Playing),
        ("e=ps,sta=r", Buffering),
        ("e=ps,sta=w", Buffering),
        ("e=ps,sta=k", Seek),
        ("e=ps,sta=a", Pause),
        ("e=ps,sta=e", Stopped),
        ("e=ps,sta=q", Stopped),
        ("e=ps,sta=f", PlaybackError),
        ("e=bc,br=(2699)", BitrateChanged),
        ("e=bc", Heartbeat),
        ("e=rr", Bandwidth),
        ("e=t", Heartbeat),
        ("e=e", PlaybackError),
        ("e=m", Interaction),
        ('e=ce,cen="liked"', Interaction),
        ("e=ps", type(None)),
        ("e=zz", type(None)),
        ("br=(5)", type(None)),
    ],
)
def test_each_event_and_state_has_its_meaning(line: str, type_: type) -> None:
    assert type(mapped(f"{line},sn=1,ts=1795329887344,v=2")) is type_


def test_a_request_report_carries_the_network_facts() -> None:
    event = mapped(
        "bl=(4000),br=(2699),e=rr,mtp=(5000),ot=v,rc=503,sn=15,ts=1795329820283,ttfb=18,ttlb=19,"
        'url="http://127.0.0.1:18081/c/v720/3.m4s?sid=1",v=2'
    )
    assert isinstance(event, Bandwidth)
    assert event.at_ms == 1795329820283
    assert (event.source, event.sequence) == ("cmcd-i1", 1795329820283 * 2048 + 15)
    assert (event.measured_throughput_kbps, event.buffer_length_ms) == (5000, 4000)
    assert (event.latency_ms, event.transfer_ms, event.status) == (18, 19, 503)
    assert (event.bitrate_kbps, event.object_type, event.cdn) == (2699, "v", "alpha")


def test_a_re_sent_line_is_the_same_event_byte_for_byte() -> None:
    line = "e=ps,sn=4,sta=p,ts=1795329887344,v=2"
    assert encode(mapped(line)) == encode(mapped(line))


def test_numbers_that_start_again_name_other_events() -> None:
    # dash.js does so 300 ms into a session, when the MPD has brought CMCD parameters.
    lines = ["e=t,sn=0,ts=1000", "e=ps,sn=1,sta=s,ts=1010", "e=t,sn=0,ts=1300", "e=rr,sn=1,ts=1290"]
    events = [mapped(line) for line in lines]
    assert len({(event.source, event.sequence) for event in events if event}) == 4


def test_the_order_is_that_of_time_and_then_of_the_number() -> None:
    lines = ["e=ps,sn=9,sta=k,ts=1000", "e=ps,sn=10,sta=w,ts=1000", "e=ps,sn=2,sta=p,ts=1001"]
    sequences = [event.sequence for event in map(mapped, lines) if event]
    assert sequences == sorted(sequences)
    assert len(set(sequences)) == 3


def test_lines_without_a_number_differ_by_what_they_say() -> None:
    events = [mapped("e=ps,sta=k,ts=1000"), mapped("e=ps,sta=w,ts=1000"), mapped("e=t,ts=1000")]
    assert len({event.sequence for event in events if event}) == 3


@pytest.mark.parametrize("ts", ["", ",ts=999999999999999"])
def test_a_line_without_a_possible_time_is_no_event(ts: str) -> None:
    assert mapped(f"e=t,sn=1{ts}") is None


def test_error_codes_are_kept_and_only_state_f_is_fatal() -> None:
    event = mapped('e=e,ec=("fragLoadError" "x"),sn=1,sta=f,ts=1')
    assert isinstance(event, PlaybackError)
    assert (event.code, event.is_fatal) == ("fragLoadError,x", True)
    event = mapped("e=e,sn=1,sta=p,ts=1")
    assert isinstance(event, PlaybackError)
    assert not event.is_fatal


@given(st.integers(min_value=0, max_value=10**15 - 1), st.text(max_size=200))
def test_whatever_a_line_holds_the_event_is_valid(number: int, text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    for start in ("e=rr", "e=ps,sta=p", "e=bc", "e=t", f'e=ce,cen="{quoted}"', "e=e", "e=pr"):
        event = mapped(
            f"{start},br=({number}),mtp=({number}),bl=({number}),tb={number},rc={number},"
            f'sn={number},ts={number},pt={number},ec=("{quoted}"),url="{quoted}",v=2'
        )
        if event is not None:
            assert DECODER.decode(encode(event)) == event


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("http://gw/s/TOKEN.a_b/manifest.mpd?x=1", "http://gw/s/-/manifest.mpd?x=1"),
        ("/s/TOKEN", "/s/-"),
        ("http://cdn/c/v720/1.m4s?sid=5", "http://cdn/c/v720/1.m4s?sid=5"),
        (
            "http://cdn/x?back=http%3A%2F%2Fgw%2Fs%2FTOK%2Flicense",
            "http://cdn/x?back=http%3A%2F%2Fgw%2Fs%2F-%2Flicense",
        ),
        ("http://cdn/x?t=eyJhbGciOiJFZERTQSJ9.eyJhIjoxfQ.c2ln", "http://cdn/x?t=-"),
    ],
)
def test_session_tokens_are_taken_out_of_urls(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted


def test_a_reported_url_is_redacted_before_it_becomes_an_event() -> None:
    event = mapped('e=rr,sn=1,ts=1,url="http://gw/s/SECRET/manifest.mpd"')
    assert isinstance(event, Bandwidth)
    assert event.url == "http://gw/s/-/manifest.mpd"
