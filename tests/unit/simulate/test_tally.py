"""What a simulation counts, and when it is good."""

from __future__ import annotations

from random import Random

from infra.simulate import tally as counting
from infra.simulate.tally import Tally


def test_latencies_and_failures_are_told_by_kind_of_request() -> None:
    tally = Tally(Random(1))
    for latency_ms in range(1, 101):
        tally.answered("events", 202, float(latency_ms))
    tally.answered("license", 503, 9.0)
    tally.answered("license", 0, 9.0)
    tally.answered("license", 403, 9.0)
    events, license_ = tally.report(2.0).requests
    assert (events.count, events.failed, events.p50_ms, events.p99_ms) == (100, 0, 51.0, 100.0)
    assert (license_.count, license_.failed) == (3, 2)


def test_memory_is_bounded_however_long_it_runs() -> None:
    tally = Tally(Random(1))
    for number in range(counting.SAMPLES_MAX + 500):
        tally.answered("events", 202, float(number))
    assert len(tally._latencies["events"]) == counting.SAMPLES_MAX
    assert tally.report(1.0).requests[0].count == counting.SAMPLES_MAX + 500


def test_a_run_is_good_when_somebody_watched_and_nothing_was_lost() -> None:
    tally = Tally(Random(1))
    assert not tally.report(1.0).is_good
    tally.opened = 1
    assert tally.report(1.0).is_good
    tally.lost = 1
    assert not tally.report(1.0).is_good
