"""Stochastic model-predictive control: the rung that is best on average over possible futures.

One forecast, however careful, must be wrong on one side. Here each plan is played through some
hundred futures, and the next rung counts with the best that could follow it in each of them,
because the controller will have seen more by then. Pure: no clock, no state of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from agents.bitrate.memory import Circumstances
from agents.bitrate.population import GRID_S, Population
from agents.bitrate.rollout import Outcomes, Rungs, Stage, play_futures
from agents.bitrate.scenarios import Futures, imagine, imagine_start

Floats = npt.NDArray[np.float64]

HORIZON_CHUNKS: Final = 16
"""Planned one by one; past it the buffer that is left counts."""
BUFFER_WORTH: Final = 2.5
"""Of a second in the buffer at the horizon, in seconds of what the network carries."""
BUFFER_WORTH_S: Final = 15.0
"""More than this in the buffer is worth little more."""
LATER_POINT: Final = len(GRID_S) // 2
"""From this point of its curve on (some 20 s) a future's rate is what it carries later."""
BEYOND_S: Final = 20.0
"""With less to come beyond the horizon, the buffer is worth proportionally less."""
KEEP_BIAS: Final = 0.0116
"""In favor of the present rung, of the top rung's quality: of near ties the calm one."""
LOOKS: Final = 3
"""All rungs are tried in one of so many futures, before the best are in all."""
RUNGS_KEPT: Final = 3
STALL_NOTED_S: Final = 0.05
"""Expected stall from which a lower rung is explained by it."""


