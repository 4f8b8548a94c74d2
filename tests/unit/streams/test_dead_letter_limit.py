"""A broken worker halts before it drains a topic; bad records alone do not stop one."""

from __future__ import annotations

import pytest

from schemas.errors import StopWorkerError
from streams.dead_letter_limit import DeadLetterLimit, DeadLetterRule

RULE = DeadLetterRule(window_ms=60_000, letters_max=10, share_max=0.2)


class Clock:
    now_ms = 1_000

    def __call__(self) -> int:
        return self.now_ms


def a_limit(clock: Clock | None = None) -> DeadLetterLimit:
    return DeadLetterLimit(clock or Clock(), RULE)


def test_one_bad_record_among_few_stops_nothing() -> None:
    limit = a_limit()
    limit.count_records(1)
    limit.count_letter("t", "handler-failed")


def test_a_handler_that_fails_on_everything_halts_the_worker() -> None:
    limit = a_limit()
    limit.count_records(500)
    for _ in range(100):
        limit.count_letter("t", "handler-failed")
    with pytest.raises(StopWorkerError, match="of 500 records of t"):
        limit.count_letter("t", "handler-failed")


def test_many_letters_that_are_a_small_share_stop_nothing() -> None:
    limit = a_limit()
    for _ in range(100):
        limit.count_records(100)
        limit.count_letter("t", "schema")


def test_bytes_that_no_version_ever_wrote_stop_nothing() -> None:
    limit = a_limit()
    limit.count_records(10_000)
    for _ in range(10_000):
        limit.count_letter("t", "not-json")


def test_each_window_counts_for_itself() -> None:
    clock = Clock()
    limit = a_limit(clock)
    for _ in range(5):
        limit.count_records(10)
        for _ in range(10):
            limit.count_letter("t", "schema")
        clock.now_ms += RULE.window_ms
