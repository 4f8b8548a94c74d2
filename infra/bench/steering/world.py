"""Runs a scenario under a policy, second by second, and scores it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from infra.bench.steering.optimum import cost_of, least_cost
from infra.bench.steering.policies import Policy, Seen, Steered, round_robin, static_weights
from infra.bench.steering.scenario import Fault, Scenario
from infra.bench.steering.viewers import BANNED_S, Flags, Floats, Integers, Viewers

POLICIES: Final = ("static", "round-robin", "failover", "playhead")
AFTERMATH_S: Final = 60
"""A stall so soon after a fault is counted as its own."""
LEFT_RATIO: Final = 0.01
"""A dead CDN is left when so few of its viewers are still on it."""
CAPACITY_MIN_MBPS: Final = 1e-6


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One policy on one scenario."""

    policy: str
    stalled_s: float
    stalled_in_faults_s: float
    """From the start of a fault until a minute after its end."""
    overloaded_minutes: dict[str, int]
    """By CDN: minutes in which its viewers in a region play more than it carries there."""
    overloaded_minutes_where_it_fits: int
    """Those where all that viewers of the region want would fit into its CDNs."""
    cost: float
    cost_of_optimum: float
    """Of the same traffic."""
    mean_kbps: float
    moves_per_viewer: float
    leaving_s: tuple[float | None, ...]
    """By outage; None: not left before its end."""
    seconds_per_second: float
    """How many times faster than the clock."""
    stalled_by_minute_s: tuple[float, ...]


def run(scenario: Scenario, name: str, folder: Path) -> Score:
    """Score a policy; `folder` is where the scenario's file lies."""
    started_s = time.perf_counter()
    world = World(scenario, name, folder)
    for now_s in range(scenario.duration_s):
        world.step(now_s)
    elapsed_s = time.perf_counter() - started_s
    return world.score(name, scenario.duration_s / elapsed_s)


