"""A license worker's sessions of one account, its registrar over a log in memory."""

from __future__ import annotations

from typing import Any

from agents.license.decisions import decide
from agents.license.endings import Endings
from agents.license.ledger import Ledger
from agents.license.plans import POLICY
from agents.license.registrar import Registrar
from agents.license.revocations import Revocations
from agents.shell import ShellPorts
from schemas.sessions import SessionControl
from streams.topics import LICENSE_DECISIONS, SESSION_CONTROL
from tests.builders import NOW_MS
from tests.gateway_fakes import MemoryClock, MemoryPublisher
from tests.unit.license.facts import an_open, asking, some_knowledge


class House:
    """Sessions of one account, and who ends them."""

    def __init__(self) -> None:
        self.clock = MemoryClock(NOW_MS)
        self.publisher = MemoryPublisher(self.clock)
        self.ledger = Ledger(lease_ms=POLICY.lease_ms)
        publisher: Any = self.publisher
        nobody: Any = None
        ports = ShellPorts(
            broker=nobody, publisher=publisher, clock=self.clock, metrics=nobody, halt=nobody
        )
        self.registrar = Registrar(ports, self.ledger)
        self.registrar._view = self  # type: ignore[assignment]
        self.registrar.own(range(LICENSE_DECISIONS.partitions))
        self.revocations = Revocations()
        self.endings = Endings(ports, self.ledger, self.registrar, POLICY, self.revocations)

    async def reach_end(self, _partition: int) -> int:
        """Nobody else writes here."""
        return len(self.publisher.rows[LICENSE_DECISIONS.name])

    def open(self, number: int, at_ms: int) -> None:
        question = an_open(number)
        decision = decide(self.ledger, question, some_knowledge(), asking(number, now_ms=at_ms))
        assert decision.outcome == "granted", decision.reason
        self.ledger.apply(decision)

    @property
    def refused(self) -> list[SessionControl]:
        return self.publisher.values(SESSION_CONTROL)
