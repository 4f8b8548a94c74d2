import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cmcd.parser import (
    LINES_MAX,
    _read_fields,
    _read_members,
    _read_part,
    parse_event_body,
    parse_line,
    parse_request,
)
from gateway.cmcd.report import CmcdReport
from tests.unit.cmcd.captured import PLAYERS, event_body, event_lines, header_sets, query_sets


@pytest.mark.parametrize("player", PLAYERS)
def test_every_captured_event_line_is_read(player: str) -> None:
    reports = list(parse_event_body(event_body(player)))
    assert len(reports) == len(event_lines(player))
    for report in reports:
        assert report.version == 2
        assert report.content_id == "vod-tears-001"
        assert report.event is not None
        assert report.at_ms is not None
        assert report.sequence_number is not None
        assert report.event == "t" or report.state is not None


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("version", [1, 2])
def test_every_captured_query_is_read(player: str, version: int) -> None:
    sets = query_sets(player, version)
    assert sets
    for text in sets:
        report = parse_request(text, {})
        assert report is not None
        assert report.version == version
        assert report.session_id is not None
        assert (report.sequence_number is not None) == (version == 2)


@pytest.mark.parametrize("player", PLAYERS)
def test_every_captured_header_set_is_read(player: str) -> None:
    sets = header_sets(player)
    assert len(sets) > 5
    for headers in sets:
        report = parse_request(None, headers)
        assert report is not None
        assert report.session_id is not None
        assert report.version == 2


def test_a_line_of_dashjs_gives_video_and_audio_apart() -> None:
    report = parse_line(
        'ab=(2595;v 104;a),bl=(2000;v 0;a),br=(2595;v 104;a),bs,cid="vod",d=2005,e=rr,'
        'mtp=(479700;v 42500;a),nor=("12.m4s"),ot=a,rc=200,rtp=2100,sf=d,sid="s",sn=32,st=v,sta=w,'
        "tb=(2595;v 104;a),tpb=(2594.964;v 103.861;a),ts=1795332547077,ttlb=14,"
        'url="http://127.0.0.1:18081/c/a/11.m4s",v=2'
    )
    assert report == CmcdReport(
        version=2,
        session_id="s",
        content_id="vod",
        sequence_number=32,
        at_ms=1795332547077,
        event="rr",
        state="w",
        object_type="a",
        stream_type="v",
        streaming_format="d",
        bitrate_kbps=2595,
        audio_bitrate_kbps=104,
        top_bitrate_kbps=2595,
        buffer_length_ms=2000,
        audio_buffer_length_ms=0,
        measured_throughput_kbps=479700,
        audio_measured_throughput_kbps=42500,
        requested_throughput_kbps=2100,
        is_starved=True,
        url="http://127.0.0.1:18081/c/a/11.m4s",
        status=200,
        ttlb_ms=14,
        object_duration_ms=2005,
    )


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("br=104", "bitrate_kbps", 104),
        ("br=(2699)", "bitrate_kbps", 2699),
        ("br=(104;a)", "bitrate_kbps", None),
        ("br=(104;a 2595;v)", "bitrate_kbps", 2595),
        ("br=(2594.964)", "bitrate_kbps", 2595),
        ("br=(800;av)", "bitrate_kbps", 800),
        ("br=104,ot=a", "bitrate_kbps", None),
        ("br=104,ot=a", "audio_bitrate_kbps", 104),
        ("br=(394),ot=a", "bitrate_kbps", 394),
        ('br="104"', "bitrate_kbps", None),
        ("br=-5", "bitrate_kbps", None),
        ("br=()", "bitrate_kbps", None),
        ("bs", "is_starved", True),
        ("bs=?1", "is_starved", True),
        ("bs=?0", "is_starved", False),
        ("bs=maybe", "is_starved", None),
        ("ec=1008", "error_codes", ("1008",)),
        ('ec=("fragLoadError" "x\\"y")', "error_codes", ("fragLoadError", 'x"y')),
        ("ec=(6007 1001)", "error_codes", ("6007", "1001")),
        ("sta=x", "state", None),
        ('sta="p"', "state", None),
        ("sid=notquoted", "session_id", None),
        ('sid="a\\"b"', "session_id", 'a"b'),
        ('cid="a,br=5"', "bitrate_kbps", None),
        ('nor=("a),br=7"),br=(8)', "bitrate_kbps", 8),
        ("pr=1.25", "playback_rate", 1.25),
        ("pr=fast", "playback_rate", None),
        ("pt=61200", "playhead_ms", 61200),
        ("pt=99999999999999999999", "playhead_ms", None),
        ("msd=5", "media_start_delay_ms", None),
        ("msd=508", "media_start_delay_ms", 508),
        ("ttfb=1795332535851,ttlb=184", "ttfb_ms", None),
        ("ttfb=90,ttlb=84", "ttfb_ms", 84),
        ("ttfb=33,ttlb=54", "ttfb_ms", 33),
        ("br = 5 , sta=p", "state", "p"),
        ("br=5;x=1, sta=p;q", "state", "p"),
    ],
)
def test_each_key_is_read_leniently(line: str, field: str, value: object) -> None:
    report = parse_line(f"e=t,{line}")
    assert report is not None
    assert getattr(report, field) == value


