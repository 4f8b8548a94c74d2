"""RobustMPC and FastMPC as Pensieve plays them: the best plan over five chunks of one forecast.

Yin et al., "A Control-Theoretic Approach for Dynamic Adaptive Video Streaming over HTTP",
SIGCOMM 2015. Many plans tie exactly, and published figures depend on it: bitrates, stalls and
changes are summed apart and the last of the best plans counts.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from agents.bitrate.compiled import compiled
from agents.bitrate.rate import robust_rate
from agents.bitrate.situation import estimate_rate
from infra.bench.abr.player import Seen
from infra.bench.abr.trace import Floats

HORIZON_CHUNKS: Final = 5


class ModelPredictive:
    """MPC on the harmonic mean of the last throughputs, lowered or not by its largest error."""

    def __init__(self, *, is_robust: bool) -> None:
        """`is_robust`: RobustMPC; else FastMPC."""
        self._is_robust = is_robust

    def choose(self, seen: Seen) -> int:
        """The best plan's first rung."""
        throughput = seen.sizes_bytes / seen.download_s
        forecast = robust_rate(throughput) if self._is_robust else estimate_rate(throughput)
        video = seen.video
        ahead = min(HORIZON_CHUNKS, video.chunks - seen.chunk)
        return int(
            best_first_rung(
                video.sizes_bytes[seen.chunk : seen.chunk + ahead] / forecast,
                np.array(video.bitrates_kbps),
                seen.buffer_s,
                seen.last,
                video.chunk_s,
                video.stall_cost,
            )
        )


@compiled
def best_first_rung(
    download_s: Floats,
    bitrates_kbps: Floats,
    buffer_s: float,
    last: int,
    chunk_s: float,
    stall_cost: float,
) -> int:
    """First rung of the last best plan; `download_s` is chunks × rungs, costs are per second."""
    chunks, rungs = download_s.shape
    plan: npt.NDArray[np.int64] = np.zeros(chunks, dtype=np.int64)
    best = -np.inf
    best_rung = 0
    for number in range(rungs**chunks):
        rest = number
        for step in range(chunks - 1, -1, -1):
            plan[step] = rest % rungs
            rest //= rungs
        quality = 0.0
        stall_s = 0.0
        changes = 0.0
        level_s = buffer_s
        before = last
        for step in range(chunks):
            rung = plan[step]
            needed_s = download_s[step, rung]
            if level_s < needed_s:
                stall_s += needed_s - level_s
                level_s = 0.0
            else:
                level_s -= needed_s
            level_s += chunk_s
            quality += bitrates_kbps[rung]
            changes += abs(bitrates_kbps[rung] - bitrates_kbps[before])
            before = rung
        value = quality / 1000.0 - stall_cost * stall_s - changes / 1000.0
        if value >= best:
            best = value
            best_rung = plan[0]
    return best_rung
