from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.bitrate.memory import BLOCK_ROWS, Circumstances, Neighbors
from agents.bitrate.population import SITUATIONS_PER_SESSION_MAX, Population
from agents.bitrate.situation import describe
from schemas.bitrate import PopulationBlock

NOWHERE = Circumstances()
DAY_MS = 86_400_000


def learn(
    population: Population,
    rate: float = 1e6,
    *,
    chunks: int = 10,
    circumstances: Circumstances = NOWHERE,
    at_ms: int = 0,
    later_rate: float | None = None,
) -> int:
    """A session at `rate` bytes/s, which changes to `later_rate` halfway."""
    rates = np.full(chunks, rate)
    if later_rate is not None:
        rates[chunks // 2 :] = later_rate
    return population.learn(
        np.full(chunks, 1e6),
        1e6 / rates,
        circumstances=circumstances,
        at_ms=at_ms,
    )


def steady_situation(
    rate: float = 1e6, chunks: int = 8
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return describe(np.full(chunks, 1e6), np.full(chunks, 1e6 / rate))


def test_it_works_from_zero() -> None:
    neighbors = Population().nearest(steady_situation(), NOWHERE, 0, 40)
    assert neighbors.curves.shape[0] == 0


def test_a_session_too_short_has_no_situations() -> None:
    population = Population()
    assert [learn(population, chunks=chunks) for chunks in (0, 1, 3, 4, 5)] == [0, 0, 0, 1, 2]
    assert len(population) == 3


@given(st.lists(st.integers(0, 300), max_size=12))
def test_memory_is_bounded_however_much_is_learned(lengths: list[int]) -> None:
    population = Population(situations_max=100, starts_max=5)
    size_bytes = population.size_bytes
    learned = sum(learn(population, chunks=length) for length in lengths)
    assert population.size_bytes == size_bytes
    assert len(population) == min(learned, 100)
    assert len(population.nearest(steady_situation(), NOWHERE, 0, 40).curves) <= 40


def test_a_long_session_is_thinned() -> None:
    assert learn(Population(), chunks=2000) <= SITUATIONS_PER_SESSION_MAX


def test_the_oldest_are_forgotten_first() -> None:
    population = Population(situations_max=7)
    learn(population, 1e6, later_rate=4e6)
    learn(population, 1e6)
    curves = population.nearest(steady_situation(), NOWHERE, 0, 7).curves
    assert curves[:, 1] == pytest.approx(np.ones(7))


def test_what_behaved_alike_is_nearer() -> None:
    population = Population()
    for _ in range(10):
        learn(population, 1e6)
        learn(population, 30e6)
    near = population.nearest(steady_situation(1e6), NOWHERE, 0, 30)
    far = population.nearest(steady_situation(1e5), NOWHERE, 0, 30)
    assert near.distances.mean() < far.distances.mean()


@pytest.mark.parametrize("field", ["network", "device", "edge"])
def test_of_like_behavior_the_same_place_is_nearer(field: str) -> None:
    here, elsewhere = (msgspec.convert({field: name}, Circumstances) for name in ("a", "b"))
    population = Population()
    for _ in range(3):
        learn(population, circumstances=elsewhere, later_rate=2e6)
        learn(population, circumstances=here, later_rate=2e6)
    found = population.nearest(steady_situation(chunks=3), here, 0, 3)
    other = population.nearest(steady_situation(chunks=3), elsewhere, 0, 3)
    unknown = population.nearest(steady_situation(chunks=3), NOWHERE, 0, 6)
    assert found.distances == pytest.approx(other.distances)
    assert (
        max(found.distances)
        < 0.5
        <= population.nearest(steady_situation(chunks=3), here, 0, 42).distances.max()
    )
    assert min(unknown.distances) == pytest.approx(min(found.distances))


def test_hours_are_on_a_circle_and_age_counts() -> None:
    population = Population()
    learn(population, circumstances=Circumstances(hour=23), at_ms=0, chunks=4)
    situation = steady_situation(chunks=1)

    def distance(hour: int, now_ms: int = 0) -> float:
        found = population.nearest(situation, Circumstances(hour=hour), now_ms, 1)
        return float(found.distances[0])

    assert distance(23) == pytest.approx(0, abs=1e-6)
    assert distance(0) == pytest.approx(distance(22))
    assert distance(11) > distance(0)
    assert distance(23, 28 * DAY_MS) == pytest.approx(2.0, abs=1e-6)


def test_the_same_sessions_in_the_same_order_are_the_same_memory() -> None:
    first, second = Population(), Population()
    for population in (first, second):
        for rate in (1e5, 1e6, 3e6, 2e7):
            learn(population, rate, later_rate=1.5 * rate)
    found = [each.nearest(steady_situation(2e6), NOWHERE, 0, 9) for each in (first, second)]
    assert np.array_equal(found[0].curves, found[1].curves)
    assert np.array_equal(found[0].distances, found[1].distances)


def told(population: Population, worker: str = "1") -> list[PopulationBlock]:
    return list(population.blocks_changed(worker))


def recalled(blocks: list[PopulationBlock], situations_max: int = 1_000) -> Population:
    """A worker that starts with what was told."""
    fresh = Population(situations_max=situations_max)
    fresh.recall(blocks)
    return fresh


def curves(neighbors: Neighbors) -> set[bytes]:
    return {curve.tobytes() for curve in neighbors.curves}


@given(st.lists(st.integers(4, 60), max_size=6), st.integers(1, 400))
def test_what_was_told_is_remembered_by_the_next_worker(lengths: list[int], places: int) -> None:
    population = Population(situations_max=places)
    for number, length in enumerate(lengths):
        learn(population, (number + 1) * 1e5, chunks=length, at_ms=number, later_rate=1e6)
    again = recalled(told(population), places)
    assert len(again) == len(population)
    situation = steady_situation(3e5)
    before = population.nearest(situation, NOWHERE, 10, places)
    assert curves(again.nearest(situation, NOWHERE, 10, places)) == curves(before)
    starts = population.nearest_starts(NOWHERE, 10, places)
    assert curves(again.nearest_starts(NOWHERE, 10, places)) == curves(starts)


def test_only_what_changed_is_told_again() -> None:
    population = Population()
    for number in range(40):
        learn(population, 1e5 + number, chunks=60)
    assert len(population) > 2 * BLOCK_ROWS
    first = told(population)
    assert told(population) == []
    learn(population, 5e5)
    second = told(population)
    assert [(block.memory, block.number) for block in second] == [
        ("situations", max(b.number for b in first if b.memory == "situations")),
        ("starts", 0),
    ]


def test_what_two_workers_tell_alike_counts_once_and_the_oldest_make_room() -> None:
    one = Population()
    learn(one, 1e5, chunks=30, at_ms=1)
    blocks = told(one)
    two = recalled(blocks)
    learn(two, 2e5, chunks=30, at_ms=2, later_rate=3e5)
    blocks += told(two, "2")
    assert len(recalled(blocks)) == len(two) > len(one)
    newest, alone = recalled(blocks, 5), Population(situations_max=5)
    learn(alone, 2e5, chunks=30, at_ms=2, later_rate=3e5)
    here = steady_situation()
    assert len(newest) == 5
    assert curves(newest.nearest(here, NOWHERE, 2, 5)) == curves(alone.nearest(here, NOWHERE, 2, 5))


def test_blocks_of_another_layout_are_left_alone() -> None:
    population, other = Population(), Population()
    learn(population)
    other.recall(msgspec.structs.replace(block, layout="0:1:1") for block in told(population))
    assert len(other) == 0
