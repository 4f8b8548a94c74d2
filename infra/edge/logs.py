"""What the edge served, waiting for the gateway: bounded, oldest dropped first."""

from __future__ import annotations

from collections import deque

from schemas.codec import encode
from schemas.delivery import EdgeLog

BATCH_LINES_MAX = 500
BATCH_BYTES_MAX = 512 << 10


class LogQueue:
    """Encoded lines by their sequence. A batch stays queued until it is settled."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._lines: deque[tuple[int, bytes]] = deque()
        self.queued_bytes = 0
        self.dropped_count = 0

    def add(self, log: EdgeLog) -> int:
        """Sequences must rise. Gives how many older lines had to go."""
        assert not self._lines or self._lines[-1][0] < log.sequence
        line = encode(log) + b"\n"
        self._lines.append((log.sequence, line))
        self.queued_bytes += len(line)
        dropped_count = 0
        while self.queued_bytes > self._bytes_max:
            self.queued_bytes -= len(self._lines.popleft()[1])
            dropped_count += 1
        self.dropped_count += dropped_count
        return dropped_count

    def next_batch(self) -> tuple[int, int, bytes] | None:
        """The last sequence, the count and the NDJSON of the oldest lines; None when empty."""
        taken: list[bytes] = []
        size_bytes = last = 0
        for sequence, line in self._lines:
            if taken and (
                len(taken) == BATCH_LINES_MAX or size_bytes + len(line) > BATCH_BYTES_MAX
            ):
                break
            taken.append(line)
            size_bytes += len(line)
            last = sequence
        return (last, len(taken), b"".join(taken)) if taken else None

    def settle(self, last_sequence: int) -> None:
        """Forgets the lines up to this one, stored or refused for good."""
        while self._lines and self._lines[0][0] <= last_sequence:
            self.queued_bytes -= len(self._lines.popleft()[1])

    def __len__(self) -> int:
        return len(self._lines)
