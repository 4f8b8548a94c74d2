"""A recorded network: how long any number of bytes takes from any moment on."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from agents.bitrate.compiled import compiled

PAYLOAD_SHARE = 0.95
"""Of the trace's rate; the rest is headers (Pensieve)."""
ROUND_TRIP_S = 0.08
"""Added to every download; it uses up no time of the trace (Pensieve)."""

Floats = npt.NDArray[np.float64]


class Trace(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One trace; after its end it starts again."""

    name: str
    times_s: Floats
    """Increasing, from zero."""
    received_bytes: Floats
    """Payload that has flowed by each time."""


def make_trace(name: str, times_s: Floats, rates_kbps: Floats) -> Trace:
    """Row i holds the mean rate since row i - 1; the first row's rate counts for nothing.

    Raises ValueError where time does not increase from zero, or nothing flows at all.
    """
    if len(times_s) < 2 or times_s[0] != 0 or np.any(np.diff(times_s) <= 0):
        raise ValueError(f"trace {name}: times must increase from 0")
    if np.any(rates_kbps < 0) or not np.any(rates_kbps[1:] > 0):
        raise ValueError(f"trace {name}: rates must not be negative, nor all be zero")
    flowed = np.diff(times_s) * rates_kbps[1:] * (1000 / 8 * PAYLOAD_SHARE)
    received = np.concatenate([np.zeros(1), np.cumsum(flowed)])
    return Trace(name=name, times_s=times_s, received_bytes=received)


def read_trace(path: Path) -> Trace:
    """The trace of a CSV file with the header `t_seconds,throughput_kbps`.

    Raises OSError, or ValueError where it holds something else.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            (float(row["t_seconds"]), float(row["throughput_kbps"])) for row in csv.DictReader(file)
        ]
    columns = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return make_trace(path.stem, columns[:, 0].copy(), columns[:, 1].copy())


def read_traces(folder: Path) -> list[Trace]:
    """Every `*.csv` of a folder, in the order of names. Raises as `read_trace` does."""
    return [read_trace(path) for path in sorted(folder.glob("*.csv"))]


@compiled
def arrival_s(times_s: Floats, received_bytes: Floats, start_s: float, size_bytes: float) -> float:
    """When `size_bytes` have flowed since `start_s`, both in seconds since the first start."""
    return moment_s(
        times_s, received_bytes, flowed_bytes(times_s, received_bytes, start_s) + size_bytes
    )


@compiled
def flowed_bytes(times_s: Floats, received_bytes: Floats, now_s: float) -> float:
    """Payload that has flowed since the first start, laps before included."""
    lap = np.floor(now_s / times_s[-1])
    within_s = now_s - lap * times_s[-1]
    row = min(max(np.searchsorted(times_s, within_s, side="right"), 1), len(times_s) - 1)
    share = (within_s - times_s[row - 1]) / (times_s[row] - times_s[row - 1])
    gained = share * (received_bytes[row] - received_bytes[row - 1])
    return float(lap * received_bytes[-1] + received_bytes[row - 1] + gained)


@compiled
def moment_s(times_s: Floats, received_bytes: Floats, goal_bytes: float) -> float:
    """When so much had flowed since the first start, at the earliest."""
    lap = np.floor(goal_bytes / received_bytes[-1])
    goal = goal_bytes - lap * received_bytes[-1]
    if goal <= 0.0:
        # Exactly at the end of a lap, not at the start of the next: a pause may follow there.
        return float(lap * times_s[-1])
    row = min(max(np.searchsorted(received_bytes, goal, side="left"), 1), len(times_s) - 1)
    share = (goal - received_bytes[row - 1]) / (received_bytes[row] - received_bytes[row - 1])
    within_s = times_s[row - 1] + share * (times_s[row] - times_s[row - 1])
    return float(lap * times_s[-1] + within_s)
