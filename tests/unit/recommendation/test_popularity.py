from __future__ import annotations

import numpy as np
import pytest

from agents.recommendation.popularity import DAY_MS, WEEK_MS, Popularity
from tests.builders import NOW_MS


@pytest.mark.parametrize("half_life_ms", [DAY_MS, WEEK_MS])
def test_popularity_halves_and_does_not_depend_on_the_order(half_life_ms: int) -> None:
    forward, backward = Popularity(half_life_ms), Popularity(half_life_ms)
    seen = [(0, NOW_MS), (1, NOW_MS + half_life_ms), (0, NOW_MS + 2 * half_life_ms)]
    for title, at_ms in seen:
        forward.add(title, 1.0, at_ms)
    for title, at_ms in reversed(seen):
        backward.add(title, 1.0, at_ms)
    for popularity in (forward, backward):
        first, second = popularity.counts(np.array([0, 1]))
        assert first / second == pytest.approx(5 / 2)


def test_popularity_survives_a_clock_of_centuries() -> None:
    popularity = Popularity()
    popularity.add(0, 1.0, 0)
    popularity.add(100, 1.0, 5_000 * WEEK_MS)
    popularity.add(2, 1.0, 1)
    old, new, unknown = popularity.counts(np.array([0, 100, 999]))
    assert (old < 1e-100, new, unknown) == (True, 1.0, 0.0)
    assert np.isfinite(popularity.log_shares(150)).all()
