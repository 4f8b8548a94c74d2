from datetime import UTC, datetime
from typing import Any

import pytest

from agents.bitrate.observation import observe_event
from schemas.events import BitrateChanged, Heartbeat, Pause, Play, Playing, Seek
from tests.builders import NOW_MS, SESSION_ID, a_bandwidth, a_title

AT = datetime(2026, 11, 22, tzinfo=UTC)


def test_bytes_over_time_is_a_transfer() -> None:
    event = a_bandwidth(1, object_type="v", object_bytes=500_000, transfer_ms=2000, status=200)
    seen = observe_event(event, None, NOW_MS)
    assert seen is not None
    assert seen.transfer_kbps == 2000


def test_the_catalog_tells_the_bytes_that_a_player_does_not() -> None:
    event = a_bandwidth(
        1, object_type="v", transfer_ms=1600, status=200, url="http://cdn/tears/v480/3.m4s"
    )
    seen = observe_event(event, a_title(), NOW_MS)
    assert seen is not None
    assert seen.transfer_kbps == 2000
    assert seen.fetched == "v480/3.m4s"


@pytest.mark.parametrize(
    "changes",
    [
        {"object_type": "a"},
        {"object_type": "i"},
        {"status": 503},
        {"status": 0},
        {"object_bytes": 900},
        {"transfer_ms": None},
        {"url": "/tears/a-en/3.m4s", "object_type": ""},
    ],
)
def test_sound_errors_and_small_objects_are_no_transfer(changes: dict[str, object]) -> None:
    event = a_bandwidth(
        1,
        **{"object_type": "v", "object_bytes": 500_000, "transfer_ms": 2000, "status": 200}
        | changes,
    )
    seen = observe_event(event, a_title(), NOW_MS)
    assert seen is not None
    assert seen.transfer_kbps is None


def test_an_edge_and_a_player_name_the_same_object_alike() -> None:
    edge = observe_event(a_bandwidth(1, url="/tears/v480/3.m4s"), None, NOW_MS)
    player = observe_event(
        a_bandwidth(1, url="http://127.0.0.1:8081/x/tears/v480/3.m4s?CMCD=a"), None, NOW_MS
    )
    assert edge is not None
    assert player is not None
    assert edge.fetched == player.fetched


def test_what_viewers_do_tells_of_buffer_and_pause() -> None:
    head: dict[str, Any] = {"session_id": SESSION_ID, "sequence": 1, "at": AT}
    heartbeat = observe_event(
        Heartbeat(**head, buffer_length_ms=8000, bitrate_kbps=900), None, NOW_MS
    )
    assert heartbeat is not None
    assert heartbeat.buffer_length_ms == 8000
    assert heartbeat.playing_bitrate_kbps == 900
    paused = observe_event(Pause(**head), None, NOW_MS)
    assert paused is not None
    assert paused.is_paused is True
    playing = observe_event(Playing(**head), None, NOW_MS)
    assert playing is not None
    assert playing.is_paused is False
    seek = observe_event(Seek(**head), None, NOW_MS)
    assert seek is not None
    assert seek.is_seek
    changed = observe_event(BitrateChanged(**head, bitrate_kbps=5), None, NOW_MS)
    assert changed is not None
    assert changed.playing_bitrate_kbps == 5
    assert observe_event(Play(**head), None, NOW_MS) is None
