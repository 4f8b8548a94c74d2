"""What this process did with events, per minute and topic: the gateway's side of reconciliation."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Final, Literal

from gateway.ports import Publishing
from schemas.delivery import LedgerEntry
from schemas.errors import RetryableError
from streams.clock import Clock
from streams.topics import GATEWAY_LEDGER

MINUTE_MS: Final = 60_000
SETTLING_MS: Final = 15_000
"""A POST may be acknowledged this long after its minute: longer than the publisher waits."""
TICK_S: Final = 5.0
MINUTES_MAX: Final = 1_440

Outcome = Literal["accepted", "refused", "unavailable", "shed", "unauthenticated"]
log = logging.getLogger(__name__)


class Ledger:
    """Counts by the minute in which the gateway received the events (`stamp.received_at_ms`)."""

    def __init__(self, publisher: Publishing, *, gateway: str, clock: Clock) -> None:
        self._publisher = publisher
        self._gateway = gateway
        self._clock = clock
        self._minutes: dict[tuple[int, str], Counter[Outcome]] = {}

    def count(self, topic: str, outcome: Outcome, count: int, received_at_ms: int) -> None:
        """So many events of a topic met this outcome."""
        minute_ms = received_at_ms - received_at_ms % MINUTE_MS
        counts = self._minutes.get((minute_ms, topic))
        if counts is None:
            counts = self._minutes[(minute_ms, topic)] = Counter()
            while len(self._minutes) > MINUTES_MAX:
                forgotten = next(iter(self._minutes))
                log.error("the ledger of minute %d could not be told in a day", forgotten[0])
                del self._minutes[forgotten]
        counts[outcome] += count

    async def run(self) -> None:
        """Publishes each minute once it is over; runs until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            await self.publish_until(self._clock() - MINUTE_MS - SETTLING_MS)

    async def publish_until(self, minute_ms_max: int) -> None:
        """Publishes the minutes that began until then; what the log does not take is kept."""
        for key in [key for key in self._minutes if key[0] <= minute_ms_max]:
            minute_ms, topic = key
            counts = self._minutes.pop(key)
            entry = LedgerEntry(
                gateway=self._gateway,
                minute_ms=minute_ms,
                topic=topic,
                accepted=counts["accepted"],
                refused=counts["refused"],
                unavailable=counts["unavailable"],
                shed=counts["shed"],
                unauthenticated=counts["unauthenticated"],
            )
            try:
                await self._publisher.publish(GATEWAY_LEDGER, self._gateway, entry)
            except RetryableError as error:
                log.warning("the ledger waits for the broker: %s", error)
                self._minutes[key] = counts + self._minutes.pop(key, Counter())
                return

    async def stop(self) -> None:
        """Publishes the minutes that are not over, too."""
        await self.publish_until(self._clock())
