"""The cheaper rule: the highest rung below a careful estimate of the throughput.

The estimate is RobustMPC's lower bound (Yin et al., "A Control-Theoretic Approach for Dynamic
Adaptive Video Streaming over HTTP", SIGCOMM 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.bitrate.ladder import Ladder
from agents.bitrate.situation import ESTIMATE_CHUNKS, estimate_rate

Floats = npt.NDArray[np.float64]

CLAMP_FACTOR: Final = 4
"""Rates above this many times the top rung are all the same: plenty (loopback tells 10^9)."""


def clamped_kbps(samples_kbps: Sequence[int], ladder: Ladder) -> Floats:
    """The samples, above zero and none beyond plenty."""
    plenty_kbps = CLAMP_FACTOR * ladder.rungs[-1].ceiling_kbps
    return np.array([min(max(sample, 1), plenty_kbps) for sample in samples_kbps], float)


def robust_throughput_kbps(samples_kbps: Sequence[int], ladder: Ladder) -> float:
    """`robust_rate` of what was measured; needs at least one sample."""
    return robust_rate(clamped_kbps(samples_kbps, ladder))


def robust_rate(rates: Floats) -> float:
    """The estimate, lowered by the largest error that it made on the last downloads.

    Twice ESTIMATE_CHUNKS of them make it exact; in the unit of `rates`.
    """
    errors = [
        abs(estimate_rate(rates[:index]) - rates[index]) / rates[index]
        for index in range(max(1, len(rates) - ESTIMATE_CHUNKS), len(rates))
    ]
    return estimate_rate(rates) / (1 + max(errors, default=0.0))


def affordable_rung(ladder: Ladder, throughput_kbps: float) -> int:
    """The highest rung below the throughput; the lowest where none is."""
    best = 0
    for index, rung in enumerate(ladder.rungs):
        if rung.ceiling_kbps <= throughput_kbps:
            best = index
    return best
