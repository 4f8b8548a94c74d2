"""Puts decisions on record: chained, applied to the ledger, acknowledged, then told to others."""

from __future__ import annotations

import asyncio
import logging
import secrets

from agents.license.answers import controls_of, sessions_of
from agents.license.chain import Chain
from agents.license.decisions import Asking
from agents.license.ledger import ANSWERS_KEPT_MS, Ledger
from schemas.ids import uuid7
from schemas.licenses import LicenseDecision
from streams.clock import Clock
from streams.producer import Publisher, partition_of
from streams.records import Record
from streams.topics import LICENSE_DECISIONS, SESSION_CONTROL, SESSIONS

log = logging.getLogger(__name__)
PRUNE_EVERY_RECORDS = 250_000


class Registrar:
    """The one writer of `license.decisions.v1`, `sessions.v1` and `session.control.v1`."""

    def __init__(self, publisher: Publisher, ledger: Ledger, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._ledger = ledger
        self._chain = Chain()
        self._echoes: set[str] = set()
        self._pending: dict[str, asyncio.Future[None]] = {}
        self._read_count = 0

    @property
    def broken_count(self) -> int:
        """Decisions in the log that do not follow the one before them."""
        return self._chain.broken_count

    def take(self, record: Record[LicenseDecision | None]) -> None:
        """A record of `license.decisions.v1`: at start, or of another worker."""
        decision = record.value
        if decision is None or decision.account_id != record.key:
            return
        if decision.decision_id in self._echoes:  # our own: applied before it was published
            self._echoes.discard(decision.decision_id)
            return
        if not self._chain.follow(decision, record.partition):
            log.error(
                "license decisions, partition %d offset %d: the chain is broken",
                record.partition,
                record.offset,
            )
        is_recent = self._clock() - decision.decided_at_ms < ANSWERS_KEPT_MS
        self._ledger.apply(decision, is_recent=is_recent)
        self._read_count += 1
        if self._read_count % PRUNE_EVERY_RECORDS == 0:
            self._ledger.prune(decision.decided_at_ms)

    def asking(self, request_id: str, *, partition: int = 0, offset: int = -1) -> Asking:
        """A question that is put now."""
        now_ms = self._clock()
        return Asking(
            now_ms=now_ms,
            decision_id=str(uuid7(now_ms, secrets.token_bytes(10))),
            request_id=request_id,
            partition=partition,
            offset=offset,
        )

    async def record(self, decision: LicenseDecision) -> LicenseDecision:
        """Apply the decision and publish it, then what follows from it; all acknowledged.

        Nothing is awaited between the decision and its place in the producer's queue, so that
        chain, ledger and log have one order. Raises RetryableError: the ledger is then ahead of
        the log, and the process must halt.
        """
        partition = partition_of(decision.account_id, LICENSE_DECISIONS.partitions)
        linked = self._chain.link(decision, partition)
        self._ledger.apply(linked)
        self._echoes.add(linked.decision_id)
        acknowledged = asyncio.get_running_loop().create_future()
        self._pending[linked.decision_id] = acknowledged
        try:
            await self._publisher.publish(LICENSE_DECISIONS, linked.account_id, linked)
            acknowledged.set_result(None)
        finally:
            del self._pending[linked.decision_id]
            if not acknowledged.done():
                acknowledged.cancel()
        await self.tell(linked)
        return linked

    async def tell(self, decision: LicenseDecision) -> None:
        """Publish the sessions that the decision changed, once it is acknowledged itself.

        Done again when a request is redelivered: whoever told it first may have been killed.
        """
        pending = self._pending.get(decision.decision_id)
        if pending is not None:
            await asyncio.shield(pending)
        sessions = sessions_of(decision, self._ledger.household(decision.account_id))
        controls = controls_of(sessions)
        await asyncio.gather(
            *(self._publisher.publish(SESSIONS, s.session_id, s) for s in sessions),
            *(self._publisher.publish(SESSION_CONTROL, c.session_id, c) for c in controls),
        )
