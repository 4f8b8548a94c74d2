"""What a viewer got, from what was on the screen: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

STALL_S_MIN: Final = 0.25
"""A shorter standstill is the clock's grain, not the network's."""
STANDSTILL_SHARE: Final = 0.1
"""Of real time: the playhead counts as standing when it advances less."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a page noted: `[seconds since play was pressed, playhead in seconds, height]`."""

    samples: tuple[tuple[float, float, int], ...]
    decisions: tuple[tuple[float, int | None], ...] = ()
    """`[seconds, ceiling in kbps]` as they came."""
    problem: str = ""
    """Why the player gave up."""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """One play; all but `startup_s` leave the first segment out, as `infra.bench.abr` does."""

    qoe: float
    """Mean over segments: Mbit/s less stalls less changes (QoE_lin)."""
    kbps: float
    """Mean nominal rate of what was on the screen."""
    stalls: int
    stall_s: float
    switches: int
    startup_s: float
    segments: int
    decisions: int
    """New ceilings that reached the page."""
    page_late_s: float
    """The longest pause between two looks at the screen, less what it should be."""
    link_late_s: float = 0.0
    """By how much the edge was late at most."""


class PlayFailedError(Exception):
    """The player gave up, or never began; the message says why, as far as it is known."""


def score_play(
    shown: Shown, kbps_of: Mapping[int, int], *, segment_s: float, sample_s: float
) -> Watched:
    """What the play was worth; `kbps_of`: nominal rate by height. Raises PlayFailedError."""
    rates = [kbps_of[height] for height in heights_of(shown.samples, segment_s) if height]
    if shown.problem or len(rates) < 2:
        raise PlayFailedError(shown.problem or "it did not begin in time")
    stalls_s = stalls_of(shown.samples)
    changes = [abs(later - earlier) for earlier, later in pairwise(rates)]
    # The top rung in Mbit/s is the price of a second of stall (abr.md, Pensieve).
    price = max(kbps_of.values())
    worth = sum(rates[1:]) - price * sum(stalls_s) - sum(changes)
    return Watched(
        qoe=worth / 1000 / (len(rates) - 1),
        kbps=sum(rates[1:]) / (len(rates) - 1),
        stalls=len(stalls_s),
        stall_s=sum(stalls_s),
        switches=sum(change > 0 for change in changes),
        startup_s=next(at_s for at_s, playhead_s, _ in shown.samples if playhead_s > 0),
        segments=len(rates),
        decisions=len(shown.decisions),
        page_late_s=max(b[0] - a[0] for a, b in pairwise(shown.samples)) - sample_s,
    )


def heights_of(samples: Sequence[tuple[float, float, int]], segment_s: float) -> list[int]:
    """The height on the screen in the middle of each segment that was reached."""
    heights: list[int] = []
    for _, playhead_s, height in samples:
        while playhead_s >= (len(heights) + 0.5) * segment_s:
            heights.append(height)
    return heights


def stalls_of(samples: Sequence[tuple[float, float, int]]) -> list[float]:
    """The standstills after the first picture, in seconds each."""
    stalls: list[float] = []
    standing_s = 0.0
    for (earlier_s, before_s, _), (later_s, after_s, _) in pairwise(samples):
        if before_s <= 0:
            continue
        if after_s - before_s < STANDSTILL_SHARE * (later_s - earlier_s):
            standing_s += later_s - earlier_s
            continue
        stalls.append(standing_s)
        standing_s = 0.0
    return [each for each in (*stalls, standing_s) if each >= STALL_S_MIN]