def test_a_bad_value_spoils_only_its_own_key() -> None:
    report = parse_line('bl=(oops),br=(2699),cid=5,e=ps,sid="s",sn=?1,sta=p,ts=7,com.x-y="z",v=2')
    assert report is not None
    assert (report.buffer_length_ms, report.content_id, report.sequence_number) == (None,) * 3
    assert (report.bitrate_kbps, report.state, report.session_id, report.at_ms) == (
        2699,
        "p",
        "s",
        7,
    )


def test_a_set_of_a_newer_version_is_ignored_whole() -> None:
    assert parse_line("br=(1),e=ps,sta=p,ts=1,v=3") is None


@pytest.mark.parametrize("line", ["", "  ", ",,,", "\x00\x01", "com.example-key=5"])
def test_a_line_that_says_nothing_known_gives_no_report(line: str) -> None:
    assert parse_line(line) is None


def test_headers_win_over_the_query() -> None:
    report = parse_request('br=1,sid="q",st=v', {"CMCD-Object": "br=2", "CMCD-Session": 'sid="h"'})
    assert report is not None
    assert (report.bitrate_kbps, report.session_id, report.stream_type) == (2, "h", "v")


def test_bare_numbers_in_headers_follow_the_object_type_of_another_header() -> None:
    report = parse_request(None, {"CMCD-Object": "br=104,ot=a", "CMCD-Request": "bl=7100"})
    assert report is not None
    assert (report.audio_bitrate_kbps, report.audio_buffer_length_ms) == (104, 7100)
    assert (report.bitrate_kbps, report.buffer_length_ms) == (None, None)


def test_no_query_and_no_headers_give_no_report() -> None:
    assert parse_request(None, {}) is None


def test_a_body_with_or_without_a_trailing_line_feed_is_the_same() -> None:
    line = b"e=t,ts=5,v=2"
    assert list(parse_event_body(line)) == list(parse_event_body(line + b"\n"))


def test_a_body_with_broken_bytes_keeps_its_good_lines() -> None:
    reports = list(parse_event_body(b'e=t,ts=1,cid="\xff\xfe",v=2\n\x80\x81\ne=t,ts=2,v=2\n'))
    assert [report.at_ms for report in reports] == [1, 2]


def test_a_body_gives_at_most_the_allowed_number_of_lines() -> None:
    assert len(list(parse_event_body(b"e=t,ts=1\n" * (LINES_MAX + 50)))) == LINES_MAX


def test_undecodable_header_bytes_never_reach_the_json() -> None:
    report = parse_request(None, {"CMCD-Session": 'cid="caf\udce9"'})
    assert report is not None
    assert report.content_id == "caf?"


MEMBERS = st.sampled_from(
    [
        "br=(2595;v 104;a)",
        'cid="a,b"',
        'nor=("12.m4s")',
        'nor=("a)",br=7)',
        'ec=("x\\"y" 5)',
        "ec=(1,2)",
        "bs",
        "sta=p;q",
        " br = 5 ",
        "Xbr=5",
        "url=",
        'sid="s',
        "ts=1795332547077",
    ]
)


@given(
    st.text(alphabet='abr=v2,;"()\\ ?1.-X', max_size=80)
    | st.lists(MEMBERS | st.text(alphabet='br=,;"()\\ 1', max_size=6), max_size=8).map(",".join)
)
def test_a_line_read_part_by_part_says_what_it_says_as_a_whole(line: str) -> None:
    assert _read_fields(line) == dict(_read_members(line))


@pytest.mark.parametrize("player", PLAYERS)
def test_captured_lines_say_the_same_part_by_part(player: str) -> None:
    for line in event_lines(player):
        assert _read_fields(line) == dict(_read_members(line))
        assert all(_read_part(part) is not None for part in line.split(",")), "the fast way"


@given(st.text(max_size=400))
def test_no_text_crashes_the_parser(text: str) -> None:
    parse_line(text)


@given(st.binary(max_size=400))
def test_no_bytes_crash_the_parser(body: bytes) -> None:
    list(parse_event_body(body))


@given(st.text(alphabet='a=v2,;"()\\ ?1.-br', max_size=300))
def test_no_nearly_valid_text_crashes_the_parser(text: str) -> None:
    parse_line(text)


def test_hostile_nesting_costs_linear_time() -> None:
    parse_line('a="' + "\\" * 8000)
    parse_line("a=(" + '"' * 8000)
    parse_line("a=" + "(" * 8000)
