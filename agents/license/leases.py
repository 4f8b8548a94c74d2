"""Renews slots by leases; a slot that lapsed is asked for again: that is decided and recorded."""

from __future__ import annotations

from agents.license.knowledge import KnowledgeViews, follow
from agents.license.ledger import Ledger, Renewal
from agents.license.plans import LicensePolicy
from agents.license.registrar import Registrar
from agents.license.upkeep import resume
from agents.shell import ShellPorts, Work
from schemas.errors import InvalidMessageError
from schemas.sessions import Lease
from streams.records import Record
from streams.topics import SESSION_LEASES


class LeaseDesk:
    """Takes `session.leases.v1`: all of it into the ledger, its own partitions also to decide."""

    def __init__(
        self,
        ports: ShellPorts,
        ledger: Ledger,
        registrar: Registrar,
        policy: LicensePolicy,
        views: KnowledgeViews,
    ) -> None:
        self._clock = ports.clock
        self._ledger = ledger
        self._registrar = registrar
        self._policy = policy
        self._views = views
        self._is_restored = False
        self._view = follow(ports, SESSION_LEASES, self._note)

    async def start(self) -> None:
        """Read the leases that are there; sessions and accounts must be known already."""
        await self._view.start()
        self._is_restored = True
        self._ledger.settle(
            lambda account_id: self._policy.streams_max(self._views.account(account_id)),
            self._clock(),
        )

    async def stop(self) -> None:
        """Stop following."""
        await self._view.stop()

    def _note(self, record: Record[Lease | None]) -> None:
        """Every worker knows every slot, so that another can take over."""
        lease = record.value
        if lease is not None and lease.account_id == record.key:
            now_ms = self._clock() if self._is_restored else record.timestamp_ms
            self._ledger.renew(lease, now_ms)

    def handle(self, record: Record[Lease]) -> Work | None:
        """Renew the slot; one that lapsed has to be decided on."""
        if record.value.account_id != record.key:
            raise InvalidMessageError("key", "the lease is for another account than its key")
        if self._ledger.renew(record.value, self._clock()) is Renewal.LAPSED:
            return self._resume(record)
        return None

    async def _resume(self, record: Record[Lease]) -> None:
        lease = record.value
        await self._registrar.catch_up(lease.account_id)
        if self._ledger.renew(lease, self._clock()) is not Renewal.LAPSED:
            return  # an earlier lease has got the slot back in the meantime
        running = self._ledger.session(lease.account_id, lease.session_id)
        assert running is not None, "what lapsed is known"
        asking = self._registrar.asking(
            f"resume:{lease.session_id}:{lease.at_ms}",
            partition=record.partition,
            offset=record.offset,
        )
        account = self._views.account(lease.account_id)
        decision = resume(self._ledger, running, account, self._policy, asking)
        await self._registrar.record(decision)
