"""Who may come in: a budget in bytes for the whole process, and slots per class of request.

aiohttp has no admission control of its own. Licenses have slots that no flood of events can take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from gateway.problems import unavailable

TrafficClass = Literal["license", "playback", "account", "events", "stream", "health"]

OPEN_REQUESTS_MAX: Final[Mapping[TrafficClass, int]] = {
    "license": 2_000,
    "playback": 2_000,
    "account": 1_000,
    "events": 2_000,
    "stream": 5_000,
    "health": 200,
}


class ByteBudget:
    """Bytes of bodies that all open requests hold together."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.held_bytes = 0

    def take(self, count: int) -> None:
        """Raises 503 where the process would hold too much; nothing is taken then."""
        if self.held_bytes + count > self._bytes_max:
            raise unavailable("not_stored", "overloaded", "too many bytes are in flight")
        self.held_bytes += count

    def give_back(self, count: int) -> None:
        """What was taken and is no longer held."""
        self.held_bytes -= count
        assert self.held_bytes >= 0


class Slots:
    """Open requests per class; a full class is refused at once, the others do not notice."""

    def __init__(self, open_max: Mapping[TrafficClass, int] = OPEN_REQUESTS_MAX) -> None:
        self._open_max = open_max
        self.open: dict[TrafficClass, int] = dict.fromkeys(open_max, 0)

    def enter(self, traffic_class: TrafficClass) -> None:
        """Raises 503 where the class is full."""
        if self.open[traffic_class] >= self._open_max[traffic_class]:
            raise unavailable("not_stored", "overloaded", "too many requests are open")
        self.open[traffic_class] += 1

    def leave(self, traffic_class: TrafficClass) -> None:
        """Once for each `enter`."""
        self.open[traffic_class] -= 1
