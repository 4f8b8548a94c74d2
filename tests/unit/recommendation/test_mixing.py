from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recommendation.mixing import Mixture


def lessons(
    mixture: Mixture, right: int, *, length: int, count: int, seed: int, titles: int = 30
) -> None:
    """What is watched follows the scores of one expert."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        features = rng.normal(size=(2, titles)).astype(np.float32)
        target = int((3 * features[right] + rng.gumbel(size=titles)).argmax())
        mixture.step(features, mixture.weights(length) @ features, target, length)


def test_the_expert_who_is_right_gets_the_weight() -> None:
    mixture = Mixture((0.5, 0.5))
    lessons(mixture, 1, length=50, count=300, seed=1)
    wrong, right = mixture.weights(50).tolist()
    assert right > 2.0
    assert abs(wrong) < 0.4


def test_each_length_of_history_finds_its_own() -> None:
    mixture = Mixture((0.5, 0.5))
    for round_ in range(40):
        lessons(mixture, 0, length=2, count=10, seed=2 * round_)
        lessons(mixture, 1, length=500, count=10, seed=2 * round_ + 1)
    assert mixture.weights(2)[0] > mixture.weights(2)[1]
    assert mixture.weights(500)[1] > mixture.weights(500)[0]


def test_a_title_that_may_not_be_offered_teaches_nothing() -> None:
    mixture = Mixture((0.5, 0.5))
    features = np.ones((2, 3), dtype=np.float32)
    scores = np.array([1.0, -np.inf, 1.0], dtype=np.float32)
    mixture.step(features, scores, 1, 3)
    assert mixture.steps == 0


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 300)), max_size=10))
def test_the_same_steps_give_the_same_finite_weights(steps: list[tuple[int, int]]) -> None:
    first, second = Mixture((0.5, 0.5)), Mixture((0.5, 0.5))
    for mixture in (first, second):
        for seed, (right, length) in enumerate(steps):
            lessons(mixture, right, length=length, count=2, seed=seed)
    for length in (0, 3, 10, 50, 300):
        assert np.array_equal(first.weights(length), second.weights(length))
        assert np.isfinite(first.weights(length)).all()
