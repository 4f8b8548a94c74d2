"""Simulated viewers behave: whatever their luck, what they send could be a player's."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulate.playback import SEGMENT_MS, Beat, Habits, Playback, Rung
from schemas import codec
from schemas.events import PlaybackEvent

LADDER = (
    Rung(bitrate_kbps=300, height=240),
    Rung(bitrate_kbps=1100, height=480),
    Rung(bitrate_kbps=4500, height=1080),
)
LIVELY = Habits(pause=0.2, seek=0.2, interaction=0.2, fatal_error=0.2)
decoder: codec.Decoder[PlaybackEvent] = codec.Decoder(PlaybackEvent)

scripts = st.builds(
    lambda seed, duration_ms: (duration_ms, script(seed, duration_ms, LIVELY)),
    st.integers(0, 2**32),
    st.integers(1, 300_000),
)


def script(seed: int, duration_ms: int, habits: Habits) -> list[Beat]:
    return list(Playback(duration_ms, LADDER, Random(seed), habits).beats())


def kinds(beats: list[Beat]) -> list[str]:
    return [fields["type"] for beat in beats for fields in beat.events]


@settings(max_examples=40)
@given(scripts)
def test_every_event_is_one_that_the_gateway_takes(given_script: tuple[int, list[Beat]]) -> None:
    common = {"session_id": "s" * 36, "sequence": 0, "at": datetime.now(UTC)}
    for beat in given_script[1]:
        for fields in beat.events:
            decoder.decode(codec.encode({**common, **fields}))


@settings(max_examples=40)
@given(scripts)
def test_a_viewing_begins_with_play_and_ends_once(given_script: tuple[int, list[Beat]]) -> None:
    found = kinds(given_script[1])
    assert found[0] == "play"
    assert found[-1] in {"stopped", "error"}
    assert sum(kind in {"stopped", "error"} for kind in found) == 1


@settings(max_examples=40)
@given(scripts)
def test_the_playhead_stays_in_the_title_and_time_goes_on(
    given_script: tuple[int, list[Beat]],
) -> None:
    duration_ms, beats = given_script
    for beat in beats:
        assert beat.after_ms >= 0
        for fields in beat.events:
            assert 0 <= fields["playhead_ms"] <= duration_ms


@settings(max_examples=40)
@given(scripts)
def test_a_wait_ends_before_the_next_begins(given_script: tuple[int, list[Beat]]) -> None:
    is_waiting = False
    for kind in kinds(given_script[1]):
        assert not (is_waiting and kind == "buffering")
        assert is_waiting or kind != "buffered"
        is_waiting = (is_waiting or kind == "buffering") and kind != "buffered"
    assert not is_waiting


@settings(max_examples=40)
@given(scripts)
def test_only_segments_of_the_title_are_fetched(given_script: tuple[int, list[Beat]]) -> None:
    duration_ms, beats = given_script
    last = -(-duration_ms // SEGMENT_MS)
    assert all(1 <= beat.segment[1] <= last for beat in beats if beat.segment is not None)


def test_the_same_seed_gives_the_same_viewer() -> None:
    assert script(7, 60_000, LIVELY) == script(7, 60_000, LIVELY)
    assert script(7, 60_000, LIVELY) != script(8, 60_000, LIVELY)


def test_a_crowd_does_everything_that_viewers_do() -> None:
    seen = {kind for seed in range(60) for kind in kinds(script(seed, 120_000, Habits()))}
    assert seen >= {
        *("play", "playing", "pause", "seek", "seeked", "buffering", "buffered"),
        *("bandwidth", "bitrate_changed", "heartbeat", "interaction", "stopped"),
    }
