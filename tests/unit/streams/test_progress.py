"""What may be committed: never past a message whose work is not done."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from streams.consumer.progress import Progress


@dataclass
class Message:
    offset: int
    acked: bool = False


def test_nothing_is_committable_before_the_first_message_is_done() -> None:
    progress = Progress()
    first, second = Message(4), Message(9)
    progress.hand_out(first)
    progress.hand_out(second)
    second.acked = True
    assert progress.committable() is None
    first.acked = True
    assert progress.committable() == 10


def test_reading_begins_with_the_committed_offset_itself() -> None:
    progress = Progress(next_offset=7)
    message = Message(7)
    progress.hand_out(message)
    message.acked = True
    assert progress.committable() == 8


def test_a_commit_that_failed_is_tried_again_and_one_that_succeeded_is_not() -> None:
    progress = Progress()
    message = Message(0, acked=True)
    progress.hand_out(message)
    assert progress.committable() == 1
    assert progress.committable() == 1
    progress.confirm(1)
    assert progress.committable() is None


def test_what_is_void_is_never_committed() -> None:
    progress = Progress()
    message = Message(0)
    progress.hand_out(message)
    assert progress.void() == [message]
    message.acked = True
    assert progress.committable() is None
    assert progress.in_flight_count == 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_committable_offset_is_that_of_the_done_head(gaps: list[int], random: object) -> None:
    progress, offset, messages = Progress(), 0, []
    for gap in gaps:
        offset += gap
        messages.append(Message(offset))
        progress.hand_out(messages[-1])
    order = list(messages)
    random.shuffle(order)  # type: ignore[attr-defined]
    for message in order:
        message.acked = True
        undone = [m.offset for m in messages if not m.acked]
        done = [m.offset for m in messages if not undone or m.offset < undone[0]]
        assert progress.committable() == (done[-1] + 1 if done else None)
