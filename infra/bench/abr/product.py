"""The project's own policy in the simulator: the very function that the agent calls."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec
import numpy as np

from agents.bitrate.memory import Circumstances
from agents.bitrate.population import Population
from agents.bitrate.stochastic import HORIZON_CHUNKS, Request, choose_rung
from infra.bench.abr.mpc import ModelPredictive
from infra.bench.abr.player import Seen, stream
from infra.bench.abr.trace import Trace
from infra.bench.abr.video import Video

NOWHERE = Circumstances()
"""Traces tell nothing of network, device, edge or hour."""


class Product:
    """The stochastic controller with a population; keeps how long each decision took."""

    def __init__(self, population: Population, slack_s: float = 0.0) -> None:
        """With slack for a player that has the ceiling only, as the agent gives it."""
        self._population = population
        self._slack_s = slack_s
        self.decision_s: list[float] = []

    def choose(self, seen: Seen) -> int:
        """The next rung."""
        request = msgspec.structs.replace(request_of(seen), slack_s=self._slack_s)
        started_s = time.perf_counter()
        plan = choose_rung(request, self._population)
        self.decision_s.append(time.perf_counter() - started_s)
        return plan.ceiling


def request_of(seen: Seen) -> Request:
    """What the agent would ask, knowing as much."""
    video = seen.video
    ahead = min(HORIZON_CHUNKS, video.chunks - seen.chunk)
    reported = len(seen.sizes_bytes)
    flight = [float(video.sizes_bytes[reported + i, r]) for i, r in enumerate(seen.flight)]
    return Request(
        reported_bytes=seen.sizes_bytes,
        reported_s=seen.download_s,
        flight_bytes=np.array(flight),
        sizes_bytes=video.sizes_bytes[seen.chunk : seen.chunk + ahead],
        quality=video.quality,
        last=seen.last,
        buffer_s=seen.buffer_s,
        buffer_s_max=seen.buffer_s_max,
        chunk_s=video.chunk_s,
        chunks_beyond=video.chunks - seen.chunk - ahead,
        circumstances=NOWHERE,
        now_ms=0,
    )


def learned_from(traces: Iterable[Trace], video: Video) -> Population:
    """What the agent would remember had these been streamed before, by RobustMPC."""
    population = Population()
    for trace in traces:
        session = stream(trace, video, ModelPredictive(is_robust=True))
        population.learn(
            np.array(session.sizes_bytes),
            np.array(session.download_s),
            circumstances=NOWHERE,
            at_ms=0,
        )
    return population