class Request(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is known when the rung of the next chunk is asked for."""

    reported_bytes: Floats
    """Of every chunk reported, newest last; none at the start."""
    reported_s: Floats
    """The same chunks' download times."""
    flight_bytes: Floats
    """Chunks asked for and not yet reported, oldest first: their rungs are settled."""
    sizes_bytes: Floats
    """Chunks × rungs from the one asked for on, at most HORIZON_CHUNKS of them used. Rungs that
    device, plan or data saver forbid are not in it."""
    quality: Floats
    """Of each rung, Mbit/s, rising."""
    last: int
    """The rung of the chunk before; -1: there is none on this ladder."""
    buffer_s: float
    """When the oldest chunk in flight was asked for; with none in flight, now."""
    buffer_s_max: float
    chunk_s: float
    chunks_beyond: int
    """Of the video, after those in `sizes_bytes`."""
    circumstances: Circumstances
    now_ms: int
    slack_s: float = 0.0
    """How much worse than the best the ceiling may be, in seconds of stall over the horizon: for a
    player whose own rule, below the ceiling, is careful already."""
    start_cost: float = 0.3
    """Of a second before the first picture, as a share of a second's stall; counts where nothing
    was fetched yet, and says what the caller wants: a quick start (more) or a sharp one (less)."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The rung of the next chunk, and why."""

    rung: int
    ceiling: int
    """The highest rung that costs no more than the request's slack: the rung itself without any."""
    reason: str
    """`start`, `kept`, `raised`, `lowered-stall` or `lowered-level`."""
    qoe: float
    """Expected per chunk over the horizon: Mbit/s less stalls less changes (QoE_lin)."""
    stall_s: float
    """Expected over the horizon."""
    stall_chance: float
    """That there will be any."""
    throughput_kbps: int
    """The estimate that the futures are around."""
    futures: int
    population_share: float
    """How much of the futures' weight other sessions gave."""


def choose_rung(request: Request, population: Population) -> Plan:
    """The best rung for the next chunk, and what is expected of it."""
    assert request.sizes_bytes.shape == (len(request.sizes_bytes), len(request.quality))
    futures = _futures(request, population)
    horizon = min(HORIZON_CHUNKS, len(request.sizes_bytes))
    rungs, weights, outcomes = _play(request, futures, horizon)
    worth = weights @ outcomes.values
    worth[rungs == request.last] += KEEP_BIAS * request.quality[-1]
    best = int(worth.argmax())
    is_near = worth >= worth[best] - request.slack_s * request.quality[-1]
    stalls_s = dict(zip(rungs.tolist(), weights @ outcomes.stalls_s, strict=True))
    rung = int(rungs[best])
    qoe = outcomes.values[:, best] - outcomes.tails[:, best]
    return Plan(
        rung=rung,
        ceiling=int(rungs[is_near].max()) if request.slack_s else rung,
        reason=_reason(request.last, rung, stalls_s),
        qoe=float(weights @ qoe) / horizon,
        stall_s=stalls_s[rung],
        stall_chance=float(weights @ (outcomes.stalls_s[:, best] > 0)),
        throughput_kbps=round(8 / 1000 * futures.rate),
        futures=len(futures.weights),
        population_share=futures.population_share,
    )


def _play(request: Request, futures: Futures, horizon: int) -> tuple[Rungs, Floats, Outcomes]:
    """The rungs that may be best, the futures' weights, and what came of these rungs in them.

    All rungs are played through a part of the futures, the best of them through the others.
    """
    stage = _stage(request, horizon)
    beyond = request.chunks_beyond + len(request.sizes_bytes) - horizon
    order = np.argsort(np.arange(len(futures.weights)) % LOOKS, kind="stable")
    curves, weights = futures.curves_bytes[order], futures.weights[order]
    tail_worth = _tail_worth(request, curves, beyond)
    looked = math.ceil(len(order) / LOOKS)
    rungs = np.arange(len(request.quality))
    first = play_futures(stage, rungs, GRID_S, curves[:looked], tail_worth[:looked], BUFFER_WORTH_S)
    worth = weights[:looked] @ first.values
    kept = np.sort(np.argsort(-worth, kind="stable")[:RUNGS_KEPT])
    if request.last >= 0 and request.last not in kept:
        kept = np.sort(np.append(kept, request.last))
    second = play_futures(stage, kept, GRID_S, curves[looked:], tail_worth[looked:], BUFFER_WORTH_S)
    outcomes = Outcomes(
        values=np.concatenate([first.values[:, kept], second.values]),
        tails=np.concatenate([first.tails[:, kept], second.tails]),
        stalls_s=np.concatenate([first.stalls_s[:, kept], second.stalls_s]),
    )
    return kept, weights, outcomes


def _futures(request: Request, population: Population) -> Futures:
    if len(request.reported_bytes) == 0:
        return imagine_start(population, request.circumstances, request.now_ms)
    return imagine(
        request.reported_bytes,
        request.reported_s,
        population,
        request.circumstances,
        request.now_ms,
    )


def _stage(request: Request, horizon: int) -> Stage:
    stall_cost = float(request.quality[-1])
    is_start = len(request.reported_bytes) + len(request.flight_bytes) == 0
    return Stage(
        sizes_bytes=np.ascontiguousarray(request.sizes_bytes[:horizon], dtype=np.float64),
        quality=request.quality,
        flight_bytes=request.flight_bytes,
        last=request.last,
        buffer_s=request.buffer_s,
        buffer_s_max=request.buffer_s_max,
        chunk_s=request.chunk_s,
        stall_cost=stall_cost,
        first_stall_cost=request.start_cost * stall_cost if is_start else stall_cost,
    )


def _tail_worth(request: Request, curves_bytes: Floats, beyond: int) -> Floats:
    """Of each future: quality per second of buffer at the horizon, by what it carries later."""
    later_s = GRID_S[-1] - GRID_S[LATER_POINT]
    later_rates = (curves_bytes[:, -1] - curves_bytes[:, LATER_POINT]) / later_s
    carried_mbps = np.minimum(8e-6 * later_rates, request.quality[-1])
    still = min(1.0, beyond * request.chunk_s / BEYOND_S)
    return np.asarray(BUFFER_WORTH * carried_mbps / request.chunk_s * still)


def _reason(last: int, rung: int, stalls_s: Mapping[int, float]) -> str:
    """A stable word: how the rung differs from the last one; a lower one, for what."""
    if last < 0:
        return "start"
    if rung == last:
        return "kept"
    if rung > last:
        return "raised"
    return "lowered-stall" if stalls_s[last] - stalls_s[rung] > STALL_NOTED_S else "lowered-level"


def compile_all() -> None:
    """Have everything compiled, or read from where it was kept, before the first decision."""
    choose_rung(
        Request(
            reported_bytes=np.full(3, 1e6),
            reported_s=np.ones(3),
            flight_bytes=np.zeros(0),
            sizes_bytes=np.full((3, 2), 1e6),
            quality=np.array([1.0, 2.0]),
            last=0,
            buffer_s=8.0,
            buffer_s_max=60.0,
            chunk_s=4.0,
            chunks_beyond=0,
            circumstances=Circumstances(),
            now_ms=0,
        ),
        Population(),
    )
