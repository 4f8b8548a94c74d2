"""A session's link carries what was recorded, no more and no less."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.edge.link import RecordedRate, Recording, SessionLink, SessionLinks
from infra.edge.throttle import BURST_S, CHUNK_BYTES_MIN
from schemas.errors import InvalidMessageError

STEPS = st.lists(
    st.tuples(st.floats(min_value=0.1, max_value=20), st.integers(0, 20_000)),
    min_size=1,
    max_size=12,
).filter(lambda steps: any(kbps for _, kbps in steps))
SIZES = st.lists(st.integers(min_value=1, max_value=200_000), min_size=1, max_size=40)
SESSION = "0197f3c8-0000-7000-8000-000000000000"


def rates_of(steps: list[tuple[float, int]]) -> tuple[tuple[float, float], ...]:
    """Steps of so many seconds as rows of times since the start."""
    rows, at_s = [], 0.0
    for seconds, kbps in steps:
        at_s += seconds
        rows.append((at_s, float(kbps)))
    return tuple(rows)


@given(STEPS, st.floats(min_value=0, max_value=500))
def test_a_moment_is_the_first_when_so_much_has_flowed(
    steps: list[tuple[float, int]], at_s: float
) -> None:
    rate = RecordedRate(rates_of(steps))
    flowed = rate.flowed_bytes(at_s)
    moment_s = rate.moment_s(flowed)
    assert moment_s <= at_s + 1e-6
    assert rate.flowed_bytes(moment_s) == pytest.approx(flowed, abs=0.01, rel=1e-6)


@given(STEPS, SIZES)
def test_a_busy_link_carries_exactly_the_recording(
    steps: list[tuple[float, int]], sizes: list[int]
) -> None:
    rates = rates_of(steps)
    link = SessionLink(Recording(rates=rates), lambda: 0.0)
    passed_s = [link.reserve_s(size, 0.0) for size in sizes]
    assert passed_s == sorted(passed_s)
    assert RecordedRate(rates).flowed_bytes(passed_s[-1]) == pytest.approx(sum(sizes), abs=1)


def test_an_outage_is_waited_out_and_the_recording_starts_again() -> None:
    rate = RecordedRate([(1.0, 8.0), (3.0, 0.0), (4.0, 16.0)])
    assert rate.moment_s(1000) == pytest.approx(1.0)
    assert rate.moment_s(1500) == pytest.approx(3.25)
    assert rate.moment_s(3500) == pytest.approx(4.5)
    assert [rate.bytes_per_s(at_s) for at_s in (0.5, 2.0, 3.5, 4.5)] == [1000, 0, 2000, 1000]


def test_an_idle_link_saves_up_no_more_than_a_burst() -> None:
    link = SessionLink(Recording(rates=((10.0, 80.0),)), lambda: 0.0)
    assert link.reserve_s(1000, 5.0) == pytest.approx(5.0 + 0.1 - BURST_S)


def test_an_outage_is_asked_for_in_small_chunks() -> None:
    link = SessionLink(Recording(rates=((1.0, 0.0), (2.0, 80.0))), lambda: 0.0)
    assert link.chunk_bytes() == CHUNK_BYTES_MIN


async def test_the_recording_starts_with_the_first_request() -> None:
    now_s = 100.0
    link = SessionLink(Recording(rates=((1.0, 8000.0), (2.0, 0.0))), lambda: now_s)
    await link.wait_round_trip()
    await link.wait_for(10_000)
    assert link.state().carried_bytes == 10_000
    assert link.reserve_s(980_000, 0.0) == pytest.approx(0.99)


def test_links_are_bounded_and_lifted() -> None:
    links = SessionLinks(lambda: 0.0, links_max=2)
    recording = Recording(rates=((1.0, 100.0),))
    for name in ("a", "b", "c"):
        links.put(name, recording)
    assert links.get("a") is None
    assert links.get("c") is not None
    links.put("c", Recording(rates=()))
    assert links.get("c") is None
    assert len(links) == 1


@pytest.mark.parametrize("rates", [((1.0, 0.0),), ((2.0, 5.0), (1.0, 5.0))])
def test_a_recording_that_never_flows_or_goes_back_is_refused(
    rates: tuple[tuple[float, float], ...],
) -> None:
    links = SessionLinks(lambda: 0.0)
    with pytest.raises(InvalidMessageError):
        links.put(SESSION, Recording(rates=rates))
    assert links.get(SESSION) is None
