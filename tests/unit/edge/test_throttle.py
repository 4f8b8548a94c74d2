"""The bucket keeps its rate however it is asked."""

from hypothesis import given
from hypothesis import strategies as st

from infra.edge.throttle import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Throttle, TokenBucket

RATES = st.integers(min_value=2_000, max_value=10_000_000)
SIZES = st.lists(st.integers(min_value=1, max_value=100_000), min_size=1, max_size=60)
PAUSES = st.lists(st.floats(min_value=0, max_value=2), min_size=60, max_size=60)


@given(RATES, st.integers(0, 50_000), SIZES, PAUSES)
def test_no_more_than_the_rate_and_one_burst_ever_passes(
    rate: int, burst: int, sizes: list[int], pauses: list[float]
) -> None:
    bucket = TokenBucket(bytes_per_s=rate, burst_bytes=burst)
    now_s = passed_s = 0.0
    sent = 0
    for size, pause in zip(sizes, pauses, strict=False):
        passed_s = max(passed_s, now_s + bucket.reserve_s(size, now_s))
        sent += size
        assert sent <= rate * passed_s + burst + 1
        now_s += pause


@given(RATES, SIZES)
def test_a_busy_link_loses_no_time(rate: int, sizes: list[int]) -> None:
    bucket = TokenBucket(bytes_per_s=rate)
    waits = [bucket.reserve_s(size, 0.0) for size in sizes]
    assert abs(waits[-1] - sum(sizes) / rate) < 1e-6
    assert waits == sorted(waits)


def test_two_readers_share_the_link_by_turns() -> None:
    bucket = TokenBucket(bytes_per_s=1000)
    turns = [bucket.reserve_s(100, 0.0) for _ in range(4)]
    assert [round(wait, 3) for wait in turns] == [0.1, 0.2, 0.3, 0.4]


def test_an_idle_link_saves_up_no_more_than_its_burst() -> None:
    bucket = TokenBucket(bytes_per_s=1000, burst_bytes=50)
    assert bucket.reserve_s(50, 100.0) == 0.0
    assert round(bucket.reserve_s(50, 100.0), 3) == 0.05


def test_a_late_wake_up_is_caught_up() -> None:
    bucket = TokenBucket(bytes_per_s=1000, burst_bytes=50)
    bucket.reserve_s(100, 0.0)
    # It should have passed after 50 ms; whoever waited woke after 60.
    assert round(bucket.reserve_s(100, 0.06), 3) == 0.09


def test_chunks_get_smaller_with_the_rate_within_bounds() -> None:
    throttle = Throttle(lambda: 0.0)
    assert throttle.chunk_bytes() == CHUNK_BYTES_MAX
    throttle.set_kbps(800)
    assert throttle.chunk_bytes() == 2000
    throttle.set_kbps(16)
    assert throttle.chunk_bytes() == CHUNK_BYTES_MIN
    throttle.set_kbps(None)
    assert throttle.kbps is None
    assert throttle.chunk_bytes() == CHUNK_BYTES_MAX