class World:
    """Viewers, links and a policy."""

    def __init__(self, scenario: Scenario, name: str, folder: Path) -> None:
        self.scenario = scenario
        self.viewers = Viewers(scenario, folder)
        self._policy = make_policy(name, scenario, self.viewers)
        count, cdns, regions = len(self.viewers), len(scenario.cdns), len(self.viewers.regions)
        minutes = -(-scenario.duration_s // 60)
        self._cdn: Integers = self._policy.orders(0)[:, 0].copy()
        self._banned_until_s = np.full((count, cdns), -1.0)
        self._kbits, self._waited_s = np.zeros(count), np.zeros(count)
        self._moves, self._playing_kbits, self._present_s = 0, 0.0, 0
        shape = (minutes, regions, cdns)
        self._carried, self._asked = np.zeros(shape), np.zeros(shape)
        self._capacity = np.zeros(shape)
        self._wanted = np.zeros((minutes, regions))
        self._stalled, self._in_faults = np.zeros(minutes), 0.0
        self._leaving: dict[int, tuple[int, float | None]] = {}

    def step(self, now_s: int) -> None:
        """One second."""
        viewers, minute = self.viewers, now_s // 60
        viewers.vary(now_s)
        here = viewers.present(now_s)
        capacity = self._capacity_mbps(now_s)
        self._move(here, now_s)
        cdns = len(self.scenario.cdns)
        link = viewers.region * cdns + self._cdn
        is_dead = (capacity.ravel() <= CAPACITY_MIN_MBPS)[link] & here
        got, could = viewers.fetch(link, capacity.ravel(), here)
        stalled = viewers.play(got, could, here, now_s)
        self._report(got, could, is_dead, here, now_s)
        playing = viewers.bitrate_kbps() * here
        shape = capacity.shape
        self._carried[minute] += _by_link(link, got, shape) / 60_000
        self._asked[minute] += _by_link(link, playing, shape) / 60_000
        self._capacity[minute] += capacity / 60
        self._wanted[minute] += (
            np.bincount(viewers.region, viewers.wanted_kbps() * here, minlength=shape[0]) / 60_000
        )
        self._stalled[minute] += stalled.sum()
        if any(each.from_s <= now_s < each.to_s + AFTERMATH_S for each in self.scenario.faults):
            self._in_faults += float(stalled.sum())
        self._playing_kbits += float(playing.sum())
        self._present_s += int(here.sum())
        self._watch_leaving(here, now_s)

    def _capacity_mbps(self, now_s: int) -> Floats:
        found = np.array(
            [
                [cdn.region_capacity_mbps.get(region, 0.0) for cdn in self.scenario.cdns]
                for region in self.viewers.regions
            ]
        )
        for fault in self.scenario.faults:
            if fault.from_s <= now_s < fault.to_s:
                found[self._hit(fault)] *= fault.capacity_ratio
        return found

    def _hit(self, fault: Fault) -> tuple[slice | int, int]:
        names = [cdn.name for cdn in self.scenario.cdns]
        regions = self.viewers.regions
        where = regions.index(fault.region) if fault.region else slice(None)
        return where, names.index(fault.cdn)

    def _move(self, here: Flags, now_s: int) -> None:
        """To the first CDN of each one's order that the player itself has not given up."""
        orders = self._policy.orders(now_s)
        target = orders[:, 0]
        if self._policy.fails_over:
            failing = here & (self.viewers.failing_s >= self.viewers.failover_s)
            rows = np.nonzero(failing)[0]
            self._banned_until_s[rows, self._cdn[rows]] = now_s + BANNED_S
            self.viewers.failing_s[rows] = 0.0
            banned = np.take_along_axis(self._banned_until_s, orders, axis=1) > now_s
            first = np.where(banned.all(axis=1), 0, np.argmin(banned, axis=1))
            target = np.take_along_axis(orders, first[:, None], axis=1)[:, 0]
        moved = target != self._cdn
        self._moves += int((moved & self.viewers.has_started & here).sum())
        self.viewers.failing_s[moved] = 0.0
        self._cdn = np.where(moved, target, self._cdn)

    def _report(self, got: Floats, could: Floats, is_dead: Flags, here: Flags, now_s: int) -> None:
        """A fetch ends when a segment is whole; a player tries again two seconds after an error."""
        viewers, segment_s = self.viewers, self.scenario.segment_s
        asking = is_dead & (viewers.buffer_s < self.scenario.buffer_s)
        viewers.failing_s = np.where(asking, viewers.failing_s + 1.0, 0.0)
        self._kbits += got
        busy_ratio = np.divide(got, could, out=np.ones_like(got), where=could > 0)
        self._waited_s = np.where(here, self._waited_s + np.minimum(1.0, busy_ratio), 0.0)
        size_kbits = viewers.bitrate_kbps() * segment_s
        ended = here & (self._kbits >= size_kbits)
        late = ended & (self._waited_s > segment_s)
        failed = asking & (viewers.failing_s.astype(np.int64) % 2 == 1)
        self._policy.hear(Seen(self._cdn, failed, ended, late), size_kbits, now_s)
        self._kbits = np.where(ended, np.minimum(self._kbits - size_kbits, size_kbits), self._kbits)
        self._waited_s[ended] = 0.0

    def _watch_leaving(self, here: Flags, now_s: int) -> None:
        for number, fault in enumerate(self.scenario.faults):
            if fault.capacity_ratio > 0 or not fault.from_s <= now_s < fault.to_s:
                continue
            where, cdn = self._hit(fault)
            on_it = here & (self._cdn == cdn)
            if isinstance(where, int):
                on_it &= self.viewers.region == where
            viewers, left_s = self._leaving.setdefault(number, (int(on_it.sum()), None))
            if left_s is None and on_it.sum() <= LEFT_RATIO * viewers:
                self._leaving[number] = (viewers, now_s - fault.from_s)

    def score(self, name: str, speed: float) -> Score:
        """What came of it."""
        is_over = (self._asked > self._capacity) & (self._capacity > CAPACITY_MIN_MBPS)
        fits = self._wanted <= self._capacity.sum(axis=2)
        cdns = self.scenario.cdns
        minutes = range(len(self._carried))
        return Score(
            policy=name,
            stalled_s=float(self._stalled.sum()),
            stalled_in_faults_s=self._in_faults,
            overloaded_minutes={
                cdn.name: int(is_over[:, :, n].sum()) for n, cdn in enumerate(cdns)
            },
            overloaded_minutes_where_it_fits=int((is_over & fits[:, :, None]).sum()),
            cost=sum(cost_of(cdns, self._carried[m]) for m in minutes),
            cost_of_optimum=sum(
                least_cost(cdns, self._carried[m], self._capacity[m]) for m in minutes
            ),
            mean_kbps=self._playing_kbits / max(1, self._present_s),
            moves_per_viewer=self._moves / len(self.viewers),
            leaving_s=tuple(left_s for _, left_s in self._leaving.values()),
            seconds_per_second=speed,
            stalled_by_minute_s=tuple(self._stalled.tolist()),
        )


def make_policy(name: str, scenario: Scenario, viewers: Viewers) -> Policy:
    """By its name, one of POLICIES."""
    match name:
        case "static":
            return static_weights(scenario, viewers, fails_over=False)
        case "round-robin":
            return round_robin(scenario, viewers)
        case "failover":
            return static_weights(scenario, viewers, fails_over=True)
        case _:
            return Steered(scenario, viewers)


def _by_link(link: Integers, weights: Floats, shape: tuple[int, ...]) -> Floats:
    counted = np.bincount(link, weights, minlength=shape[0] * shape[1])
    return counted.reshape(shape).astype(np.float64)
