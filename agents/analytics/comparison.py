"""An always-valid comparison of two means: bounds that hold at every look, from running sums alone.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
"Time-uniform central limit theory and asymptotic confidence sequences" (2021), theorem 2.2, for the
mean difference of a randomized experiment: the variance of a session's share in it is that of the
arms, each over its part of all sessions. `experiment_results` computes the same in SQL.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Final

import msgspec

SESSIONS_MIN: Final = 100
"""Of each arm: below that its variance is not known well enough for the bounds to hold."""
SESSIONS_TIGHTEST: Final = 1_000
"""Of both arms: where the bounds are tightest for what they promise; they hold everywhere."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an arm: how many sessions, mean and sample variance of their metric."""

    count: int
    mean: float
    variance: float


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Between them lies the true difference."""

    lower: float
    upper: float


def compare(arm: Measured, control: Measured, alpha: float) -> Bounds | None:
    """Bounds on the arm's mean less the control's; None where too few sessions are known.

    With probability 1 - `alpha` they hold at every look, however many there are.
    """
    if min(arm.count, control.count) < SESSIONS_MIN:
        return None
    count = arm.count + control.count
    variance = count * (arm.variance / arm.count + control.variance / control.count)
    rho_squared = (log(1 - 2 * log(alpha)) - 2 * log(alpha)) / SESSIONS_TIGHTEST
    grown = count * rho_squared + 1
    radius = sqrt(2 * variance * grown / (count**2 * rho_squared) * log(sqrt(grown) / alpha))
    difference = arm.mean - control.mean
    return Bounds(lower=difference - radius, upper=difference + radius)
