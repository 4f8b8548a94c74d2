"""Log lines wait in order, within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from infra.edge.logs import BATCH_BYTES_MAX, BATCH_LINES_MAX, LogQueue
from schemas.codec import Decoder
from schemas.delivery import EdgeLog
from tests.builders import NOW_MS, SESSION_ID

LINES: Decoder[EdgeLog] = Decoder(EdgeLog)


def a_log(sequence: int, *, cmcd: str = "") -> EdgeLog:
    return EdgeLog(
        session_id=SESSION_ID,
        edge="alpha",
        source="edge-alpha-1",
        sequence=sequence,
        at_ms=NOW_MS,
        path="/ember/r/v240/1.m4s",
        status=200,
        bytes_sent=1000,
        duration_ms=12,
        cmcd=cmcd,
    )


def test_a_batch_is_given_again_until_it_is_settled() -> None:
    queue = LogQueue(1 << 20)
    queue.add(a_log(1))
    queue.add(a_log(2))
    batch = queue.next_batch()
    assert batch is not None
    assert batch == queue.next_batch()
    last, count, body = batch
    assert (last, count) == (2, 2)
    assert [line.sequence for line in LINES.decode_lines(body)] == [1, 2]
    queue.settle(last)
    assert queue.next_batch() is None
    assert queue.queued_bytes == 0


def test_the_oldest_lines_go_first_when_full_and_are_counted() -> None:
    line_bytes = LogQueue(1 << 20)
    line_bytes.add(a_log(1))
    queue = LogQueue(line_bytes.queued_bytes * 3)
    dropped = [queue.add(a_log(number)) for number in range(1, 6)]
    assert dropped == [0, 0, 0, 1, 1]
    assert queue.dropped_count == 2
    batch = queue.next_batch()
    assert batch is not None
    assert [line.sequence for line in LINES.decode_lines(batch[2])] == [3, 4, 5]


def test_settling_a_batch_whose_head_was_dropped_meanwhile_keeps_what_came_after() -> None:
    queue = LogQueue(1 << 20)
    for number in range(1, 4):
        queue.add(a_log(number))
    batch = queue.next_batch()
    assert batch is not None
    queue.add(a_log(4))
    queue.settle(batch[0])
    rest = queue.next_batch()
    assert rest is not None
    assert rest[0] == 4


@given(st.lists(st.integers(0, 4096), max_size=700), st.integers(1000, 200_000))
def test_queue_and_batches_stay_within_their_bounds(sizes: list[int], bytes_max: int) -> None:
    queue = LogQueue(bytes_max)
    for number, size in enumerate(sizes, start=1):
        queue.add(a_log(number, cmcd="a" * size))
        assert queue.queued_bytes <= bytes_max
    while (batch := queue.next_batch()) is not None:
        last, count, body = batch
        assert count <= BATCH_LINES_MAX
        assert len(body) <= BATCH_BYTES_MAX
        queue.settle(last)
    assert len(queue) == 0
    assert queue.queued_bytes == 0
