"""Chunks are a pure function of the log: whoever cuts it again cuts it alike."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.analytics.chunks import RECORD_BYTES, Chunk, Chunker, ChunkLimits

LIMITS = ChunkLimits(records_max=7, bytes_max=200 + 4 * RECORD_BYTES, bucket_ms=100, grace_ms=10)


class Raw(NamedTuple):
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


def a_record(offset: int, timestamp: int, size: int = 10) -> Raw:
    return Raw(0, offset, timestamp, None, b"x" * size, None)


def cut(records: list[Raw]) -> list[Chunk]:
    chunker: Chunker = Chunker("t", 0, LIMITS)
    return [chunk for record in records for chunk in chunker.add([record])]


@st.composite
def logs(draw: st.DrawFn) -> list[Raw]:
    records, offset, at = [], draw(st.integers(0, 1000)), 1_000_000
    for gap, passed, size in draw(
        st.lists(
            st.tuples(st.integers(1, 3), st.integers(-20, 90), st.integers(0, 120)), max_size=80
        )
    ):
        offset, at = offset + gap, at + passed  # compaction leaves gaps, clocks step back
        records.append(a_record(offset, at, size))
    return records


@settings(deadline=None)  # a loaded machine is no counterexample
@given(logs(), st.data())
def test_a_sink_that_died_anywhere_cuts_the_same_chunks_again(
    log: list[Raw], data: st.DataObject
) -> None:
    uncut = [chunk.token for chunk in cut(log)]
    cut_again: list[str] = []
    committed = -1
    while True:
        rest = [record for record in log if record.offset > committed]
        chunks = cut(rest)
        if not chunks:
            break
        survived = data.draw(st.integers(1, len(chunks)))
        cut_again += [chunk.token for chunk in chunks[:survived]]
        committed = chunks[survived - 1].last
    assert cut_again == uncut


@settings(deadline=None)  # a loaded machine is no counterexample
@given(logs(), st.data())
def test_batches_of_any_size_are_cut_as_single_records_are(
    log: list[Raw], data: st.DataObject
) -> None:
    """How many records a fetch brings at once must not move a border."""
    chunker, chunks, rest = Chunker("t", 0, LIMITS), list[Chunk](), log
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        chunks += chunker.add(rest[:size])
        rest = rest[size:]
    assert [chunk.token for chunk in chunks] == [chunk.token for chunk in cut(log)]


@settings(deadline=None)  # a loaded machine is no counterexample
@given(logs())
def test_chunks_hold_every_record_once_and_keep_their_bounds(log: list[Raw]) -> None:
    chunker: Chunker = Chunker("t", 0, LIMITS)
    chunks = [chunk for record in log for chunk in chunker.add([record])]
    last = chunker.close_idle(10**12)
    chunks += [last] if last is not None else []
    assert [record for chunk in chunks for record in chunk.records] == log
    for chunk in chunks:
        assert len(chunk.records) <= LIMITS.records_max
        assert chunk.size_bytes <= LIMITS.bytes_max or len(chunk.records) == 1
    assert (chunker.size_bytes, chunker.oldest) == (0, None)


def test_an_idle_chunk_closes_once_nothing_can_come_for_it() -> None:
    chunker: Chunker = Chunker("t", 0, LIMITS)
    assert chunker.close_idle(10**12) is None
    chunker.add([a_record(5, 1_000_010)])
    assert chunker.close_idle(1_000_109) is None
    chunk = chunker.close_idle(1_000_110)
    assert chunk is not None
    assert chunk.token == "v1:t:0:5-5"


def test_a_phase_shifts_the_borders_of_a_partition() -> None:
    chunker: Chunker = Chunker("t", 0, LIMITS, phase_ms=50)
    chunker.add([a_record(1, 1_000_040)])
    assert len(chunker.add([a_record(2, 1_000_050)])) == 1


def test_no_records_close_nothing() -> None:
    chunker = Chunker("t", 0, ChunkLimits())
    assert chunker.add([]) == []
    chunker.add([a_record(0, 0)])
    assert chunker.add([]) == []
