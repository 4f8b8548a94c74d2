"""What a session's past downloads say of the next ones, as a point among such points.

Levels are logarithms relative to the present estimate, so that a fast and a slow network that
behave alike lie near each other.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from agents.bitrate.compiled import compiled

Floats = npt.NDArray[np.float64]

ESTIMATE_CHUNKS: Final = 5
RECENT_CHUNKS: Final = 8
LONG_S: Final = 90.0
"""Of downloading: what a session's level is measured over."""
AGE_CHUNKS: Final = 30
"""After so many a session is no longer young."""

WEIGHTS: Final[Floats] = np.array([1.0, 1.5, 0.6, 0.6, 1.0, 1.0, 1.0])
"""How much each feature counts, in its own spread. The features and these weights are those of
some twenty that made the nearest past situations predict best what followed (CRPS of the logarithm
of what arrives in 2, 6, 15 and 40 s), on ten sets of traces, from other folds of the same set."""
FEATURES: Final = len(WEIGHTS)


@compiled
def harmonic_mean(rates: Floats) -> float:
    """As bytes over time is for chunks of one size; needs at least one rate, all above zero."""
    total = 0.0
    for rate in rates:
        total += 1.0 / rate
    return len(rates) / total


@compiled
def estimate_rate(rates: Floats) -> float:
    """Of the last five downloads, in the unit of `rates` (bytes/s)."""
    return harmonic_mean(rates[-ESTIMATE_CHUNKS:])


@compiled
def describe(sizes_bytes: Floats, download_s: Floats) -> Floats:
    """The features of a session with these downloads so far, newest last, at least one.

    The level; then, relative to it: the last rate, how much rates spread and how much they jump
    from one to the next, the highest of them, the mean over a long time; then the session's age.
    """
    rates = sizes_bytes / download_s
    level = np.log(estimate_rate(rates))
    recent = np.log(rates[-RECENT_CHUNKS:])
    steps = np.abs(np.diff(np.log(rates[-RECENT_CHUNKS - 1 :])))
    described = np.empty(FEATURES)
    described[0] = level
    described[1] = recent[-1] - level
    described[2] = recent.std()
    described[3] = steps.mean() if len(steps) > 0 else 0.0
    described[4] = recent.max() - level
    described[5] = np.log(_long_rate(sizes_bytes, download_s)) - level
    described[6] = min(len(rates), AGE_CHUNKS) / AGE_CHUNKS
    return described


@compiled
def _long_rate(sizes_bytes: Floats, download_s: Floats) -> float:
    """Bytes over time of the last LONG_S of downloading, or of all where that is less."""
    left_s = LONG_S
    received = 0.0
    index = len(sizes_bytes) - 1
    while index >= 0 and left_s > 0.0:
        share = min(1.0, left_s / download_s[index])
        received += share * sizes_bytes[index]
        left_s -= share * download_s[index]
        index -= 1
    return received / (LONG_S - max(left_s, 0.0))


@compiled
def errors_of(rates: Floats, count: int) -> Floats:
    """Measured over estimated just before, for the last `count` downloads that had an estimate."""
    first = max(1, len(rates) - count)
    errors = np.empty(max(0, len(rates) - first))
    for index in range(first, len(rates)):
        estimated = estimate_rate(rates[max(0, index - ESTIMATE_CHUNKS) : index])
        errors[index - first] = rates[index] / estimated
    return errors
