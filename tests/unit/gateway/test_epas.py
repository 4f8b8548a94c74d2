from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.analytics.session import fold
from gateway.epas.events import map_report
from gateway.epas.report import EpasEvent, report_decoder
from gateway.epas.units import ms_per_unit
from gateway.stamping import is_readable
from schemas.errors import InvalidMessageError
from schemas.events import (
    BitrateChanged,
    Buffered,
    Buffering,
    Event,
    Heartbeat,
    Interaction,
    Pause,
    Play,
    PlaybackError,
    PlaybackWarning,
    Playing,
    Seek,
    Seeked,
    Stopped,
)
from tests.gateway_fakes import NOW_MS
from tests.unit.gateway.epas_reports import a_report

SESSION_ID = "01930000-0000-7000-8000-000000000001"
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzaWQiOiJ4In0.c2lnbmF0dXJl"
NAMES = get_args(EpasEvent)
PAYLOADS: dict[str, dict[str, Any]] = {"bitrate_changed": {"bitrate": 246.44, "height": "136"}}


def _map(report: dict[str, Any], content_ms: int | None = 60_250) -> Event:
    raw = json.dumps(report).encode()
    return map_report(report_decoder.decode(raw), raw, session_id=SESSION_ID, content_ms=content_ms)


def _map_one(event: str, **changes: Any) -> Event:
    return _map(a_report(event, payload=PAYLOADS.get(event)) | changes)


@pytest.mark.parametrize(
    ("event", "type_"),
    [
        ("init", Play),
        ("metadata", Interaction),
        ("loading", Buffering),
        ("loaded", Buffered),
        ("paused", Pause),
        ("seeking", Seek),
        ("seeked", Seeked),
        ("buffering", Buffering),
        ("buffered", Buffered),
        ("playing", Playing),
        ("resume", Playing),
        ("bitrate_changed", BitrateChanged),
        ("heartbeat", Heartbeat),
        ("warning", PlaybackWarning),
        ("error", PlaybackError),
        ("stopped", Stopped),
    ],
)
def test_every_event_is_one_of_ours(event: str, type_: type[Event]) -> None:
    mapped = _map_one(event)
    assert type(mapped) is type_
    assert is_readable(mapped)
    assert (mapped.session_id, mapped.source) == (SESSION_ID, "epas-sdk-1")
    assert (mapped.at_ms, mapped.playhead_ms) == (NOW_MS, 12_500)
    assert mapped.extra is not None
    assert mapped.extra["epas"]["event"] == event
    assert mapped.extra["epas"]["duration_ms"] == 60_250


def test_facts_of_the_payload_have_our_names() -> None:
    changed = _map_one("bitrate_changed")
    assert isinstance(changed, BitrateChanged)
    assert (changed.bitrate_kbps, changed.height) == (246, 136)
    told = {"code": 1001, "message": "lost", "category": "NETWORK"}
    failed = _map_one("error", payload=told)
    assert isinstance(failed, PlaybackError)
    assert (failed.code, failed.message, failed.is_fatal) == ("1001", "lost", True)
    assert failed.extra is not None
    assert failed.extra["epas"]["payload"] == told
    given: tuple[tuple[object, str], ...] = (
        ("ended", "ended"),
        ("aborted", "aborted"),
        ("error", ""),
        (7, ""),
        ([], ""),
    )
    for reason, ours in given:
        stopped = _map_one("stopped", payload={"reason": reason})
        assert isinstance(stopped, Stopped)
        assert stopped.reason == ours


def test_neither_tokens_nor_the_viewers_name_are_kept() -> None:
    mapped = _map_one(
        "metadata",
        payload={
            "userId": "ada@example.org",
            "contentTitle": "Tears",
            "contentUrl": f"https://play.example/s/{TOKEN}/manifest.mpd",
            "more": [{"of": f"it={TOKEN}", "userId": "ada"}],
        },
    )
    assert mapped.extra is not None
    assert mapped.extra["epas"]["payload"] == {
        "contentTitle": "Tears",
        "contentUrl": "https://play.example/s/-/manifest.mpd",
        "more": [{"of": "it=-"}],
    }


@pytest.mark.parametrize("payload", [None, {}, {"bitrate": "fast"}, {"bitrate": None}])
def test_a_change_to_no_bitrate_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidMessageError):
        _map_one("bitrate_changed", payload=payload)


