"""What another policy would have got, by what this one drew: estimators for logged draws.

A draw put a title at a place with a known probability. Another policy is what it would have put
there, with which probabilities. Of IPS (Horvitz and Thompson 1952) the weight is the ratio of both;
the self-normalized one divides by the sum of the weights (Swaminathan and Joachims 2015); the
doubly robust one adds to a model of outcomes what the model missed (Dudik et al. 2011). All hold
only where every title of the other policy could have been drawn: then weights are 1 on average.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

Z_95: Final = 1.959964
"""Of the normal distribution, two-sided."""
PRIOR_DRAWS: Final = 20.0
"""A title's own outcomes count as much as the mean of all after so many draws."""

Values = npt.NDArray[np.float64]


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """A place that was drawn, what came of it, and what the other policy would have done."""

    profile_id: str
    content_id: str
    propensity: float
    """Above 0, at most 1."""
    outcome: float
    """0 or 1."""
    other: Mapping[str, float]
    """By content id: its probability under the other policy; they sum to 1."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean outcome by draw, with its 95 % interval."""

    estimator: str
    value: float
    low: float
    high: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What was drawn, and what the other policy would have got."""

    draws: int
    profiles: int
    effective_draws: float
    """As many draws of the other policy itself would tell as much (Kish)."""
    weight_mean: float
    """Far below 1: it wants titles that could not be drawn, and no estimate holds."""
    weight_max: float
    estimates: tuple[Estimate, ...]
    """First that of the policy that served."""


def compare(draws: Sequence[Draw]) -> Comparison:
    """Estimates by every estimator. Raises ValueError where there is nothing to estimate from."""
    if not draws:
        raise ValueError("there are no draws")
    outcomes = np.array([draw.outcome for draw in draws])
    weights = np.array([draw.other.get(draw.content_id, 0.0) / draw.propensity for draw in draws])
    predicted, expected = _predictions(draws)
    doubly_robust = expected + weights * (outcomes - predicted)
    owners = np.unique([draw.profile_id for draw in draws], return_inverse=True)[1]
    estimates = [
        _estimate("served", outcomes, owners),
        _estimate("IPS", weights * outcomes, owners),
        *([_self_normalized(weights, outcomes, owners)] if weights.any() else []),
        _estimate("doubly robust", doubly_robust, owners),
    ]
    squares = float((weights**2).sum())
    return Comparison(
        draws=len(draws),
        profiles=int(owners.max()) + 1,
        effective_draws=float(weights.sum()) ** 2 / squares if squares else 0.0,
        weight_mean=float(weights.mean()),
        weight_max=float(weights.max()),
        estimates=tuple(estimates),
    )


def _predictions(draws: Sequence[Draw]) -> tuple[Values, Values]:
    """(draws,) each: the outcome that a model expects of what was drawn, and of the other policy.

    The model is each title's mean outcome drawn toward the mean of all. A profile's own outcomes
    are not in what is predicted for it, or the estimate would lean toward them.
    """
    halves = np.array([_half(draw.profile_id) for draw in draws])
    predicted, expected = np.zeros(len(draws)), np.zeros(len(draws))
    for half in (0, 1):
        others = [draw for draw, own in zip(draws, halves.tolist(), strict=True) if own != half]
        counts = Counter(draw.content_id for draw in others)
        sums: defaultdict[str, float] = defaultdict(float)
        for draw in others:
            sums[draw.content_id] += draw.outcome
        mean = sum(sums.values()) / max(len(others), 1)
        model = {
            content_id: (sums[content_id] + PRIOR_DRAWS * mean) / (count + PRIOR_DRAWS)
            for content_id, count in counts.items()
        }
        for place in np.flatnonzero(halves == half).tolist():
            draw = draws[place]
            predicted[place] = model.get(draw.content_id, mean)
            expected[place] = sum(
                probability * model.get(content_id, mean)
                for content_id, probability in draw.other.items()
            )
    return predicted, expected


def _half(profile_id: str) -> int:
    """0 or 1, the same for all draws of a profile."""
    return sum(profile_id.encode()) % 2


def _self_normalized(weights: Values, outcomes: Values, owners: npt.NDArray[np.int64]) -> Estimate:
    value = float((weights * outcomes).sum() / weights.sum())
    parts = value + weights * (outcomes - value) / weights.mean()
    return _estimate("self-normalized IPS", parts, owners)


def _estimate(estimator: str, parts: Values, owners: npt.NDArray[np.int64]) -> Estimate:
    """The mean of the parts; draws of one profile are not independent, profiles are."""
    value = float(parts.mean())
    sums = np.bincount(owners, parts - value)
    profiles = len(sums)
    variance = (sums**2).sum() * profiles / max(profiles - 1, 1) / len(parts) ** 2
    reach = Z_95 * float(np.sqrt(variance))
    return Estimate(estimator=estimator, value=value, low=value - reach, high=value + reach)
