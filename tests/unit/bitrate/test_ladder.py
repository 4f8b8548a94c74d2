from agents.bitrate.fetched import find_fetched
from agents.bitrate.ladder import build_ladder
from schemas.sessions import Device
from tests.builders import a_session, a_title


def test_a_ceiling_counts_the_sound() -> None:
    ladder = build_ladder(a_title(), a_session())
    assert ladder is not None
    assert ladder.ceilings_kbps == (428, 1128, 2628, 5128)
    assert ladder.segment_ms == 4000


def test_tiers_height_device_and_plan_take_rungs_away() -> None:
    title = a_title()
    without_hd = build_ladder(title, a_session(tiers=("audio", "sd")))
    low_plan = build_ladder(title, a_session(max_height=480))
    low_device = build_ladder(title, a_session(device=Device(device_id="d", max_height=720)))
    low_rate = build_ladder(title, a_session(max_bitrate_kbps=3000))
    assert without_hd is not None
    assert [r.height for r in without_hd.rungs] == [240, 480]
    assert low_plan is not None
    assert [r.height for r in low_plan.rungs] == [240, 480]
    assert low_device is not None
    assert [r.height for r in low_device.rungs] == [240, 480, 720]
    assert low_rate is not None
    assert [r.height for r in low_rate.rungs] == [240, 480, 720]


def test_there_is_no_ladder_where_nothing_is_allowed() -> None:
    assert build_ladder(a_title(), a_session(max_bitrate_kbps=100)) is None
    assert build_ladder(a_title(), a_session(tiers=())) is None


def test_a_url_names_the_segment_whose_bytes_the_catalog_knows() -> None:
    title = a_title()
    video = find_fetched(title, "http://cdn-a:8081/tears/v480/3.m4s?x=1")
    assert video is not None
    assert video.is_video
    assert video.object_bytes == 400_000
    audio = find_fetched(title, "/tears/a-en/3.m4s")
    assert audio is not None
    assert not audio.is_video
    init = find_fetched(title, "/tears/v480/init.mp4")
    assert init is not None
    assert init.object_bytes is None
    for other in ("/tears/v480/x.m4s", "/tears/v999/3.m4s", "", "/tears/v480/.m4s"):
        assert find_fetched(title, other) is None
    past_the_end = find_fetched(title, "/tears/v480/999.m4s")
    assert past_the_end is not None
    assert past_the_end.object_bytes is None
