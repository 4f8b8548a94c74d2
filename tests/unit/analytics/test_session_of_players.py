"""The fold of what the three unmodified players really sent."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec
import pytest

from agents.analytics.session import fold
from gateway.cmcd.events import CmcdSource, map_report
from gateway.cmcd.parser import parse_event_body
from schemas.events import Stamp
from tests.unit.cmcd.captured import PLAYERS, event_body

STALLS = {
    "shaka": (4, 13 + 1_896 + 10_826 + 4_268),
    "dashjs": (1, 3_603),  # it hit a decode error in the stall ("f") and went on
    "hlsjs": (1, 3_358),
}
"""Read off the captures by hand: every `r` to its `p`, without start-up and seeks."""


def events_of(player: str) -> list[Any]:
    reports = list(parse_event_body(event_body(player)))
    session_id = next(report.session_id for report in reports if report.session_id)
    source = CmcdSource(session_id=session_id, instance="1")
    events = [map_report(report, source) for report in reports]
    stamp = Stamp(received_at_ms=round(datetime(2026, 11, 22, tzinfo=UTC).timestamp()), via="cmcd")
    return [msgspec.structs.replace(event, stamp=stamp) for event in events if event is not None]


@pytest.mark.parametrize("player", PLAYERS)
def test_a_captured_session_folds_to_what_was_watched(player: str) -> None:
    events = events_of(player)
    summary = fold(events, 60_000)
    assert summary is not None
    assert summary.time_to_first_frame_ms is not None
    assert 200 < summary.time_to_first_frame_ms < 5_000
    assert (summary.rebuffer_count, summary.rebuffer_duration_ms) == STALLS[player]
    assert summary.played_ms > 5_000
    assert summary.average_bitrate_kbps is not None
    assert not summary.playback_failed
    Random(7).shuffle(events)
    assert fold(events, 60_000) == summary
