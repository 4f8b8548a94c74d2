"""Reads and writes decisions on record: chained, applied to the ledger, then told to others."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable

from agents.license.answers import controls_of, sessions_of
from agents.license.decisions import Asking
from agents.license.knowledge import follow
from agents.license.ledger import ANSWERS_KEPT_MS, Ledger, Running
from agents.shell import ShellPorts
from schemas.errors import RetryableError
from schemas.ids import uuid7
from schemas.licenses import LicenseDecision
from streams.chain import Chain, Standing
from streams.producer import partition_of
from streams.records import Record
from streams.topics import LICENSE_DECISIONS, SESSION_CONTROL, SESSIONS

log = logging.getLogger(__name__)
PRUNE_EVERY_RECORDS = 250_000


class OvertakenError(RetryableError):
    """Another worker wrote first: the decision is void, and the ledger here ahead of the log."""


class Registrar:
    """The one writer of `license.decisions.v1`, `sessions.v1` and `session.control.v1`."""

    def __init__(self, ports: ShellPorts, ledger: Ledger) -> None:
        self._publisher = ports.publisher
        self._clock = ports.clock
        self._ledger = ledger
        self._chain = Chain()
        # Mostly its own decisions come back; another's only count once an account moves here.
        self._view = follow(ports, LICENSE_DECISIONS, self.take, may_lag=True)
        self._echoes: set[str] = set()
        self._pending: dict[str, asyncio.Future[None]] = {}
        self._owned: frozenset[int] = frozenset()
        self._current: set[int] = set()
        """Owned partitions that were read to their end since, and written by nobody else."""
        self._others: dict[int, int] = {}
        """By partition the offset of the newest decision that another worker wrote."""
        self._read_count = 0

    async def start(self) -> None:
        """Fold all decisions that there are, and follow."""
        await self._view.start()

    async def stop(self) -> None:
        """Stop following."""
        await self._view.stop()

    @property
    def broken_count(self) -> int:
        """Decisions in the log that follow what was removed or changed."""
        return self._chain.broken_count

    def own(self, partitions: Iterable[int]) -> None:
        """This worker decides for these from now on; others may have written before."""
        self._owned = frozenset(partitions)
        self._current.clear()

    def owns(self, account_id: str) -> bool:
        """Whether this worker decides for the account."""
        return _partition(account_id) in self._owned

    async def catch_up(self, account_id: str) -> None:
        """Read to the end of the account's partition, where another may have written last.

        To be called before a decision is made, with nothing awaited in between.
        """
        partition = _partition(account_id)
        while partition not in self._current:
            end_offset = await self._view.reach_end(partition)
            self._chain.is_read_to(partition, end_offset)
            self._current.add(partition)

    def take(self, record: Record[LicenseDecision | None]) -> None:
        """A record of `license.decisions.v1`: at start, or of another worker."""
        decision = record.value
        if decision is None or decision.account_id != record.key:
            return
        if decision.decision_id in self._echoes:  # our own: applied before it was published
            self._echoes.discard(decision.decision_id)
            return
        self._current.discard(record.partition)
        self._others[record.partition] = record.offset
        standing = self._chain.follow(decision, record.partition, record.offset)
        if standing is not Standing.NEXT:
            place = f"partition {record.partition} offset {record.offset}"
            log.error("license decisions, %s: %s", place, _SAID[standing])
        if standing is Standing.VOID:
            return
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
        chain, ledger and log have one order. Raises OvertakenError, or another RetryableError: the
        ledger is then ahead of the log, and the process must halt.
        """
        partition = _partition(decision.account_id)
        linked, offset = self._chain.link(decision, partition)
        self._ledger.apply(linked)
        self._echoes.add(linked.decision_id)
        acknowledged = asyncio.get_running_loop().create_future()
        self._pending[linked.decision_id] = acknowledged
        try:
            receipt = await self._publisher.publish(LICENSE_DECISIONS, linked.account_id, linked)
            if receipt.offset != offset:
                await self._require_alone(partition, offset, receipt.offset)
            acknowledged.set_result(None)
        finally:
            del self._pending[linked.decision_id]
            if not acknowledged.done():
                acknowledged.cancel()
        await self.tell(linked)
        return linked

    async def end(
        self, running: Running, cause: str, decide: Callable[[Asking], LicenseDecision]
    ) -> None:
        """Record the end of a session that nobody asked to end, once; `cause` names the question.

        Raises as `record`.
        """
        session = running.session
        await self.catch_up(session.account_id)
        if not running.is_ended:  # else by the worker before this one, as was read just now
            await self.record(decide(self.asking(f"{cause}:{session.session_id}")))

    async def _require_alone(self, partition: int, expected: int, got: int) -> None:
        """What is no decision may stand before ours, written by whoever can write to Kafka."""
        await self._view.reach_end(partition)
        if got < expected or self._others.get(partition, -1) >= expected:
            raise OvertakenError(
                f"license decisions, partition {partition}: expected offset {expected}, got {got}:"
                " another worker has written there"
            )
        self._chain.is_read_to(partition, got + 1)

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


def _partition(account_id: str) -> int:
    return partition_of(account_id, LICENSE_DECISIONS.partitions)


_SAID = {
    Standing.VOID: "void, another worker was first",
    Standing.BROKEN: "the chain is broken, something before it was removed or changed",
}
