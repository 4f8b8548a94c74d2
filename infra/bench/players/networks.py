"""Which recorded networks are replayed, and from where each run begins: pure but for reading."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from infra.bench.abr.compare import STANDARD
from infra.bench.abr.trace import ROUND_TRIP_S, Trace, read_trace, read_traces
from infra.bench.players.title import RATES_KBPS
from infra.edge.link import Recording

SPREAD_MIN: Final = 0.4
"""Standard deviation over mean: a steady network asks nothing of a player."""


def choose_networks(data: Path, wanted: str, seed: int) -> dict[str, Trace]:
    """By SET/NAME. `wanted`: such names by comma, or how many, drawn by seed from the sets of the
    standard ladder in turn, of those that `is_demanding`. Raises OSError or ValueError.
    """
    if not wanted.isdecimal():
        return {name: read_trace(data / "traces" / f"{name}.csv") for name in wanted.split(",")}
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    pools = []
    for each in STANDARD:
        pool = [t for t in read_traces(data / "traces" / each.folder) if is_demanding(t)]
        random.shuffle(pool)
        pools.append((each.folder, pool))
    chosen: dict[str, Trace] = {}
    while len(chosen) < int(wanted):
        folder, pool = pools[len(chosen) % len(pools)]
        if not pool:
            raise ValueError(f"{data}/traces/{folder} has too few traces that ask something")
        trace = pool.pop()
        chosen[f"{folder}/{trace.name}"] = trace
    return chosen


def is_demanding(trace: Trace) -> bool:
    """Whether it carries more than the second rung and less than the top on average, unsteadily."""
    spans_s = np.diff(trace.times_s)
    rates_kbps = np.diff(trace.received_bytes) * 8 / 1000 / spans_s
    mean_kbps = float(np.average(rates_kbps, weights=spans_s))
    variance = float(np.average((rates_kbps - mean_kbps) ** 2, weights=spans_s))
    is_within = RATES_KBPS[1] < mean_kbps < RATES_KBPS[-1]
    return is_within and variance**0.5 / mean_kbps >= SPREAD_MIN


def start_s(name: str, trace: Trace, run: int, seed: int) -> float:
    """Where in the recording a run begins: the same for every player and both arms."""
    random = Random(f"{seed}/{name}/{run}")  # noqa: S311 - repeatable, not secret
    return random.uniform(0, float(trace.times_s[-1]))


def recording_from(trace: Trace, begin_s: float) -> Recording:
    """The trace from a moment on, as an edge replays it; its start follows its end."""
    times = [float(each) for each in trace.times_s]
    kbps = [float(each) for each in np.diff(trace.received_bytes) / np.diff(trace.times_s) / 125]
    rows = list(zip(times[1:], kbps, strict=True))
    rates = [(until_s - begin_s, rate) for until_s, rate in rows if until_s > begin_s]
    rates += [(times[-1] - begin_s + until_s, rate) for until_s, rate in rows if until_s < begin_s]
    if begin_s > 0:
        first = next(rate for until_s, rate in rows if until_s >= begin_s)
        rates.append((times[-1], first))
    return Recording(rates=tuple(rates), round_trip_ms=round(1000 * ROUND_TRIP_S))
