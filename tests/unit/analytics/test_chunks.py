"""Chunks are a pure function of the log: whoever cuts it again cuts it alike."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.analytics.batches import Batch
from agents.analytics.chunks import Chunk, Chunker, ChunkLimits
from tests.unit.analytics.tables import a_batch as real_batch

LIMITS = ChunkLimits(records_max=7, bytes_max=200, bucket_ms=100, grace_ms=10)


def a_batch(offset: int, at_ms: int, *, count: int = 1, size_bytes: int = 10) -> Batch:
    return Batch(b"x" * size_bytes, offset, offset + count, at_ms, at_ms)


def cut(batches: list[Batch]) -> list[Chunk]:
    chunker = Chunker("t", 0, LIMITS)
    return [chunk for batch in batches for chunk in chunker.add(batch)]


@st.composite
def logs(draw: st.DrawFn) -> list[Batch]:
    batches, offset, at_ms = [], draw(st.integers(0, 1000)), 1_000_000
    for gap, count, passed_ms, size_bytes in draw(
        st.lists(
            st.tuples(
                st.integers(0, 2), st.integers(1, 9), st.integers(-20, 90), st.integers(0, 250)
            ),
            max_size=80,
        )
    ):
        offset, at_ms = offset + gap, at_ms + passed_ms  # ends of transactions, clocks step back
        batches.append(a_batch(offset, at_ms, count=count, size_bytes=size_bytes))
        offset += count
    return batches


@settings(deadline=None)  # a loaded machine is no counterexample
@given(logs(), st.data())
def test_a_sink_that_died_anywhere_cuts_the_same_chunks_again(
    log: list[Batch], data: st.DataObject
) -> None:
    uncut = [chunk.token for chunk in cut(log)]
    cut_again: list[str] = []
    committed = -1
    while True:
        rest = [batch for batch in log if batch.first > committed]
        chunks = cut(rest)
        if not chunks:
            break
        survived = data.draw(st.integers(1, len(chunks)))
        cut_again += [chunk.token for chunk in chunks[:survived]]
        committed = chunks[survived - 1].last
    assert cut_again == uncut


@settings(deadline=None)  # a loaded machine is no counterexample
@given(logs().filter(bool), st.data())
def test_a_chunk_that_was_begun_is_cut_again_as_it_was(
    log: list[Batch], data: st.DataObject
) -> None:
    """The first sink closed chunks whenever nothing came; the second one sees more."""
    chunker = Chunker("t", 0, LIMITS)
    chunks: list[Chunk] = []
    for batch in log:
        chunks += chunker.add(batch)
        idle = chunker.close_idle(
            data.draw(st.sampled_from([0, batch.newest_at_ms, 10**12])),
            is_early_fine=data.draw(st.booleans()),
        )
        chunks += [idle] if idle is not None else []
    chunks += [last] if (last := chunker.close()) is not None else []
    begun = data.draw(st.sampled_from(chunks))
    again = Chunker("t", 0, LIMITS, begun_until=begun.last)
    seen = [batch for batch in log if batch.first >= begun.first]
    cut_again = [chunk for batch in seen for chunk in again.add(batch)]
    cut_again += [last] if (last := again.close()) is not None else []
    assert cut_again[0].token == begun.token
    assert cut_again[0].batches == begun.batches
    assert [batch for chunk in cut_again for batch in chunk.batches] == seen


def test_a_begun_chunk_may_end_within_a_batch_or_in_what_is_gone() -> None:
    """Compaction joins batches, and takes records away."""
    within = Chunker("t", 0, LIMITS, begun_until=11)
    tokens = [chunk.token for chunk in within.add(a_batch(10, 1_000_000, count=3))]
    assert tokens == ["v1:t:0:10-11"]
    assert within.oldest is not None
    assert (within.oldest.first, within.oldest.next_offset) == (12, 13)
    gone = Chunker("t", 0, LIMITS, begun_until=11)
    assert gone.add(a_batch(10, 1_000_000)) == []
    assert [chunk.token for chunk in gone.add(a_batch(15, 1_000_000))] == ["v1:t:0:10-10"]


@settings(deadline=None)  # a loaded machine is no counterexample
@given(logs())
def test_chunks_hold_every_batch_once_and_keep_their_bounds(log: list[Batch]) -> None:
    chunker = Chunker("t", 0, LIMITS)
    chunks = [chunk for batch in log for chunk in chunker.add(batch)]
    last = chunker.close_idle(10**12, is_early_fine=False)
    chunks += [last] if last is not None else []
    assert [batch for chunk in chunks for batch in chunk.batches] == log
    for chunk in chunks:
        is_one = len(chunk.batches) == 1
        assert chunk.count <= LIMITS.records_max or is_one
        assert chunk.size_bytes <= LIMITS.bytes_max or is_one
        assert chunk.size_bytes == sum(len(batch.data) for batch in chunk.batches)
    assert (chunker.size_bytes, chunker.oldest) == (0, None)


def test_an_idle_chunk_closes_once_nothing_can_come_for_it() -> None:
    chunker = Chunker("t", 0, LIMITS)
    assert chunker.close_idle(10**12, is_early_fine=False) is None
    chunker.add(a_batch(5, 1_000_010))
    assert chunker.close_idle(1_000_109, is_early_fine=False) is None
    chunk = chunker.close_idle(1_000_110, is_early_fine=False)
    assert chunk is not None
    assert chunk.token == "v1:t:0:5-5"


def test_an_idle_chunk_may_close_early_but_not_before_some_gathered() -> None:
    chunker = Chunker("t", 0, ChunkLimits(bucket_ms=5_000, early_ms=30))
    assert chunker.close_idle(10**12, is_early_fine=True) is None
    chunker.add(a_batch(5, 1_000_010))
    chunker.add(a_batch(6, 1_000_039))
    assert chunker.close_idle(1_000_039, is_early_fine=True) is None
    assert chunker.close_idle(1_000_040, is_early_fine=False) is None
    chunk = chunker.close_idle(1_000_040, is_early_fine=True)
    assert chunk is not None
    assert chunk.token == "v1:t:0:5-6"


def test_a_phase_shifts_the_borders_of_a_partition() -> None:
    chunker = Chunker("t", 0, LIMITS, phase_ms=50)
    chunker.add(a_batch(1, 1_000_040))
    assert len(chunker.add(a_batch(2, 1_000_050))) == 1


def test_a_batch_that_is_begun_in_the_middle_gives_its_rest() -> None:
    batch = real_batch(*[b"%d" % number for number in range(6)], first=40)
    part = replace(batch, first=42).until(45)
    assert [(record.offset, record.value) for record in part.records()] == [
        (42, b"2"),
        (43, b"3"),
        (44, b"4"),
    ]
    assert part.count == 3
    assert part.until(99) is part


def test_the_pieces_of_a_batch_are_the_batch() -> None:
    batch = real_batch(*[b"%d" % number for number in range(7)], first=40)
    pieces = list(batch.pieces(3))
    assert [piece.count for piece in pieces] == [3, 3, 1]
    values = [record.value for piece in pieces for record in piece.records()]
    assert values == [record.value for record in batch.records()]
