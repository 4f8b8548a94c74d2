"""Who may come in: bytes held by class and by client, and open requests by class.

aiohttp has no admission control of its own. Each class of bodies may fill the room up to a share;
what lies above is reserved for the more urgent ones. So no flood of events takes the room of a
license, no flood of measurements that of a play, and no client that of all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from gateway.problems import unavailable

TrafficClass = Literal[
    "license", "playback", "account", "interactions", "measurements", "stream", "health"
]
"""Of a request, by its route."""
Urgency = Literal["essential", "interactions", "measurements", "bulk"]
"""Of a body, the most urgent first; `essential` is whatever carries no events."""

EVENT_TRAFFIC: Final[frozenset[TrafficClass]] = frozenset({"interactions", "measurements"})
URGENCIES: Final[tuple[Urgency, ...]] = ("essential", "interactions", "measurements", "bulk")
SHARES: Final[Mapping[Urgency, float]] = {
    "essential": 1.0,
    "interactions": 0.9,
    "measurements": 0.75,
    "bulk": 0.5,
}
"""Up to this share of all that is held, each class may add to it."""
CLIENT_SHARE: Final = 0.25
"""Of the room, for one client."""

OPEN_REQUESTS_MAX: Final[Mapping[TrafficClass, int]] = {
    "license": 2_000,
    "playback": 2_000,
    "account": 1_000,
    "interactions": 2_000,
    "measurements": 2_000,
    "stream": 5_000,
    "health": 200,
}


class Room:
    """Bytes that open requests hold together, by class and by client."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.held_bytes = 0
        self._class_bytes_max = {name: int(bytes_max * share) for name, share in SHARES.items()}
        self._client_bytes_max = int(bytes_max * CLIENT_SHARE)
        self._held_by: dict[str, int] = {}

    def has_room(self, urgency: Urgency, count: int) -> bool:
        """Whether a body of this class would find room, whoever sends it."""
        return self.held_bytes + count <= self._class_bytes_max[urgency]

    def take(self, client: str, urgency: Urgency, count: int) -> None:
        """Raises 503 where the class or the client would hold too much; nothing is taken then."""
        if not self.has_room(urgency, count):
            raise unavailable("not_stored", "overloaded", "too many bytes are in flight")
        held_bytes = self._held_by.get(client, 0) + count
        if held_bytes > self._client_bytes_max:
            raise unavailable("not_stored", "client-overloaded", "you have too much in flight")
        self._held_by[client] = held_bytes
        self.held_bytes += count

    def give_back(self, client: str, count: int) -> None:
        """What the client took and no longer holds."""
        if not count:
            return
        left = self._held_by[client] - count
        assert left >= 0, "more is given back than was taken"
        if left:
            self._held_by[client] = left
        else:
            del self._held_by[client]
        self.held_bytes -= count


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
