"""A viewer's link: a class with a usual speed, around which it wanders. Pure but for its Random."""

from __future__ import annotations

import math
from random import Random
from typing import Final

import msgspec


class LinkClass(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of access; `share` is how many viewers of a hundred have it."""

    name: str
    share: int
    throughput_kbps: int
    latency_ms: int
    swing: float
    """Standard deviation of one step, of the natural logarithm of the speed."""


LINKS: Final = (
    LinkClass(name="mobile", share=25, throughput_kbps=1_800, latency_ms=70, swing=0.35),
    LinkClass(name="dsl", share=35, throughput_kbps=8_000, latency_ms=30, swing=0.15),
    LinkClass(name="cable", share=30, throughput_kbps=25_000, latency_ms=20, swing=0.12),
    LinkClass(name="fiber", share=10, throughput_kbps=90_000, latency_ms=8, swing=0.08),
)
PULL: Final = 0.25
"""How much of the way back to its usual speed a link goes with each step."""
OUTAGE_SHARE: Final = 0.004
"""Of the steps: a tunnel, a microwave oven; a tenth of the speed is left."""


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """What fetching one segment came to."""

    throughput_kbps: int
    latency_ms: int
    transfer_ms: int
    """To the last byte, latency included."""


class Link:
    """One viewer's link over time."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._class = random.choices(LINKS, [each.share for each in LINKS])[0]
        self._swing = 0.0

    def fetch(self, object_bytes: int) -> Fetch:
        """Fetch so many bytes at the speed of the moment."""
        self._swing += self._random.gauss(0, self._class.swing) - PULL * self._swing
        speed = self._class.throughput_kbps * math.exp(self._swing)
        if self._random.random() < OUTAGE_SHARE:
            speed /= 10
        throughput_kbps = max(50, round(speed))
        latency_ms = max(1, round(self._random.gauss(self._class.latency_ms, 6)))
        return Fetch(
            throughput_kbps=throughput_kbps,
            latency_ms=latency_ms,
            transfer_ms=latency_ms + round(object_bytes * 8 / throughput_kbps),
        )
