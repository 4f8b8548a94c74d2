"""What players make of a ceiling: their own rule below it, and the way that the ceiling takes.

Simple models of the rules as the players ship them; what each reacts to, and when, was measured
with the real players.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from infra.bench.abr.baselines import Dynamic, affordable_rung
from infra.bench.abr.player import Policy, Seen, late
from infra.bench.abr.trace import Floats

SHAKA_SWITCH_INTERVAL_S: Final = 8.0
SHAKA_HALF_LIVES_S: Final = (2.0, 5.0)
SHAKA_DOWN_SHARE: Final = 0.95
SHAKA_UP_SHARE: Final = 0.85
HLS_HALF_LIVES_S: Final = (3.0, 9.0)
HLS_SHARE: Final = 0.95
HLS_UP_SHARE: Final = 0.7
STEERING_TTL_S: Final = 5.0


class Shaka:
    """Shaka Player: the lower of two moving averages, one change in eight seconds."""

    def choose(self, seen: Seen) -> int:
        """The next rung."""
        kbps = moving_kbps(seen, SHAKA_HALF_LIVES_S)
        down = affordable_rung(seen.video, SHAKA_DOWN_SHARE * kbps)
        return max(min(down, seen.last), affordable_rung(seen.video, SHAKA_UP_SHARE * kbps))


class HlsJs:
    """hls.js: the lower of two moving averages, more of it to stay than to rise."""

    def choose(self, seen: Seen) -> int:
        """The next rung."""
        kbps = moving_kbps(seen, HLS_HALF_LIVES_S)
        stay = affordable_rung(seen.video, HLS_SHARE * kbps)
        return max(min(stay, seen.last), affordable_rung(seen.video, HLS_UP_SHARE * kbps))


class SeldomChanging:
    """What a policy chooses, changed at most once in Shaka's interval."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._changed_s = -math.inf

    def choose(self, seen: Seen) -> int:
        """The next rung."""
        now_s = float(seen.asked_s[-1])
        if seen.chunk == 1:
            self._changed_s = -math.inf
        rung = self._policy.choose(seen)
        if rung == seen.last or now_s - self._changed_s < SHAKA_SWITCH_INTERVAL_S:
            return seen.last
        self._changed_s = now_s
        return rung


class Late:
    """A policy that knows all but the last reports, rounded as CMCD rounds them."""

    def __init__(self, policy: Policy, chunks: int) -> None:
        self._policy = policy
        self._chunks = chunks

    def choose(self, seen: Seen) -> int:
        """The next rung."""
        return self._policy.choose(late(seen, self._chunks))


class Polled:
    """A policy asked at a steering request, every few seconds; its answer holds until the next."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def choose(self, seen: Seen) -> int:
        """The next rung, from what was reported at the last request."""
        now_s = float(seen.asked_s[-1])
        polled_s = now_s - now_s % STEERING_TTL_S
        done_s = seen.asked_s[:-1] + seen.download_s
        return self._policy.choose(late(seen, max(1, int((done_s > polled_s).sum()))))


class Below:
    """A player's own rule under a ceiling."""

    def __init__(self, rule: Policy, ceiling: Policy) -> None:
        self._rule = rule
        self._ceiling = ceiling

    def choose(self, seen: Seen) -> int:
        """The lower of both; each is asked every time."""
        return min(self._rule.choose(seen), self._ceiling.choose(seen))


_ALONE: Final[dict[str, Callable[[], Policy]]] = {
    "shaka": lambda: SeldomChanging(Shaka()),
    "dashjs": Dynamic,
    "hlsjs": HlsJs,
}
PLAYERS: Final = tuple(_ALONE)


def player_alone(name: str) -> Policy:
    """The model of one of PLAYERS. Raises KeyError for another one."""
    return _ALONE[name]()


def delivered_over(name: str, policy: Policy) -> Policy:
    """The player with `policy` as its ceiling, as late as that player gets one.

    shaka, dashjs: CMSD `mb` leaves with a response, so one report is missing; hlsjs: steering.
    """
    if name == "shaka":
        return SeldomChanging(Below(Shaka(), Late(policy, 1)))
    if name == "dashjs":
        return Below(Dynamic(), Late(policy, 1))
    return Below(HlsJs(), Polled(policy))


def moving_kbps(seen: Seen, half_lives_s: tuple[float, float]) -> float:
    """The lower of two averages that forget half in so many seconds of downloading."""
    throughput = 8 / 1000 * seen.sizes_bytes / seen.download_s
    return min(_average(throughput, seen.download_s, half_life) for half_life in half_lives_s)


def _average(throughput: Floats, weights_s: Floats, half_life_s: float) -> float:
    total = 0.0
    weight = 0.0
    for value, seconds in zip(throughput, weights_s, strict=True):
        kept = 0.5 ** (seconds / half_life_s)
        total = float(value) * (1 - kept) + kept * total
        weight = (1 - kept) + kept * weight
    return total / weight
