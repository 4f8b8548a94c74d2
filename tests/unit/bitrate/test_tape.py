from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.bitrate.memory import Circumstances
from agents.bitrate.population import Population
from agents.bitrate.tape import CONTEXT_MAX, DOWNLOADS_MAX, Tape, learn_tape, record

NOWHERE = Circumstances()


def a_tape(downloads: int) -> Tape:
    tape = Tape()
    for number in range(downloads):
        tape = record(tape, 1e6 + number, 1.0)
    return tape


@given(st.lists(st.tuples(st.floats(-1, 1e9), st.floats(-1, 1e3)), max_size=300))
def test_a_tape_is_bounded_and_holds_what_tells_something(
    downloads: list[tuple[float, float]],
) -> None:
    tape = Tape()
    for size_bytes, download_s in downloads:
        tape = record(tape, size_bytes, download_s)
    assert len(tape.sizes_bytes) == len(tape.download_s) <= DOWNLOADS_MAX + 1
    assert all(size > 0 for size in tape.sizes_bytes)
    assert all(seconds > 0 for seconds in tape.download_s)


def test_a_long_session_is_learned_in_parts_and_starts_once() -> None:
    population = Population()
    tape = a_tape(DOWNLOADS_MAX)
    assert tape.is_full
    rest = learn_tape(population, tape, NOWHERE, 0)
    learned = len(population)
    assert learned > 0
    assert rest.sizes_bytes == tape.sizes_bytes[-CONTEXT_MAX:]
    assert not rest.is_full
    learn_tape(population, rest, NOWHERE, 0)
    assert len(population) == learned, "nothing was new"
    for _ in range(10):
        rest = record(rest, 2e6, 1.0)
    learn_tape(population, rest, NOWHERE, 0)
    assert len(population) == learned + 10 - 2
    assert len(population.nearest_starts(NOWHERE, 0, 9).curves) == 1


def test_an_empty_tape_teaches_nothing() -> None:
    population = Population()
    assert learn_tape(population, Tape(), NOWHERE, 0) == Tape()
    assert len(population) == 0
