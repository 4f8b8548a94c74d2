"""How far one partition is read, and how far of that is done without a gap."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class InFlight(Protocol):
    """A message that was handed out; Faust sets `acked` once its work is done."""

    offset: int
    acked: bool


class Progress:
    """One partition since its position was last set; a new position begins a new one."""

    def __init__(self, next_offset: int | None = None) -> None:
        """`next_offset`: where reading begins; None: wherever the log does."""
        self.next_offset = next_offset
        self._in_flight: deque[InFlight] = deque()
        self._done: int | None = None
        self._committed = next_offset

    @property
    def in_flight_count(self) -> int:
        """Messages handed out whose work, or that of one before them, is not done."""
        return len(self._in_flight)

    def hand_out(self, message: InFlight) -> None:
        """Messages come in log order, a gap between them is one of the log's own."""
        assert self.next_offset is None or message.offset >= self.next_offset
        self._in_flight.append(message)
        self.next_offset = message.offset + 1

    def committable(self) -> int | None:
        """The offset after the longest done run at the head, where the log does not know it yet."""
        while self._in_flight and self._in_flight[0].acked:
            self._done = self._in_flight.popleft().offset + 1
        if self._done is None or (self._committed is not None and self._done <= self._committed):
            return None
        return self._done

    def confirm(self, committed: int) -> None:
        """The broker took this commit."""
        self._committed = committed

    def void(self) -> list[InFlight]:
        """Nothing of this is committed any more; returns what was handed out in vain."""
        in_flight = list(self._in_flight)
        self._in_flight.clear()
        self._done = None
        return in_flight
