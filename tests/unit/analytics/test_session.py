"""The session fold on time lines that one can follow with a finger."""

from __future__ import annotations

from typing import Any

import pytest

from agents.analytics.session import fold
from schemas.events import (
    Bandwidth,
    BitrateChanged,
    Buffered,
    Buffering,
    Heartbeat,
    Interaction,
    Pause,
    Play,
    PlaybackError,
    Playing,
    Seek,
    Seeked,
    Stopped,
)
from schemas.watching import SessionSummary
from tests.unit.analytics.playback import START_MS, TimeLine

MINUTE_MS = 60_000


def summary_of(events: list[Any], duration_ms: int | None = MINUTE_MS) -> SessionSummary:
    summary = fold(events, duration_ms)
    assert summary is not None
    return summary


def test_a_plain_session_starts_plays_and_ends() -> None:
    line = TimeLine()
    summary = summary_of(
        [
            line.at(0, Play),
            line.at(0.8, Playing, playhead_ms=0, bitrate_kbps=1000),
            line.at(60.8, Stopped, reason="ended", playhead_ms=60_000),
        ]
    )
    assert summary.time_to_first_frame_ms == 800
    assert (summary.watched_ms, summary.played_ms) == (60_800, 60_000)
    assert (summary.rebuffer_count, summary.rebuffer_ratio) == (0, 0.0)
    assert summary.completion_ratio == 1.0
    assert (summary.end_reason, summary.ended_at_ms) == ("ended", START_MS + 60_800)
    assert summary.average_bitrate_kbps == 1000
    assert (summary.account_id, summary.plan, summary.version) == ("account", "standard", 3)


def test_only_buffering_while_pictures_are_shown_is_a_stall() -> None:
    line = TimeLine()
    summary = summary_of(
        [
            line.at(0, Play),
            line.at(0.1, Buffering),
            line.at(1, Playing),
            line.at(10, Buffering),
            line.at(12, Playing),
            line.at(20, Seek, from_ms=17_000, to_ms=30_000),
            line.at(20.1, Buffering),
            line.at(21, Playing, playhead_ms=30_000),
            line.at(25, Pause),
            line.at(26, Buffering),
            line.at(30, Play),
            line.at(30.5, Playing),
            line.at(40.5, Stopped),
        ]
    )
    assert (summary.rebuffer_count, summary.rebuffer_duration_ms) == (1, 2000)
    assert summary.watched_ms == 40_500 - 5_000
    assert summary.played_ms == 9_000 + 8_000 + 4_000 + 10_000
    assert summary.rebuffer_ratio == pytest.approx(2000 / 35_500)
    assert (summary.seek_count, summary.pause_count) == (1, 1)
    assert summary.end_reason == "aborted"


def test_a_stall_ends_with_buffered_pause_or_stop() -> None:
    for ending in (Buffered, Pause, Stopped):
        line = TimeLine()
        events = [line.at(0, Playing), line.at(5, Buffering), line.at(8, ending)]
        summary = summary_of([*events, line.at(20, Heartbeat)])
        assert (summary.rebuffer_count, summary.rebuffer_duration_ms) == (1, 3000), ending


def test_buffering_after_the_jump_is_done_is_a_stall_again() -> None:
    line = TimeLine()
    summary = summary_of(
        [
            line.at(0, Playing),
            line.at(5, Seek, to_ms=30_000),
            line.at(6, Seeked),
            line.at(9, Buffering),
            line.at(10, Playing),
        ]
    )
    assert (summary.rebuffer_count, summary.rebuffer_duration_ms) == (1, 1000)
    assert summary.max_playhead_ms == 33_000


def test_leaving_before_the_first_frame_is_no_failure_and_a_fatal_error_is_one() -> None:
    left = TimeLine()
    summary = summary_of([left.at(0, Play), left.at(3, Stopped)])
    assert summary.exit_before_video_start
    assert not summary.playback_failed
    assert summary.time_to_first_frame_ms is None
    assert summary.completion_ratio is None
    failed = TimeLine()
    summary = summary_of([failed.at(0, Play), failed.at(3, PlaybackError, code="3016")])
    assert not summary.exit_before_video_start
    assert (summary.playback_failed, summary.error_code) == (True, "3016")
    assert summary.end_reason == "error"


