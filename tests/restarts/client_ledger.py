"""What the client knows of its events: which it sent, and what it was told of each."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.ids import uuid7
from streams.clock import system_clock


class Fact(NamedTuple):
    """An event as it must be in ClickHouse: its identity, and enough of it to know it by."""

    source: str
    sequence: int
    type: str
    playhead_ms: int


class ClientLedger:
    """The events of one player instance."""

    def __init__(self, session_id: str, source: str) -> None:
        self._session_id = session_id
        self._source = source
        self.sent: set[Fact] = set()
        self.acknowledged: set[Fact] = set()

    def new_event(self, type_: str, playhead_ms: int) -> tuple[Fact, dict[str, Any]]:
        """The next event in its two forms: to compare, and to post again and again as it is."""
        fact = Fact(self._source, len(self.sent) + 1, type_, playhead_ms)
        self.sent.add(fact)
        body = {
            "id": str(uuid7(system_clock(), secrets.token_bytes(10))),
            "type": type_,
            "session_id": self._session_id,
            "source": self._source,
            "sequence": fact.sequence,
            "at": datetime.now(UTC).isoformat(),
            "playhead_ms": playhead_ms,
        }
        if type_ == "interaction":
            body["name"] = "volume"
        if type_ == "bandwidth":
            body |= {"measured_throughput_kbps": 8000, "buffer_length_ms": 12_000}
        return fact, body

    def acknowledge(self, facts: list[Fact]) -> None:
        """The gateway has answered that these are durable."""
        self.acknowledged.update(facts)

    @property
    def unacknowledged(self) -> set[Fact]:
        """Sent, and their outcome not known to be stored."""
        return self.sent - self.acknowledged
