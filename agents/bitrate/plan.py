"""RobustMPC (Yin et al., "A Control-Theoretic Approach for Dynamic Adaptive Video Streaming over
HTTP", SIGCOMM 2015): a lower bound of the throughput, and the best plan over the next segments.

Plans have one rung for the next segment and one for all after it, which keeps a decision at a
tenth of a millisecond. What is left in the buffer at the horizon has a value, else every plan
would end with it empty; on public traces that is worth more than free plans are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from agents.bitrate.ladder import Ladder

ESTIMATE_SAMPLES: Final = 5
HORIZON_SEGMENTS: Final = 5
ROUND_TRIP_S: Final = 0.08
BUFFER_S_MAX: Final = 60.0
BUFFER_VALUE: Final = 2.5
"""How much a second in the buffer is worth, in seconds of what the network carries."""
BUFFER_VALUE_S: Final = 15.0
"""More than this in the buffer is worth little more."""
CLAMP_FACTOR: Final = 4
"""Rates above this many times the top rung are all the same: plenty (loopback tells 10^9)."""


def robust_throughput_kbps(samples_kbps: Sequence[int], ladder: Ladder) -> float:
    """Harmonic mean of the last samples, lowered by the largest error it made on them.

    Needs at least one sample; twice ESTIMATE_SAMPLES make it exact.
    """
    clamp_kbps = CLAMP_FACTOR * ladder.rungs[-1].ceiling_kbps
    samples = [min(max(sample, 1), clamp_kbps) for sample in samples_kbps]
    error_max = 0.0
    for index in range(max(1, len(samples) - ESTIMATE_SAMPLES), len(samples)):
        predicted = _harmonic_mean(samples[max(0, index - ESTIMATE_SAMPLES) : index])
        error_max = max(error_max, abs(predicted - samples[index]) / samples[index])
    return _harmonic_mean(samples[-ESTIMATE_SAMPLES:]) / (1 + error_max)


def plan_rung(ladder: Ladder, throughput_kbps: float, buffer_ms: int, last: int) -> int:
    """The rung to fetch next: quality, less stalls, less changes, over the horizon.

    Quality is Mbit/s of the picture; a second of stall costs the top rung; `last` is the rung
    before. The buffer counts as at least one segment: a ceiling acts on the segment after the one
    that is on its way, and a start or a seek is no reason to hold a good network down.
    """
    buffer_s = max(buffer_ms, ladder.segment_ms) / 1000
    rungs = range(len(ladder.rungs))
    return max(
        ((first, later) for first in rungs for later in rungs),
        key=lambda plan: _value(ladder, throughput_kbps, buffer_s, last, plan),
    )[0]


def affordable_rung(ladder: Ladder, throughput_kbps: float) -> int:
    """The highest rung below the throughput; the lowest where none is."""
    best = 0
    for index, rung in enumerate(ladder.rungs):
        if rung.ceiling_kbps <= throughput_kbps:
            best = index
    return best


def _value(
    ladder: Ladder, throughput_kbps: float, buffer_s: float, last: int, plan: tuple[int, int]
) -> float:
    segment_s = ladder.segment_ms / 1000
    stall_cost = ladder.rungs[-1].bitrate_kbps / 1000
    quality_before = ladder.rungs[last].bitrate_kbps / 1000
    value = 0.0
    for step in range(HORIZON_SEGMENTS):
        rung = ladder.rungs[plan[0] if step == 0 else plan[1]]
        quality = rung.bitrate_kbps / 1000
        fetch_s = rung.average_kbps * segment_s / throughput_kbps + ROUND_TRIP_S
        value += quality - abs(quality - quality_before)
        value -= stall_cost * max(0.0, fetch_s - buffer_s)
        buffer_s = min(max(0.0, buffer_s - fetch_s) + segment_s, BUFFER_S_MAX)
        quality_before = quality
    carried_mbps = min(throughput_kbps / 1000, stall_cost)
    saturation = 1 - math.exp(-buffer_s / BUFFER_VALUE_S)
    return value + BUFFER_VALUE * carried_mbps * BUFFER_VALUE_S / segment_s * saturation


def _harmonic_mean(samples: Sequence[int]) -> float:
    return len(samples) / sum(1 / sample for sample in samples)
