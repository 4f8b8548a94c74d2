"""Sends one viewer's events as an SDK does: numbered, kept until acknowledged, sent again alike."""

from __future__ import annotations

import secrets
from collections import deque
from datetime import UTC, datetime
from typing import Final

from infra.simulate.client import Answer, GatewayClient
from infra.simulate.playback import Fields
from schemas.ids import uuid7
from streams.clock import Clock

PENDING_MAX: Final = 500
"""What one POST may carry; older ones are given up first."""


class Reporter:
    """The events of one player instance."""

    def __init__(
        self, client: GatewayClient, session_id: str, events_url: str, *, clock: Clock
    ) -> None:
        self._client = client
        self._session_id = session_id
        self._url = events_url
        self._clock = clock
        self._source = f"simulated-{secrets.token_hex(6)}"
        self._sequence = 0
        self._pending: deque[Fields] = deque()

    def add(self, fields: Fields) -> None:
        """Number the event and keep it until it is acknowledged."""
        now_ms = self._clock()
        self._pending.append(
            {
                **fields,
                "id": str(uuid7(now_ms, secrets.token_bytes(10))),
                "session_id": self._session_id,
                "source": self._source,
                "sequence": self._sequence,
                "at": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(),
            }
        )
        self._sequence += 1
        self._client.tally.sent += 1
        if len(self._pending) > PENDING_MAX:
            self._pending.popleft()
            self._client.tally.lost += 1

    async def flush(self) -> bool:
        """Send what is pending; True where nothing is left."""
        if not self._pending:
            return True
        batch = list(self._pending)
        answer = await self._client.call("events", "POST", self._url, json=batch)
        if not _is_final(answer):
            return False
        for _ in batch:
            self._pending.popleft()
        self._count(answer, len(batch))
        return True

    def give_up(self) -> None:
        """The viewer is gone; what is pending is lost."""
        self._client.tally.lost += len(self._pending)
        self._pending.clear()

    def _count(self, answer: Answer, sent: int) -> None:
        accepted = int(answer.json().get("accepted", 0)) if answer.is_ok else 0
        self._client.tally.accepted += accepted
        self._client.tally.refused += sent - accepted


def _is_final(answer: Answer) -> bool:
    """2xx and 4xx are the last word; 429, 503 and no answer ask for the same events again."""
    return answer.is_ok or (400 <= answer.status < 500 and answer.status not in {408, 429})
