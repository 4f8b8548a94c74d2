"""The best that any policy could have scored, knowing the whole trace: a dynamic program.

Its states are ones that a player can really reach, thinned by keeping the best of those that are
alike (last rung, buffer to the tenth of a second). So the result is a lower bound of the optimum;
with some 4,000 states a chunk no policy has passed it by more than rounding.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from agents.bitrate.compiled import compiled
from infra.bench.abr.player import BUFFER_S_MAX, FIRST_RUNG, SLEEP_S
from infra.bench.abr.trace import ROUND_TRIP_S, Floats, Trace, arrival_s, flowed_bytes, moment_s
from infra.bench.abr.video import Video

BUFFER_STEP_S: Final = 0.1


def optimal_qoe(trace: Trace, video: Video) -> float:
    """The mean QoE_lin over chunks 2..N of the best choice of rungs."""
    total = _best_total(
        trace.times_s,
        trace.received_bytes,
        video.sizes_bytes,
        video.quality,
        video.stall_cost,
        video.chunk_s,
    )
    return float(total) / (video.chunks - 1)


@compiled
def _best_total(
    times_s: Floats,
    received_bytes: Floats,
    sizes_bytes: Floats,
    quality: Floats,
    stall_cost: float,
    chunk_s: float,
) -> float:
    chunks, rungs = sizes_bytes.shape
    levels = int((BUFFER_S_MAX + chunk_s) / BUFFER_STEP_S) + 2
    worth = np.full((rungs, levels), -np.inf)
    clock_s = np.zeros((rungs, levels))
    buffer_s = np.zeros((rungs, levels))
    arrived_s = arrival_s(times_s, received_bytes, 0.0, sizes_bytes[0, FIRST_RUNG])
    level = int(chunk_s / BUFFER_STEP_S)
    worth[FIRST_RUNG, level] = 0.0
    clock_s[FIRST_RUNG, level] = arrived_s
    buffer_s[FIRST_RUNG, level] = chunk_s
    for chunk in range(1, chunks):
        next_worth = np.full((rungs, levels), -np.inf)
        next_clock_s = np.zeros((rungs, levels))
        next_buffer_s = np.zeros((rungs, levels))
        for before in range(rungs):
            for level in range(levels):
                if worth[before, level] == -np.inf:
                    continue
                start_s = clock_s[before, level]
                flowed = flowed_bytes(times_s, received_bytes, start_s)
                for rung in range(rungs):
                    goal = flowed + sizes_bytes[chunk, rung]
                    arrived_s = moment_s(times_s, received_bytes, goal)
                    download_s = arrived_s - start_s + ROUND_TRIP_S
                    stall_s = max(download_s - buffer_s[before, level], 0.0)
                    after_s = max(buffer_s[before, level] - download_s, 0.0) + chunk_s
                    sleep_s = max(np.ceil((after_s - BUFFER_S_MAX) / SLEEP_S) * SLEEP_S, 0.0)
                    after_s -= sleep_s
                    gained = quality[rung] - abs(quality[rung] - quality[before])
                    total = worth[before, level] + gained - stall_cost * stall_s
                    slot = int(after_s / BUFFER_STEP_S)
                    if total > next_worth[rung, slot]:
                        next_worth[rung, slot] = total
                        next_clock_s[rung, slot] = arrived_s + sleep_s
                        next_buffer_s[rung, slot] = after_s
        worth, clock_s, buffer_s = next_worth, next_clock_s, next_buffer_s
    return float(worth.max())
