"""Plays a scenario with one policy, and holds its lists against the best possible ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from infra.bench.watching.audience import Audience, Situation, discounts, draw_plays
from infra.bench.watching.policies import Markov, Model, Playhead, Policy, Popular, Random
from infra.bench.watching.scenario import Scenario
from infra.bench.watching.scores import Moment, Score, score
from infra.bench.watching.shows import Shows

OPTIMUM: Final = "optimum"
"""Lists what will be chosen most likely: knows every taste, but not yet who has sat down."""
POLICIES: Final = ("playhead", "model", "popular", "markov", "random", OPTIMUM)
NEW_DAYS: Final = 14.0
"""So long a title that came during the run is new."""

_MAKERS: Final[dict[str, Callable[[Shows, int], Policy]]] = {
    "playhead": lambda shows, seed: Playhead(shows),
    "model": lambda shows, seed: Model(),
    "popular": lambda shows, seed: Popular(shows),
    "markov": lambda shows, seed: Markov(shows),
    "random": Random,
}


def run(scenario: Scenario, name: str, every: int) -> Score:
    """Score a policy on one in `every` plays. Equal arguments give equal scores but for times."""
    world = _World(scenario, name, every)
    for number in range(len(world.plays.day)):
        world.step(number)
    return score(name, scenario, world.moments, world.ends, world.recommend_ns)


class _World:
    """The same shows, people and luck for each policy."""

    def __init__(self, scenario: Scenario, name: str, every: int) -> None:
        rng = np.random.default_rng(scenario.seed)
        self._scenario = scenario
        self._shows = Shows(scenario, rng)
        self._audience = Audience(scenario, self._shows, rng)
        self.plays = draw_plays(scenario, rng)
        self._is_ranked = rng.integers(0, every, len(self.plays.day)) == 0
        self._policy = None if name == OPTIMUM else _MAKERS[name](self._shows, scenario.seed)
        self._released = 0
        self._earlier = np.zeros(scenario.audience.profiles, dtype=np.int64)
        self.moments: list[Moment] = []
        self.ends: list[float] = []
        """Shares of the titles that were watched."""
        self.recommend_ns: list[int] = []

    def step(self, number: int) -> None:
        """One play: a list is made before it, where it is measured or used."""
        day, profile = float(self.plays.day[number]), int(self.plays.profile[number])
        place, luck = int(self.plays.place[number]), self.plays.luck[number].tolist()
        self._release(day)
        is_ranked = bool(self._is_ranked[number])
        is_used = luck[1] < self._scenario.audience.list_influence
        if place == 0:
            self._audience.sit_down(profile, day, luck[0])
        listed: list[int] = []
        if is_ranked or is_used:
            situation = self._audience.situation(profile, place, day)
            listed = self._list(profile, day, situation)
            if is_ranked and situation.chances.any():
                self.moments.append(self._moment(profile, day, situation, listed))
        title = self._audience.choose(profile, place, day, listed if is_used else [], luck[2])
        if title is None:
            return
        watched_ratio = self._audience.watch(profile, title, luck[3])
        self.ends.append(watched_ratio)
        self._earlier[profile] += 1
        if self._policy is not None:
            self._policy.learn(profile, title, watched_ratio, day)

    def _list(self, profile: int, day: float, situation: Situation) -> list[int]:
        if self._policy is None:
            return self._best(situation)
        started_ns = time.perf_counter_ns()
        listed = self._policy.recommend(profile, day, self._scenario.list_size)
        self.recommend_ns.append(time.perf_counter_ns() - started_ns)
        return listed

    def _best(self, situation: Situation) -> list[int]:
        """The list with the highest gain there is."""
        order = np.argsort(-situation.chances, kind="stable")[: self._scenario.list_size]
        best: list[int] = order.tolist()
        return best

    def _moment(self, profile: int, day: float, situation: Situation, listed: list[int]) -> Moment:
        released = self._shows.released_day
        is_new = (released > 0) & (released > day - NEW_DAYS)
        best = self._best(situation)
        gains = [situation.chances[titles] * discounts(len(titles)) for titles in (listed, best)]
        return Moment(
            day=day,
            earlier=int(self._earlier[profile]),
            is_household=bool(self._audience.sizes[profile] > 1),
            gain=float(gains[0].sum()),
            best_gain=float(gains[1].sum()),
            new_gain=float(gains[0][is_new[listed]].sum()),
            best_new_gain=float(gains[1][is_new[best]].sum()),
            next_gain=float(gains[0][situation.is_next[listed]].sum()),
            best_next_gain=float(gains[1][situation.is_next[best]].sum()),
            hit=float(situation.chances[listed].sum()),
            listed=tuple(listed),
        )

    def _release(self, day: float) -> None:
        """Tell the policy of titles that came meanwhile."""
        order, released = self._shows.release_order, self._shows.released_day
        while self._released < len(order) and released[order[self._released]] <= day:
            if self._policy is not None:
                self._policy.release(int(order[self._released]))
            self._released += 1
