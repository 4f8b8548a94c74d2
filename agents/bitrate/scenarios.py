"""Possible futures of a session's network: its own past errors, a prior, and others' pasts."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from agents.bitrate.memory import Circumstances
from agents.bitrate.population import GRID_S, Population
from agents.bitrate.situation import describe, errors_of, estimate_rate

Floats = npt.NDArray[np.float64]

OWN_ERRORS_MAX: Final = 20
PRIOR_ERRORS: Final[Floats] = np.exp(
    0.35 * np.array([-1.53, -0.89, -0.49, -0.16, 0.16, 0.49, 0.89, 1.53])
)
"""What counts as seen before anything was: eight quantiles of a lognormal error of 0.35."""
ERROR_MIN: Final = 0.05
ERROR_MAX: Final = 5.0
ERROR_HOLDS_S: Final = 12.0
"""How long an error of the estimate lasts; then it fades to its root."""
START_RATES: Final[Floats] = 375_000 * PRIOR_ERRORS ** (1 / 0.35)
"""Bytes/s before anything is known of a network: around 3 Mbit/s, wide as networks differ."""
NEIGHBORS: Final = 40
OWN_SHARE: Final = 0.2
"""What the session's own errors and the prior weigh beside a large population. By their forecasts
alone (CRPS) it might be little, but they are wider, and decisions are better for it: they keep in
sight what none of the others went through."""
FEW_SITUATIONS: Final = 64
"""A population of so many weighs half as much as a large one."""


class Futures(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Weighted curves of what will have been received."""

    curves_bytes: Floats
    """Futures × GRID_S."""
    weights: Floats
    """Of each future; they add up to 1."""
    rate: float
    """The estimate that they are around, bytes/s."""
    population_share: float
    """Of the weights: what came from other sessions."""


def imagine(
    sizes_bytes: Floats,
    download_s: Floats,
    population: Population,
    circumstances: Circumstances,
    now_ms: int,
) -> Futures:
    """The futures of a session with these downloads so far, newest last, at least one."""
    rates = sizes_bytes / download_s
    rate = estimate_rate(rates)
    errors = np.concatenate([errors_of(rates, OWN_ERRORS_MAX), PRIOR_ERRORS])
    situation = describe(sizes_bytes, download_s)
    neighbors = population.nearest(situation, circumstances, now_ms, NEIGHBORS)
    share = (1 - OWN_SHARE) * len(population) / (len(population) + FEW_SITUATIONS)
    known = len(neighbors.curves)
    own = np.full(len(errors), (1 - share) / len(errors))
    curves = np.concatenate([error_curves(errors), neighbors.curves])
    return Futures(
        curves_bytes=curves * rate,
        weights=np.concatenate([own, np.full(known, share / max(known, 1))]),
        rate=rate,
        population_share=share,
    )


def imagine_start(population: Population, circumstances: Circumstances, now_ms: int) -> Futures:
    """The futures of a session that has fetched nothing: how the likeliest others began."""
    neighbors = population.nearest_starts(circumstances, now_ms, NEIGHBORS)
    known = len(neighbors.curves)
    # The prior stands in for starts not seen yet; afterwards it would only frighten.
    prior = np.full(len(START_RATES), max(0.0, 1 - known / len(START_RATES)))
    weights = np.concatenate([prior, np.ones(known)])
    curves = np.concatenate([START_RATES[:, None] * GRID_S, neighbors.curves])
    return Futures(
        curves_bytes=curves,
        weights=weights / weights.sum(),
        rate=float(np.median(curves[:, -1]) / GRID_S[-1]),
        population_share=known / float(weights.sum()),
    )


def error_curves(errors: Floats) -> Floats:
    """Curves in units of the estimate, one for each error: it holds a while, then fades."""
    held = np.clip(errors, ERROR_MIN, ERROR_MAX)[:, None]
    early_s = np.minimum(GRID_S, ERROR_HOLDS_S)
    late_s = np.maximum(GRID_S - ERROR_HOLDS_S, 0.0)
    return np.asarray(held * early_s + np.sqrt(held) * late_s)
