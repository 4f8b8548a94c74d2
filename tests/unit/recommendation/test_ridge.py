from __future__ import annotations

import numpy as np
import pytest

from agents.recommendation.numbers import Floats, Ints
from agents.recommendation.ridge import (
    NEXT_DECAY,
    NEXT_PENALTY,
    TOGETHER_PENALTY,
    RidgeCounts,
    solve,
)

SHARES: Floats = np.full(99, 1 / 99, dtype=np.float32)


def titles(*numbers: int) -> Ints:
    return np.array(numbers, dtype=np.int64)


def test_scores_are_those_of_the_closed_forms() -> None:
    counts = RidgeCounts()
    sequences = [[1, 2, 3], [2, 3, 1], [3, 4]] * 40
    inputs, targets, together = np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 4))
    for sequence in sequences:
        for place, title in enumerate(sequence):
            history = sequence[:place][::-1]
            counts.learn(titles(*history), title, 1.0)
            x = np.zeros(4)
            for lag, watched in enumerate(history):
                x[watched - 1] += NEXT_DECAY**lag
                together[title - 1, watched - 1] += 1
                together[watched - 1, title - 1] += 1
            together[title - 1, title - 1] += 1
            inputs += np.outer(x, x)
            targets[:, title - 1] += x
    weights = solve(counts.snapshot(SHARES))
    following, beside = weights.score(titles(2, 1), 7)
    next_weights = np.linalg.solve(inputs + NEXT_PENALTY * np.eye(4), targets)
    inverse = np.linalg.inv(together + TOGETHER_PENALTY * np.eye(4))
    ease = -inverse / np.diag(inverse)
    np.fill_diagonal(ease, 0.0)
    x = np.array([NEXT_DECAY, 1.0, 0.0, 0.0])
    assert following[1:5] == pytest.approx(x @ next_weights, abs=1e-5)
    assert beside[1:5] == pytest.approx(ease[0] + ease[1], abs=1e-5)
    assert following[0] == beside[0] == following[5] == 0


def test_a_snapshot_is_a_copy_and_a_solve_is_pure() -> None:
    counts = RidgeCounts()
    counts.learn(titles(), 1, 1.0)
    counts.learn(titles(1), 2, 1.0)
    snapshot = counts.snapshot(SHARES)
    first = solve(snapshot)
    counts.learn(titles(1), 2, 5.0)
    second = solve(snapshot)
    assert np.array_equal(first.next, second.next)
    assert np.array_equal(first.together, second.together)
    assert first.score(titles(1, 50), 9)[0][2] > 0


def test_the_head_is_bounded_and_what_is_watched_more_takes_a_place() -> None:
    counts = RidgeCounts(places_max=3)
    for title in (1, 2, 3, 80):
        counts.learn(titles(1), title, 1.0)
    assert counts.snapshot(SHARES).titles.tolist() == [1, 2, 3]
    shares = SHARES.copy()
    shares[80] = 0.5
    shares[2] = 1e-4
    snapshot = counts.snapshot(shares)
    assert snapshot.titles.tolist() == [1, 80, 3]
    assert not snapshot.targets[:, 1].any()
    counts.learn(titles(1), 80, 1.0)
    counts.learn(titles(1), 2, 1.0)
    later = counts.snapshot(shares)
    assert later.targets[0, 1] > 0
    assert solve(later).score(titles(1), 99)[0][80] > 0


def test_it_grows_with_the_catalog() -> None:
    counts = RidgeCounts()
    for title in range(1, 200):
        counts.learn(titles(max(1, title - 1)), title, 1.0)
    assert len(counts.snapshot(np.full(200, 0.005, dtype=np.float32)).titles) == 199