def test_a_payload_deeper_than_anybody_writes_is_refused() -> None:
    payload: dict[str, Any] = {}
    for _ in range(9):
        payload = {"in": payload}
    with pytest.raises(InvalidMessageError, match="deep"):
        _map_one("metadata", payload=payload)


@pytest.mark.parametrize(
    ("playhead", "duration", "content_ms", "unit_ms"),
    [
        (12.5, 60.25, None, 1000),  # the web SDK reports fractions of seconds
        (12, 60, 60_250, 1000),
        (0, 60, 60_250, 1000),
        (12_500, 60_250, 60_250, 1),
        (0, 60_250, 60_250, 1),
        (0, 7_200, 7_200_000, 1000),
        (0, 7_200_000, 7_200_000, 1),
        (40, -1, 60_000, 1000),
        (40_000, -1, 60_000, 1),
        (0, 60, None, 1000),
        (12_500, 600_000, None, 1),
        (1_800_000_000_000, -1, None, 1),  # live: Unix time
        (-1, -1, 60_000, 1000),
        (None, None, None, 1000),
    ],
)
def test_seconds_and_milliseconds_are_told_apart(
    playhead: float | None, duration: float | None, content_ms: int | None, unit_ms: int
) -> None:
    assert ms_per_unit(playhead, duration, content_ms) == unit_ms


@pytest.mark.parametrize("missing", [-1, None])
def test_an_unknown_playhead_is_none(missing: Any) -> None:
    assert _map(a_report(playhead=missing, duration=missing)).playhead_ms is None


def test_the_same_bytes_are_the_same_event_and_others_are_not() -> None:
    assert _map(a_report()) == _map(a_report())
    others = [_map_one(event) for event in NAMES]
    others += [_map(a_report(timestamp=NOW_MS + 1)), _map(a_report(playhead=12.6))]
    identities = {(each.session_id, each.source, each.sequence) for each in others}
    assert len(identities) == len({each.id for each in others}) == len(others)


def test_order_is_that_of_the_players_clock_and_of_the_story_in_one_millisecond() -> None:
    told = ["init", "loading", "loaded", "seeking", "seeked", "buffering", "buffered", "playing"]
    sequences = [_map_one(event).sequence for event in [*told, "heartbeat", "error", "stopped"]]
    later = _map_one("init", timestamp=NOW_MS + 1).sequence
    assert [*sequences, later] == sorted({*sequences, later})


def test_an_sdk_without_an_id_is_one_source_of_the_session() -> None:
    """The web SDK is told our id by the answer to `init`, and leaves it out of what follows."""
    named = _map(a_report("init", sessionId=SESSION_ID))
    nameless = _map(a_report("playing", sessionId=None))
    assert named.source == nameless.source == f"epas-{SESSION_ID}"


def test_a_session_folds_to_what_was_watched() -> None:
    story = [
        ("init", 0, -1),
        ("loading", 50, -1),
        ("loaded", 400, 0),
        ("playing", 500, 0),
        ("buffering", 10_500, 10),
        ("buffered", 11_500, 10),
        ("playing", 11_500, 10),
        ("seeking", 13_500, 40),
        ("seeked", 13_700, 40),
        ("playing", 13_700, 40),
        ("stopped", 23_700, 50),
    ]
    events: list[Any] = [
        _map_one(event, timestamp=NOW_MS + after_ms, playhead=playhead, duration=60)
        for event, after_ms, playhead in story
    ]
    summary = fold(events, 60_000)
    assert summary is not None
    assert summary.time_to_first_frame_ms == 500
    assert (summary.rebuffer_count, summary.rebuffer_duration_ms) == (1, 1_000)
    assert summary.seek_count == 1
    assert summary.max_playhead_ms == 50_000
    assert summary.ended_at_ms == NOW_MS + 23_700


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["bitrate", "height", "reason", "code", "message", "x"]), inner
        )
    ),
    max_leaves=8,
)


@given(
    event=st.sampled_from(NAMES),
    changes=st.dictionaries(
        st.sampled_from(["sessionId", "timestamp", "playhead", "duration", "payload"]), _JSON
    ),
)
def test_any_report_is_an_event_or_refused(event: str, changes: dict[str, Any]) -> None:
    try:
        mapped = _map(a_report(event) | changes)
    except InvalidMessageError:
        return
    assert mapped.session_id == SESSION_ID
    is_readable(mapped)