def test_an_error_that_playback_survives_is_none() -> None:
    line = TimeLine(via="cmcd")
    survived = [line.at(0, Playing), line.at(5, PlaybackError, code="x"), line.at(5.2, Playing)]
    summary = summary_of([*survived, line.at(9, Heartbeat)])
    assert (summary.playback_failed, summary.error_code, summary.ended_at_ms) == (False, "", None)
    assert (summary.rebuffer_count, summary.rebuffer_duration_ms) == (1, 200)
    warned = TimeLine()
    hint = warned.at(5, PlaybackError, code="x", is_fatal=False)
    assert not summary_of([warned.at(0, Playing), hint]).playback_failed


def test_bitrate_is_weighed_by_the_media_shown_at_it() -> None:
    line = TimeLine()
    summary = summary_of(
        [
            line.at(0, Play),
            line.at(1, Playing, bitrate_kbps=1000),
            line.at(11, BitrateChanged, bitrate_kbps=3000),
            line.at(12, Bandwidth, bitrate_kbps=9000, object_type="v"),
            line.at(21, Pause),
            line.at(60, Playing),
            line.at(70, BitrateChanged, bitrate_kbps=500),
        ]
    )
    assert summary.average_bitrate_kbps == round((10 * 1000 + 20 * 3000) / 30)
    assert (summary.bitrate_up_count, summary.bitrate_down_count) == (1, 1)
    assert summary.bitrate_kbps == 500


def test_what_is_fetched_tells_the_bitrate_where_no_change_is_announced() -> None:
    line = TimeLine(via="cmcd")
    summary = summary_of(
        [
            line.at(0, Playing, bitrate_kbps=1000),
            line.at(10, Bandwidth, bitrate_kbps=2000, object_type="v"),
            line.at(10, Bandwidth, bitrate_kbps=64, object_type="a"),
            line.at(20, Heartbeat),
        ]
    )
    assert summary.average_bitrate_kbps == 1500
    assert summary.bitrate_up_count == 1


def test_a_source_with_heartbeats_was_gone_where_it_sent_nothing_for_three() -> None:
    line = TimeLine()
    summary = summary_of(
        [line.at(0, Playing), line.at(10, Heartbeat), line.at(10_000, Heartbeat)], None
    )
    assert summary.played_ms == 40_000


def test_the_sdk_counts_where_it_plays_and_cmcd_elsewhere() -> None:
    cmcd = TimeLine(via="cmcd", source="cmcd-1")
    seen = [cmcd.at(0, Heartbeat), cmcd.at(2, Playing), cmcd.at(3, Buffering), cmcd.at(4, Playing)]
    beside = TimeLine(source="app")
    remark = beside.at(1, Interaction, name="subtitles")
    assert summary_of([*seen, remark]).rebuffer_count == 1
    assert summary_of([*seen, remark]).time_to_first_frame_ms == 2000
    app = [beside.at(1, Play), beside.at(2, Playing), beside.at(9, Stopped)]
    summary = summary_of([*seen, remark, *app])
    assert (summary.rebuffer_count, summary.source, summary.event_count) == (0, "app", 4)


def test_an_edge_is_no_source_of_playback() -> None:
    edge = TimeLine(via="edge", source="alpha")
    assert fold([edge.at(0, Bandwidth, bitrate_kbps=1)]) is None


def test_a_new_player_instance_goes_on_with_the_session() -> None:
    first, second = TimeLine(source="z"), TimeLine(source="a")
    summary = summary_of(
        [
            second.at(30, Play),
            second.at(31, Playing),
            second.at(41, Stopped),
            first.at(0, Play),
            first.at(1, Playing),
            first.at(11, Heartbeat),
        ]
    )
    assert summary.time_to_first_frame_ms == 1000
    assert summary.played_ms == 20_000
    assert (summary.source, summary.end_reason) == ("a", "aborted")
