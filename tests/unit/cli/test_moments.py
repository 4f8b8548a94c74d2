"""How operators write times."""

from __future__ import annotations

import click
import pytest

from agents.analytics.windows import Window
from infra.operations.moments import instant, parse_moment, size, span
from infra.operations.replay import ReplayRefusedError, check_target, window_of

NOW_MS = 1_795_364_405_000


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("90s", NOW_MS - 90_000),
        ("2h", NOW_MS - 7_200_000),
        ("7d", NOW_MS - 604_800_000),
        ("1970-01-02", 86_400_000),
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_a_time_is_ago_or_an_instant(text: str, at_ms: int) -> None:
    assert parse_moment(text, NOW_MS) == at_ms


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "-5m", "2026-13-01"])
def test_what_is_no_time_is_wrong_use(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_moment(text, NOW_MS)


def test_an_instant_reads_back() -> None:
    assert parse_moment(instant(NOW_MS), 0) == NOW_MS


def test_lengths_and_sizes_are_told_in_what_matters() -> None:
    assert [span(41_000), span(130_000), span(7_260_000), span(183_600_000)] == [
        "41 s",
        "2 min 10 s",
        "2 h 1 min",
        "2 d 3 h",
    ]
    assert [size(999), size(1_500), size(2_500_000_000)] == ["999 B", "1.5 kB", "2.5 GB"]


def test_a_window_has_borders_of_either_kind() -> None:
    window = window_of("2h", "4000", NOW_MS)
    assert window == Window(from_ms=NOW_MS - 7_200_000, to_offset=4000)
    assert window_of(None, None, NOW_MS) == Window()


@pytest.mark.parametrize("group", ["license", "account", "catalog", "bitrate", "fold", "no-such"])
def test_nothing_is_replayed_into_who_would_act_twice(group: str) -> None:
    with pytest.raises(ReplayRefusedError, match="Into ClickHouse"):
        check_target("license.decisions.v1", group)


@pytest.mark.parametrize("topic", ["license.requests.v1", "content.keys.v1", "gateway.replies.v1"])
def test_what_is_not_stored_is_not_replayed(topic: str) -> None:
    with pytest.raises(ReplayRefusedError, match="nothing to replay"):
        check_target(topic, "analytics")


def test_decisions_and_dead_letters_are_replayed_into_clickhouse() -> None:
    check_target("license.decisions.v1", "analytics")
    check_target("playback.events.v1.dead-letter", "analytics.sink")
