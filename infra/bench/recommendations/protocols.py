"""The two ways of scoring: event by event in time, or each viewer's last event."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from infra.bench.recommendations.events import Events, Flags
from infra.bench.recommendations.scores import Scores, Tally
from infra.bench.recommendations.viewers import Viewers

SEED = 20_260
Progress = Callable[[int], None]


class _Run:
    """One policy, its times and its tally."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.viewers = Viewers(events.title_ids)
        self.tally = Tally(len(events.title_ids))
        self.update_ns: list[int] = []
        self.recommend_ns: list[int] = []
        self._places = {content_id: n for n, content_id in enumerate(events.title_ids)}

    def learn(self, number: int) -> None:
        """Let the policy learn an event."""
        events = self.events
        content_id = events.title_ids[int(events.titles[number])]
        start = time.perf_counter_ns()
        self.viewers.learn(events.viewers[number], content_id, int(events.at_s[number]))
        self.update_ns.append(time.perf_counter_ns() - start)
        self.viewers.solve_if_due()

    def rank(self, number: int) -> None:
        """Ask for a list before the event is learned."""
        start = time.perf_counter_ns()
        ranking = self.viewers.recommend(self.events.viewers[number])
        self.recommend_ns.append(time.perf_counter_ns() - start)
        top = [self._places[ranked.content_id] for ranked in ranking.best[:10]]
        earlier = int(self.events.place[number])
        self.tally.add(ranking.scores, int(self.events.titles[number]), top, earlier)

    def scores(self) -> Scores:
        """The scores so far."""
        return self.tally.scores(self.update_ns, self.recommend_ns)


def prequential(events: Events, start: float, until: float, every: int, done: Progress) -> Scores:
    """Events before `start` are only learned; then a seeded part of them is a target first.

    `start` and `until` are shares of the file, `every` the part's inverse. Where titles repeat, a
    viewer's first event is no target.
    """
    run = _Run(events)
    is_target = targets(events, start, every)
    first = int(len(events) * start)
    for number in range(int(len(events) * until)):
        if number == first:
            run.update_ns.clear()  # A young model's catalog still grows: no measure of later ones.
        if is_target[number]:
            run.rank(number)
        run.learn(number)
        done(number + 1)
    return run.scores()


def leave_one_out(events: Events, done: Progress) -> Scores:
    """Learn all but the last two events of each viewer; the last but one joins the history only."""
    run = _Run(events)
    from_end = events.total - events.place
    is_scored = events.total >= 3
    for number in range(len(events)):
        if from_end[number] > 2 or not is_scored[number]:
            run.learn(number)
        done(number + 1)
    last_but_one = np.flatnonzero(is_scored & (from_end == 2))
    for number in last_but_one.tolist():
        content_id = events.title_ids[int(events.titles[number])]
        run.viewers.watch(events.viewers[number], content_id)
    for number in np.flatnonzero(is_scored & (from_end == 1)).tolist():
        run.rank(number)
    return run.scores()


def targets(events: Events, start: float, every: int) -> Flags:
    """Which events are ranked; of `every` > 1 a seeded part, the same for the same file."""
    is_target: Flags = np.arange(len(events)) >= int(len(events) * start)
    if events.is_repeating:
        is_target &= events.place > 0
    if every > 1:
        is_target &= np.random.default_rng(SEED).integers(0, every, len(events)) == 0
    return is_target
