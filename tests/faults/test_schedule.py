"""Schedules: made from a seed, told as JSON, spread evenly over what can fail."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.faults.schedule import (
    CELLS,
    SPANS_S,
    ScheduleError,
    make_schedule,
    read_schedule,
    write_schedule,
)


@given(st.integers(0, 2**40), st.integers(0, 200))
def test_a_seed_makes_the_same_schedule_each_time(seed: int, count: int) -> None:
    schedule = make_schedule(seed, count)
    assert schedule == make_schedule(seed, count)
    assert len(schedule.faults) == count


@given(st.integers(0, 2**40), st.integers(0, 200))
def test_a_schedule_is_read_as_it_was_written(seed: int, count: int) -> None:
    schedule = make_schedule(seed, count)
    assert read_schedule(write_schedule(schedule)) == schedule


@given(st.integers(0, 2**40), st.integers(0, 400))
def test_no_cell_is_struck_twice_more_than_another(seed: int, count: int) -> None:
    counts = Counter(fault.cell for fault in make_schedule(seed, count).faults)
    assert all(count // len(CELLS) <= counts[cell] <= count // len(CELLS) + 1 for cell in CELLS)


def test_the_long_run_strikes_every_cell_fifteen_times() -> None:
    counts = Counter(fault.cell for fault in make_schedule(1, 540).faults)
    assert min(counts[cell] for cell in CELLS) >= 15


@given(st.integers(0, 2**40))
def test_every_fault_lasts_as_long_as_its_kind_may(seed: int) -> None:
    for fault in make_schedule(seed, len(CELLS)).faults:
        low, high = SPANS_S.get(fault.kind, (0.0, 0.0))
        assert round(low, 2) <= fault.lasts_s <= round(high, 2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"seed": 1}',
        b'{"seed": 1, "faults": [{"place": "moon", "kind": "kill", "after_s": 1, "seed": 1}]}',
        b'{"seed": 1, "faults": [{"place": "kafka", "kind": "kill", "after_s": -1, "seed": 1}]}',
        b'{"seed": 1, "faults": [{"place": "kafka", "kind": "full", "after_s": 1, "seed": 1}]}',
        b'{"seed": 1, "faults": [], "more": 1}',
    ],
)
def test_what_is_no_schedule_is_refused(content: bytes) -> None:
    with pytest.raises(ScheduleError):
        read_schedule(content)
