from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recommendation.numbers import Ints
from agents.recommendation.transitions import (
    HALF_LIFE_PLAYS,
    LEARN_DECAY,
    PRIOR,
    RANK_DECAY,
    ROW_TITLES_MAX,
    SparseRows,
    Transitions,
)


def titles(*numbers: int) -> Ints:
    return np.array(numbers, dtype=np.int64)


def test_gains_are_those_of_the_product_of_experts() -> None:
    """The published formula without what is the same for all titles, counts halving slowly."""
    transitions = Transitions()
    watches = [((), 1), ((1,), 2), ((2, 1), 3), ((), 2), ((2,), 3)]
    for history, title in watches:
        transitions.learn(titles(*history), title, 1.0)
    counts = {1: 0.0, 2: 0.0, 3: 0.0}
    follows: dict[tuple[int, int], float] = {}
    age, known = 0.0, 0
    ages = []
    for _, title in watches:
        ages.append(age)
        known = max(known, title)
        age += 1 / (HALF_LIFE_PLAYS * known)
    for (history, title), when in zip(watches, ages, strict=True):
        strength = 2.0 ** (when - age)
        counts[title] += strength
        for lag, watched in enumerate(history):
            key = (watched, title)
            follows[key] = follows.get(key, 0.0) + strength * LEARN_DECAY**lag
    total = sum(counts.values()) + 4.0  # Every title counts once more, and so does the unwatched.
    shares = {title: (count + 1.0) / total for title, count in counts.items()}

    def gain(lag: int, watched: int, title: int) -> float:
        count = follows.get((watched, title), 0.0)
        return RANK_DECAY**lag * math.log1p(count / (PRIOR * shares[title]))

    found = transitions.read(titles(2, 1)).gains
    for title in (1, 2, 3):
        assert found[0, title] == pytest.approx(gain(0, 2, title), rel=1e-4)
        assert found[1, title] == pytest.approx(gain(1, 1, title), rel=1e-4)
    assert transitions.reasons(titles(2, 1), titles(1, 2, 3)).tolist() == [-1, 1, 0]


watches_strategy = st.lists(
    st.tuples(st.lists(st.integers(1, 9), max_size=5), st.integers(1, 9)), max_size=40
)


@settings(deadline=None)
@given(watches_strategy)
def test_sparse_rows_say_the_same_as_dense_ones(watches: list[tuple[list[int], int]]) -> None:
    dense, sparse = Transitions(), Transitions(dense_titles_max=4)
    watches = [*watches, ([], 9)]  # The catalog has nine titles, whatever was watched.
    for history, title in watches:
        for each in (dense, sparse):
            for watched in history:  # What stands in a history was watched before.
                each.learn(titles(), watched, 1.0)
            each.learn(titles(*history), title, 1.0)
    one, other = dense.read(titles(1, 2, 3, 4)), sparse.read(titles(1, 2, 3, 4))
    assert np.allclose(one.gains, other.gains, rtol=1e-4, atol=1e-6)
    assert np.allclose(one.markov, other.markov, rtol=1e-4, atol=1e-6)
    assert np.allclose(dense.gains(5), sparse.gains(5), rtol=1e-4, atol=1e-6)
    wanted = titles(1, 2)
    assert np.array_equal(
        dense.reasons(titles(1, 2), wanted) >= 0, sparse.reasons(titles(1, 2), wanted) >= 0
    )


def test_a_row_keeps_its_strongest_successors() -> None:
    rows = SparseRows()
    count = 2 * ROW_TITLES_MAX + 1
    for title in range(1, count + 1):
        value = 2.0 if title <= 10 else 1.0
        rows.add(titles(0), title, np.array([value], dtype=np.float32))
    held = np.flatnonzero(rows.gains(0, np.ones(count + 1, dtype=np.float32)))
    assert len(held) == ROW_TITLES_MAX
    assert set(range(1, 11)) <= set(held.tolist())


def test_a_very_long_log_overflows_nothing() -> None:
    transitions = Transitions()
    for number in range(4_000):  # With two titles, counts halve every sixty plays.
        transitions.learn(titles(1 + number % 2), 1 + (number + 1) % 2, 1.0)
    shares = transitions.shares()
    assert np.isfinite(transitions.read(titles(1, 2)).gains).all()
    assert shares.sum() == pytest.approx(1.0, rel=1e-4)
    assert shares[1] == pytest.approx(shares[2], rel=0.05)
