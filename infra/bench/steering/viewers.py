"""Viewers as arrays: lines, buffers, rates and CDNs, moved on by a second at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from infra.bench.abr.trace import read_traces
from infra.bench.steering.scenario import Scenario

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SAFETY: Final = 0.8
"""Of the throughput it sees, a player takes a rate of at most this."""
START_S: Final = 2.0
"""Media in the buffer before the first frame, and again after a stall."""
SMOOTHED: Final = 0.15
LINE_S: Final = 10
"""A synthetic line changes after so long."""
FAILOVER_S: Final = np.array([1.0, 3.0, 13.0])
"""After an error, until a player takes the next CDN by itself: Shaka, dash.js, hls.js at 503
[measured]; a third of the viewers each."""
BANNED_S: Final = 60.0
"""So long it does not come back by itself."""


class Viewers:
    """Everybody of a scenario. `link` is region × CDNs + CDN."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        random = np.random.default_rng(scenario.seed)
        self.scenario = scenario
        self.regions = sorted({crowd.region for crowd in scenario.crowds})
        sizes = [crowd.viewers for crowd in scenario.crowds]
        crowd_of = np.repeat(np.arange(len(sizes)), sizes)
        count = len(crowd_of)

        def of_crowds(values: list[float]) -> Floats:
            return np.array(values, dtype=np.float64)[crowd_of]

        crowds = scenario.crowds
        self.region: Integers = np.array([self.regions.index(c.region) for c in crowds])[crowd_of]
        self.asn: Integers = (
            1
            + random.integers(0, 2**31, count)
            % np.array([crowd.networks for crowd in crowds])[crowd_of]
        )
        self.join_s = of_crowds([c.from_s for c in crowds]) + random.random(count) * of_crowds(
            [c.joining_s for c in crowds]
        )
        self.leave_s = of_crowds(
            [float(scenario.duration_s) if c.to_s is None else c.to_s for c in crowds]
        )
        spread = of_crowds([c.access_spread for c in crowds])
        self.median_kbps = of_crowds([c.access_kbps for c in crowds]) * np.exp(
            spread * random.standard_normal(count)
        )
        self._spread = spread / 3
        self._random = random
        self._traces = _scaled_traces(scenario, folder)
        self._trace_of = random.integers(0, max(1, len(self._traces)), count)
        self._trace_from = random.integers(0, 1 << 20, count)
        self.access_kbps = self.median_kbps.copy()
        self.ladder = np.array(scenario.ladder_kbps)
        self.rung: Integers = np.zeros(count, dtype=np.int64)
        self.estimate_kbps = self.access_kbps / 2
        self.buffer_s = np.zeros(count)
        self.is_playing: Flags = np.zeros(count, dtype=bool)
        self.has_started: Flags = np.zeros(count, dtype=bool)
        self.stalled_s = np.zeros(count)
        self.failing_s = np.zeros(count)
        self.failover_s = FAILOVER_S[random.integers(0, 3, count)]
        self.phase: Integers = random.integers(0, 1 << 20, count)
        self.ceiling_kbps = np.full(count, np.inf)

    def __len__(self) -> int:
        return len(self.region)

    def present(self, now_s: int) -> Flags:
        """Who watches."""
        return (self.join_s <= now_s) & (now_s < self.leave_s)

    def bitrate_kbps(self) -> Floats:
        """What each plays."""
        return self.ladder[self.rung]

    def wanted_kbps(self) -> Floats:
        """What each would play if CDNs had no end."""
        return self.ladder[self._rung_for(SAFETY * self.access_kbps)]

    def vary(self, now_s: int) -> None:
        """Their access lines, a second later."""
        if len(self._traces):
            at = (self._trace_from + now_s) % self._traces.shape[1]
            self.access_kbps = self.median_kbps * self._traces[self._trace_of, at]
        elif now_s % LINE_S == 0:
            noise = self._spread * self._random.standard_normal(len(self))
            self.access_kbps = self.median_kbps * np.exp(noise)

    def fetch(self, link: Integers, capacity_mbps: Floats, here: Flags) -> tuple[Floats, Floats]:
        """What each gets in this second and could get (kbit/s); a full link shares by demand.

        Who has a full buffer fetches as fast as it plays, on average.
        """
        bitrate = self.bitrate_kbps()
        is_full = self.buffer_s >= self.scenario.buffer_s
        asked = np.where(is_full, np.minimum(bitrate, self.access_kbps), self.access_kbps) * here
        load_kbps = np.bincount(link, asked, minlength=len(capacity_mbps))
        room_kbps = 1000 * capacity_mbps
        ratio = np.minimum(1.0, room_kbps / np.maximum(load_kbps, 1e-9))[link]
        return asked * ratio, self.access_kbps * ratio * here

    def play(self, got_kbps: Floats, could_kbps: Floats, here: Flags, now_s: int) -> Floats:
        """Fill buffers, play a second out of them, choose rates; how long each stalled."""
        self.buffer_s += got_kbps / self.bitrate_kbps()
        self.is_playing = here & np.where(
            self.is_playing, self.buffer_s > 0, self.buffer_s >= START_S
        )
        self.has_started |= self.is_playing
        played_s = np.minimum(1.0, self.buffer_s) * self.is_playing
        stalled_s = (1.0 - played_s) * (self.has_started & here)
        self.is_playing &= played_s >= 1.0
        self.buffer_s -= played_s
        self.stalled_s += stalled_s
        is_measured = could_kbps > 0
        self.estimate_kbps += SMOOTHED * (could_kbps - self.estimate_kbps) * is_measured
        decides = here & ((self.phase + now_s) % self.scenario.segment_s == 0)
        rung = self._rung_for(np.minimum(SAFETY * self.estimate_kbps, self.ceiling_kbps))
        self.rung = np.where(decides, rung, self.rung)
        return stalled_s

    def _rung_for(self, kbps: Floats) -> Integers:
        return np.maximum(np.searchsorted(self.ladder, kbps, side="right") - 1, 0)


def _scaled_traces(scenario: Scenario, folder: Path) -> Floats:
    """Each as multiples of its mean, a value a second, all as long as the longest; else none."""
    if not scenario.traces:
        return np.zeros((0, 1))
    found = [
        np.diff(np.interp(np.arange(each.times_s[-1]), each.times_s, each.received_bytes))
        for each in read_traces(folder / scenario.traces)
    ]
    longest = max(len(each) for each in found)
    return np.array([np.resize(each / each.mean(), longest) for each in found])
