from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.operations.off_policy import Comparison, Draw, compare

TITLES = ("a", "b", "c")
OUTCOMES = {"a": 0.1, "b": 0.3, "c": 0.6}

shares = st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3).map(
    lambda weights: dict(zip(TITLES, (w / sum(weights) for w in weights), strict=True))
)


def value_of(found: Comparison, estimator: str) -> float:
    return next(each.value for each in found.estimates if each.estimator == estimator)


def a_draw(
    profile: str, title: str, outcome: float, served: dict[str, float], other: dict[str, float]
) -> Draw:
    return Draw(
        profile_id=profile,
        content_id=title,
        propensity=served[title],
        outcome=outcome,
        other=other,
    )


def drawn(
    rng: np.random.Generator, served: dict[str, float], other: dict[str, float], count: int
) -> list[Draw]:
    """Each profile three times."""
    draws = []
    for number in range(count):
        title = TITLES[int(rng.choice(3, p=list(served.values())))]
        outcome = float(rng.random() < OUTCOMES[title])
        draws.append(a_draw(f"p{number // 3}", title, outcome, served, other))
    return draws


@settings(max_examples=50, deadline=None)
@given(shares, shares, st.tuples(*[st.sampled_from([0.0, 1.0])] * 3))
def test_ips_and_doubly_robust_are_unbiased(
    served: dict[str, float], other: dict[str, float], outcomes: tuple[float, float, float]
) -> None:
    """Over all that two profiles could have been drawn, by its probability: exact."""
    outcome = dict(zip(TITLES, outcomes, strict=True))
    truth = sum(other[title] * outcome[title] for title in TITLES)
    sums = {"IPS": 0.0, "doubly robust": 0.0}
    for titles in product(TITLES, TITLES):
        draws = [
            a_draw(profile, title, outcome[title], served, other)
            for profile, title in zip("pq", titles, strict=True)
        ]
        found = compare(draws)
        for estimator in sums:
            sums[estimator] += served[titles[0]] * served[titles[1]] * value_of(found, estimator)
    assert sums == pytest.approx(dict.fromkeys(sums, truth))


@settings(max_examples=30, deadline=None)
@given(shares, st.integers(0, 1_000))
def test_the_same_policy_would_have_got_the_same(served: dict[str, float], seed: int) -> None:
    found = compare(drawn(np.random.default_rng(seed), served, served, 60))
    assert found.weight_mean == found.weight_max == pytest.approx(1.0)
    assert found.effective_draws == pytest.approx(60)
    logged = found.estimates[0]
    for each in found.estimates[1:3]:
        assert (each.value, each.low, each.high) == pytest.approx(
            (logged.value, logged.low, logged.high)
        )


def test_nineteen_intervals_of_twenty_hold_the_truth() -> None:
    served, other = {"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 0.1, "b": 0.3, "c": 0.6}
    truth = sum(other[title] * OUTCOMES[title] for title in TITLES)
    rng = np.random.default_rng(8)
    held = dict.fromkeys(("IPS", "self-normalized IPS", "doubly robust"), 0)
    widths: dict[str, float] = dict.fromkeys(held, 0.0)
    for _ in range(300):
        for each in compare(drawn(rng, served, other, 300)).estimates[1:]:
            held[each.estimator] += each.low <= truth <= each.high
            widths[each.estimator] += each.high - each.low
    assert all(0.91 < count / 300 < 0.99 for count in held.values()), held
    assert widths["doubly robust"] < widths["IPS"]


def test_titles_that_could_not_be_drawn_show_in_the_weights() -> None:
    served, other = {"a": 0.5, "b": 0.5}, {"a": 0.2, "new": 0.8}
    draws = [a_draw(f"p{n}", "ab"[n % 2], 1.0, served, other) for n in range(40)]
    found = compare(draws)
    assert found.weight_mean == pytest.approx(0.2)
    assert found.effective_draws == pytest.approx(20)
    with pytest.raises(ValueError, match="no draws"):
        compare([])
