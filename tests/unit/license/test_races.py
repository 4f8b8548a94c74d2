"""Workers that all think an account is theirs: two, three, one that slept, in any interleaving."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from agents.license.decisions import decide
from agents.license.ledger import Ledger
from agents.license.plans import POLICY
from schemas.licenses import LicenseDecision
from schemas.sessions import EndSession
from streams.chain import Chain, Standing
from tests.builders import NOW_MS
from tests.unit.license.facts import an_account, an_open, asking, some_knowledge

LIMITS: dict[str, int] = {"basic": 1, "standard": 2}
Move = tuple[Literal["open", "end", "read", "send", "late", "copy", "restart"], int, int]
MOVES: tuple[Any, ...] = (
    "open",
    "open",
    "open",
    "end",
    "read",
    "send",
    "send",
    "late",
    "copy",
    "restart",
)
BOTH_FOR_THE_LAST: list[Move] = [("open", 0, 0), ("open", 1, 1), ("send", 0, 1), ("send", 1, 1)]
SLEPT: list[Move] = [
    ("open", 0, 0),
    *(("open", 1, n) for n in range(1, 3)),
    ("send", 1, 2),
    ("send", 0, 1),
]
COPIED: list[Move] = [
    ("open", 0, 0),
    ("send", 0, 1),
    ("copy", 0, 0),
    ("restart", 0, 0),
    ("open", 0, 0),
    ("send", 0, 1),
]
"""By whoever can write to Kafka, with its MAC."""


@dataclass
class Log:
    """One partition of `license.decisions.v1`."""

    records: list[LicenseDecision] = field(default_factory=list)
    late: list[list[LicenseDecision]] = field(default_factory=list)
    """Of each worker that has ended, in order: on their way still."""
    granted: list[LicenseDecision] = field(default_factory=list)
    """What somebody was told."""


@dataclass
class Worker:
    """The license agent's way with chain and ledger, without Kafka."""

    log: Log
    plan: str
    chain: Chain = field(default_factory=Chain)
    ledger: Ledger = field(default_factory=lambda: Ledger(lease_ms=POLICY.lease_ms))
    own: set[str] = field(default_factory=set)
    sending: list[tuple[LicenseDecision, int]] = field(default_factory=list)
    position: int = 0

    def read(self, records: int) -> None:
        for decision in self.log.records[self.position : self.position + records]:
            if decision.decision_id in self.own:
                self.own.discard(decision.decision_id)
            else:
                standing = self.chain.follow(decision, 0, self.position)
                if standing is not Standing.VOID:
                    self.ledger.apply(decision)
            self.position += 1

    def decide(self, request: Any, number: int) -> None:
        knowledge = some_knowledge(an_account(self.plan))
        linked, offset = self.chain.link(decide(self.ledger, request, knowledge, asking(number)), 0)
        self.ledger.apply(linked)
        self.own.add(linked.decision_id)
        self.sending.append((linked, offset))

    def send(self, records: int) -> bool:
        """Append the oldest ones; whether each got the offset where it counts."""
        for _ in range(min(records, len(self.sending))):
            decision, offset = self.sending.pop(0)
            self.log.records.append(decision)
            if len(self.log.records) - 1 != offset:
                return False
            if decision.outcome == "granted" and decision.action == "open":
                self.log.granted.append(decision)
        return True

    def ended(self) -> Worker:
        """It halts, or is killed; the next one reads the log before it decides."""
        if self.sending:
            self.log.late.append([decision for decision, _ in self.sending])
        after = Worker(self.log, self.plan)
        after.read(len(self.log.records))
        after.chain.is_read_to(0, len(self.log.records))
        return after


def play(log: Log, plan: str, moves: list[Move], *, workers: int = 3) -> None:
    everybody = [Worker(log, plan).ended() for _ in range(workers)]
    numbers: Iterator[int] = count()
    for what, who, many in moves:
        worker = everybody[who % workers]
        match what:
            case "open":
                number = next(numbers)
                worker.decide(an_open(number), number)
            case "end":
                session_id = f"session-{many}"
                worker.decide(
                    EndSession(account_id="account-1", session_id=session_id), next(numbers)
                )
            case "read":
                worker.read(many)
            case "send" if not worker.send(many):
                event("overtaken")
                everybody[who % workers] = worker.ended()
            case "late" if log.late:
                decisions = log.late[many % len(log.late)]
                log.records.append(decisions.pop(0))
                log.late = [left for left in log.late if left]
            case "copy" if log.records:
                log.records.append(log.records[-1 - many % len(log.records)])
            case "restart":
                everybody[who % workers] = worker.ended()


def counted(log: Log, start: int = 0) -> list[LicenseDecision]:
    chain = Chain()
    return [
        decision
        for offset, decision in enumerate(log.records[start:], start)
        if chain.follow(decision, 0, offset) is not Standing.VOID
    ]


stories = st.lists(
    st.tuples(st.sampled_from(MOVES), st.integers(0, 2), st.integers(0, 4)), max_size=40
)


@settings(max_examples=400)
@given(stories, st.sampled_from(sorted(LIMITS)))
@example(BOTH_FOR_THE_LAST, "basic")
@example(SLEPT, "basic")
def test_the_last_slot_is_given_once_whoever_thinks_that_it_is_his(
    moves: list[Move], plan: str
) -> None:
    log = Log()
    play(log, plan, moves)
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    for decision in counted(log):
        ledger.apply(decision)
        assert len(ledger.slots("account-1", NOW_MS)) <= LIMITS[plan]


@settings(max_examples=400)
@given(stories)
@example(COPIED)
def test_what_somebody_was_told_counts_for_every_reader(moves: list[Move]) -> None:
    log = Log()
    play(log, "standard", moves)
    ids = {decision.decision_id for decision in counted(log)}
    assert {decision.decision_id for decision in log.granted} <= ids


@settings(max_examples=200)
@given(stories)
def test_no_race_looks_like_a_broken_chain(moves: list[Move]) -> None:
    log, chain = Log(), Chain()
    play(log, "standard", moves)
    for offset, decision in enumerate(log.records):
        chain.follow(decision, 0, offset)
    assert chain.broken_count == 0
