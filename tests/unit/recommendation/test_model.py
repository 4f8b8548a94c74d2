from __future__ import annotations

import math

import numpy as np
import pytest

from agents.recommendation.model import ALPHA, PRIOR, RANK_DECAY, ROW_TITLES_MAX, ProductOfExperts
from agents.recommendation.popularity import HALF_LIFE_MS, Popularity
from tests.builders import NOW_MS

TITLES = ("a", "b", "c", "d", "e", "f")


def a_model() -> ProductOfExperts:
    """Forty viewers who went a, b, c and ten who went d, e."""
    model = ProductOfExperts()
    for n in range(40):
        model.learn((), "a", 1.0, NOW_MS + n)
        model.learn(("a",), "b", 1.0, NOW_MS + n)
        model.learn(("b", "a"), "c", 1.0, NOW_MS + n)
    for n in range(10):
        model.learn((), "d", 1.0, NOW_MS + n)
        model.learn(("d",), "e", 1.0, NOW_MS + n)
    return model


def test_what_follows_ranks_first_and_says_because_of_what() -> None:
    ranked = a_model().rank(("d",), ["a", "b", "c", "e", "f"], 9)
    assert a_model().after("d", TITLES, 9)[0].content_id == "e"
    gains = {each.content_id: each.because for each in ranked}
    assert gains["e"] == "d"
    assert gains["a"] is None


def test_a_longer_history_is_ranked_by_the_published_formula() -> None:
    """The sparse sum differs from the dense formula by the same constant for every title."""
    model = a_model()
    history = ("b", "a", "d", "e", "c")
    counts = {"a": 41.0, "b": 41.0, "c": 41.0, "d": 11.0, "e": 11.0}
    total = sum(counts.values()) + 1.0  # the number of all that nobody watched
    follows = {"a": {"b": 40.0, "c": 28.0}, "b": {"c": 40.0}, "d": {"e": 10.0}}

    def dense(content_id: str) -> float:
        share = counts[content_id] / total
        score = ALPHA * math.log(share)
        for k, watched in enumerate(history):
            row = follows.get(watched, {})
            count, row_sum = row.get(content_id, 0.0), sum(row.values())
            part = (count + PRIOR * share) / (row_sum + PRIOR)
            score += RANK_DECAY**k * (math.log(part) - math.log(share))
        return score

    ranked = {each.content_id: each.score for each in model.rank(history, list(counts), 9)}
    distances = [ranked[content_id] - dense(content_id) for content_id in counts]
    assert distances == pytest.approx([distances[0]] * len(distances))


def test_without_history_what_is_popular_lately_comes_first() -> None:
    model = a_model()
    for n in range(20):
        model.learn((), "f", 1.0, NOW_MS + 5 * HALF_LIFE_MS + n)
    ranked = [each.content_id for each in model.rank((), list(TITLES), 9)]
    assert ranked[0] == "f"
    assert model.popular(TITLES, 9)[0].content_id == "f"


def test_nobody_watched_nothing_keeps_the_candidates_order() -> None:
    ranked = ProductOfExperts().rank((), ["x", "z", "y"], 9)
    assert [each.content_id for each in ranked] == ["x", "z", "y"]
    assert ProductOfExperts().popular(["x"], 9) == []
    assert ProductOfExperts().after("x", ["y"], 9) == []


def test_popularity_halves_and_does_not_depend_on_the_order() -> None:
    forward, backward = Popularity(), Popularity()
    seen = [(0, NOW_MS), (1, NOW_MS + HALF_LIFE_MS), (0, NOW_MS + 2 * HALF_LIFE_MS)]
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
    popularity.add(100, 1.0, 5_000 * HALF_LIFE_MS)
    popularity.add(2, 1.0, 1)
    old, new, unknown = popularity.counts(np.array([0, 100, 999]))
    assert (old < 1e-100, new, unknown) == (True, 1.0, 0.0)
    assert np.isfinite(popularity.log_shares(np.array([0, 2, 100]))).all()


def test_a_row_keeps_its_strongest_successors() -> None:
    model = ProductOfExperts()
    for n in range(2 * ROW_TITLES_MAX + 1):
        model.learn(("a",), f"t{n}", 2.0 if n < 10 else 1.0, NOW_MS)
    every = [f"t{n}" for n in range(2 * ROW_TITLES_MAX + 1)]
    after = [each.content_id for each in model.after("a", every, 10_000)]
    assert len(after) == ROW_TITLES_MAX
    assert set(every[:10]) <= set(after)
