"""Byte ranges against an object's size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.edge.ranges import select_range


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (slice(None), (0, 100)),
        (slice(0, 10, 1), (0, 10)),
        (slice(90, 500, 1), (90, 100)),
        (slice(99, None, 1), (99, 100)),
        (slice(100, None, 1), None),
        (slice(-30, None, 1), (70, 100)),
        (slice(-300, None, 1), (0, 100)),
    ],
)
def test_a_range_is_cut_to_the_object(asked: slice, chosen: tuple[int, int] | None) -> None:
    assert select_range(asked, 100) == chosen


def test_the_end_of_nothing_cannot_be_given() -> None:
    assert select_range(slice(-5, None, 1), 0) is None


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_is_chosen_lies_within_the_object(start: int, length: int, size: int) -> None:
    stop = None if start < 0 else start + length + 1
    chosen = select_range(slice(start, stop, 1), size)
    if chosen is not None:
        assert 0 <= chosen[0] < chosen[1] <= size
