"""Scores of a policy's lists: the share that they reach of what the best ones reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from infra.bench.watching.audience import LEFT_RATIO_MAX
from infra.bench.watching.scenario import Scenario

PERIODS: Final = 20
"""Of a run, equally long."""
LENGTHS: Final = (0, 1, 2, 5, 10, 20, 50)
"""Earlier plays of a profile at which another group begins."""
COLD_PLAYS: Final = 5
"""With fewer a profile is new."""


class Moment(NamedTuple):
    """A list before a play. A gain is the sum of true chances by discount of their places."""

    day: float
    earlier: int
    """Plays of the profile before this one."""
    is_household: bool
    gain: float
    best_gain: float
    new_gain: float
    """Of titles that came lately."""
    best_new_gain: float
    next_gain: float
    """Of next episodes of series that are followed."""
    best_next_gain: float
    hit: float
    """The probability that what is chosen stands in the list."""
    listed: tuple[int, ...]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One policy on one scenario. Shares are of the optimum's gain; None where it has none."""

    policy: str
    share: float | None
    share_by_period: tuple[float | None, ...]
    share_by_earlier_plays: dict[str, float | None]
    cold_share: float | None
    """Of profiles with fewer than 5 earlier plays."""
    household_share: float | None
    new_title_share: float | None
    """Gain by titles at most 14 days old; above 1: they get better places than is best."""
    next_episode_share: float | None
    hit_ratio: float
    """How probably what is chosen stood in the list; its size is the scenario's."""
    completed_ratio: float
    abandoned_ratio: float
    coverage_ratio: float
    """Of all titles of the scenario: those that stood in a list."""
    plays: int
    ranked: int
    recommend_ms_p50: float
    recommend_ms_p99: float


def score(
    name: str,
    scenario: Scenario,
    moments: Sequence[Moment],
    ends: Sequence[float],
    recommend_ns: Sequence[int],
) -> Score:
    """All of it; `ends` are the shares watched of each play."""
    catalog = scenario.catalog
    titles = catalog.films + catalog.series * catalog.episodes
    watched = np.array(ends or [0.0])
    times_ms = np.percentile(np.array(recommend_ns or [0]) / 1e6, [50, 99])
    period = [min(int(each.day / scenario.days * PERIODS), PERIODS - 1) for each in moments]
    length = np.searchsorted(LENGTHS, [each.earlier for each in moments], side="right") - 1
    return Score(
        policy=name,
        share=_share(moments),
        share_by_period=tuple(
            _share(each for each, number in zip(moments, period, strict=True) if number == wanted)
            for wanted in range(PERIODS)
        ),
        share_by_earlier_plays={
            _named(wanted): _share(
                each for each, number in zip(moments, length, strict=True) if number == wanted
            )
            for wanted in range(len(LENGTHS))
        },
        cold_share=_share(each for each in moments if each.earlier < COLD_PLAYS),
        household_share=_share(each for each in moments if each.is_household),
        new_title_share=_ratio((each.new_gain, each.best_new_gain) for each in moments),
        next_episode_share=_ratio((each.next_gain, each.best_next_gain) for each in moments),
        hit_ratio=float(np.mean([each.hit for each in moments] or [0.0])),
        completed_ratio=float((watched == 1.0).mean()),
        abandoned_ratio=float((watched < LEFT_RATIO_MAX).mean()),
        coverage_ratio=len({title for each in moments for title in each.listed}) / titles,
        plays=len(ends),
        ranked=len(moments),
        recommend_ms_p50=float(times_ms[0]),
        recommend_ms_p99=float(times_ms[1]),
    )


def _named(group: int) -> str:
    """Such as "2-4", and "50-" for the last."""
    last = LENGTHS[group + 1] - 1 if group + 1 < len(LENGTHS) else ""
    first = LENGTHS[group]
    return str(first) if first == last else f"{first}-{last}"


def _share(moments: Iterable[Moment]) -> float | None:
    return _ratio((each.gain, each.best_gain) for each in moments)


def _ratio(gains: Iterable[tuple[float, float]]) -> float | None:
    sums = np.array(list(gains)).reshape(-1, 2).sum(axis=0)
    return float(sums[0] / sums[1]) if sums[1] > 0 else None
