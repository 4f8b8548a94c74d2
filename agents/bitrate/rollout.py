"""Plays plans through possible futures of the network: the inner loop of the controller.

A plan has one rung for the next chunk and one for all after it. The second is held only where the
throughput just seen in that future affords it, because whoever plans again would react, too.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from agents.bitrate.compiled import compiled

Floats = npt.NDArray[np.float64]
Rungs = npt.NDArray[np.int64]

MARGIN_S: Final = 2.0
"""A chunk is affordable if it should arrive so long before the buffer is empty."""
CAUTION: Final = 0.4
"""Share of the buffer that a chunk may take where the plan's rung is not affordable."""
NEEDED_S_MIN: Final = 1e-6
GAINED_BYTES_MIN: Final = 1e-9


class Stage(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What all futures have in common: the player, and what can be fetched."""

    sizes_bytes: Floats
    """Chunks × rungs, from the next one to choose on; at least one."""
    quality: Floats
    """Of each rung, Mbit/s."""
    flight_bytes: Floats
    """Chunks asked for and not yet reported, oldest first."""
    last: int
    """The rung before the next one; -1: there was none, the first rung is no change."""
    buffer_s: float
    """When the first of them all is, or was, asked for."""
    buffer_s_max: float
    chunk_s: float
    stall_cost: float
    """Of one second, in the unit of quality."""
    first_stall_cost: float
    """The same while the next chunk is waited for: less before the first picture."""


class Outcomes(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What came of each first rung in each future, with the later rung that is best for both.

    All are futures × first rungs.
    """

    values: Floats
    """Quality less changes less stalls, and what the buffer left is worth."""
    tails: Floats
    """The last part of that."""
    stalls_s: Floats


def play_futures(
    stage: Stage,
    firsts: Rungs,
    grid_s: Floats,
    curves_bytes: Floats,
    tail_worth: Floats,
    tail_s: float,
) -> Outcomes:
    """Play every plan that starts with one of `firsts` through every future.

    grid_s: points, increasing from 0; curves_bytes: futures × points, received so far.
    tail_worth: of each future, quality per second left in the buffer at the horizon; it saturates
    over `tail_s`.
    """
    shape = (len(curves_bytes), len(firsts))
    outcomes = Outcomes(values=np.empty(shape), tails=np.empty(shape), stalls_s=np.empty(shape))
    _play_all(
        grid_s,
        curves_bytes,
        stage.flight_bytes,
        stage.sizes_bytes,
        1 / stage.sizes_bytes,
        stage.quality,
        firsts,
        stage.last,
        (stage.buffer_s, stage.buffer_s_max, stage.chunk_s),
        (stage.first_stall_cost, stage.stall_cost),
        tail_worth,
        tail_s,
        outcomes.values,
        outcomes.tails,
        outcomes.stalls_s,
    )
    return outcomes


@compiled
def _arrive(
    grid_s: Floats, curve: Floats, slope: Floats, point: int, goal: float
) -> tuple[int, float]:
    """The first point at which `goal` bytes were there, and when; the last slope goes on."""
    end = len(curve) - 1
    while point < end and curve[point] < goal:
        point += 1
    if goal > curve[end]:
        return end, grid_s[end] + (goal - curve[end]) * slope[0]
    return point, grid_s[point - 1] + (goal - curve[point - 1]) * slope[point]


@compiled
def _slopes(grid_s: Floats, curve: Floats, slope: Floats) -> None:
    """Seconds per byte before each point; at 0 the mean of all, which holds beyond the last."""
    end = len(curve) - 1
    slope[0] = grid_s[end] / max(curve[end], GAINED_BYTES_MIN)
    for point in range(1, end + 1):
        gained = max(curve[point] - curve[point - 1], GAINED_BYTES_MIN)
        slope[point] = (grid_s[point] - grid_s[point - 1]) / gained


@compiled
def _hold(
    grid_s: Floats,
    curve: Floats,
    slope: Floats,
    sizes_bytes: Floats,
    per_byte: Floats,
    quality: Floats,
    first: int,
    later: int,
    point: int,
    goal: float,
    now_s: float,
    pace: float,
    player: tuple[float, float, float],
) -> tuple[float, float, float]:
    """Fetch all but the first chunk: quality less changes, seconds of stall, and the buffer.

    pace: seconds per byte of the chunk before; player: seconds of buffer, its cap, a chunk.
    """
    level_s, level_s_max, chunk_s = player
    end = len(curve) - 1
    worth = 0.0
    stall_s = 0.0
    before = first
    for chunk in range(1, sizes_bytes.shape[0]):
        rung = later
        size_bytes = sizes_bytes[chunk, rung]
        if size_bytes * pace + MARGIN_S > level_s:
            affordable_bytes = CAUTION * level_s / pace
            while rung > 0 and sizes_bytes[chunk, rung] > affordable_bytes:
                rung -= 1
            size_bytes = sizes_bytes[chunk, rung]
        goal += size_bytes
        while point < end and curve[point] < goal:
            point += 1
        # Written out, not called: this is where the time goes.
        if goal > curve[end]:
            arrived_s = grid_s[end] + (goal - curve[end]) * slope[0]
        else:
            arrived_s = grid_s[point - 1] + (goal - curve[point - 1]) * slope[point]
        needed_s = max(arrived_s - now_s, NEEDED_S_MIN)
        now_s = arrived_s
        pace = needed_s * per_byte[chunk, rung]
        left_s = level_s - needed_s
        stall_s += max(-left_s, 0.0)
        level_s = min(max(left_s, 0.0) + chunk_s, level_s_max)
        worth += quality[rung]
        if rung != before:
            worth -= abs(quality[rung] - quality[before])
            before = rung
    return worth, stall_s, level_s


@compiled
def _play_all(
    grid_s: Floats,
    curves_bytes: Floats,
    flight_bytes: Floats,
    sizes_bytes: Floats,
    per_byte: Floats,
    quality: Floats,
    firsts: Rungs,
    last: int,
    player: tuple[float, float, float],
    stall_costs: tuple[float, float],
    tail_worth: Floats,
    tail_s: float,
    values: Floats,
    tails: Floats,
    stalls_s: Floats,
) -> None:
    buffer_s, level_s_max, chunk_s = player
    futures, points = curves_bytes.shape
    rungs = sizes_bytes.shape[1]
    slope = np.empty(points)
    for future in range(futures):
        curve = curves_bytes[future]
        _slopes(grid_s, curve, slope)
        flown, now_s, level_s, late_s, start = 0.0, 0.0, buffer_s, 0.0, 1
        for size_bytes in flight_bytes:
            flown += size_bytes
            start, arrived_s = _arrive(grid_s, curve, slope, start, flown)
            needed_s = arrived_s - now_s
            late_s += max(needed_s - level_s, 0.0)
            level_s = min(max(level_s - needed_s, 0.0) + chunk_s, level_s_max)
            now_s = arrived_s
        for index, first in enumerate(firsts):
            goal = flown + sizes_bytes[0, first]
            point, first_s = _arrive(grid_s, curve, slope, start, goal)
            needed_s = max(first_s - now_s, NEEDED_S_MIN)
            wait_s = max(needed_s - level_s, 0.0)
            first_level_s = min(max(level_s - needed_s, 0.0) + chunk_s, level_s_max)
            change = abs(quality[first] - quality[last]) if last >= 0 else 0.0
            first_worth = quality[first] - change - stall_costs[0] * wait_s
            values[future, index] = -np.inf
            for later in range(rungs):
                worth, stall_s, left_s = _hold(
                    grid_s,
                    curve,
                    slope,
                    sizes_bytes,
                    per_byte,
                    quality,
                    first,
                    later,
                    point,
                    goal,
                    first_s,
                    needed_s * per_byte[0, first],
                    (first_level_s, level_s_max, chunk_s),
                )
                tail = tail_worth[future] * tail_s * (1 - math.exp(-left_s / tail_s))
                value = first_worth + worth - stall_costs[1] * stall_s + tail
                if value > values[future, index]:
                    values[future, index] = value
                    tails[future, index] = tail
                    stalls_s[future, index] = late_s + wait_s + stall_s
