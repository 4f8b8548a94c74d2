"""What is read from the packager's timeline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from infra.content.errors import MediaError
from infra.content.timeline import expand_timeline, rates_kbps

NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
TEMPLATE = (
    f'<SegmentTemplate xmlns="{NAMESPACE}">'
    "<SegmentTimeline>{}</SegmentTimeline></SegmentTemplate>"
)


def timeline(entries: str) -> list[int]:
    return expand_timeline(etree.fromstring(TEMPLATE.format(entries)))


def test_repeats_are_expanded_to_one_duration_per_segment() -> None:
    assert timeline('<S t="0" d="200" r="2"/><S t="600" d="90"/>') == [200, 200, 200, 90]


def test_entries_without_a_start_follow_the_one_before() -> None:
    assert timeline('<S d="10"/><S d="20"/>') == [10, 20]


@pytest.mark.parametrize("entries", ['<S t="5" d="10"/>', '<S t="0" d="10"/><S t="11" d="10"/>'])
def test_a_gap_is_refused_since_numbers_could_not_address_it(entries: str) -> None:
    with pytest.raises(MediaError, match="gap"):
        timeline(entries)


def test_an_empty_timeline_is_refused() -> None:
    with pytest.raises(MediaError, match="empty"):
        timeline("")


def test_a_short_last_segment_does_not_make_the_peak() -> None:
    assert rates_kbps((2000, 2000, 100), (250_000, 125_000, 100_000), 1000) == (1000, 927)


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**8)), min_size=1, max_size=50).map(
        lambda pairs: tuple(zip(*pairs, strict=True))
    )
)
def test_the_peak_of_equal_segments_is_never_below_the_average(
    pairs: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    ticks = (pairs[0][0],) * len(pairs[0])
    peak, average = rates_kbps(ticks, pairs[1], 1000)
    assert peak >= average >= 1
