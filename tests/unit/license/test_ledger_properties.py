"""Any interleaving of requests, leases and time: slots keep their limit, and the log tells all."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.license.decisions import Deciding, decide
from agents.license.ledger import Ledger, Renewal
from agents.license.plans import POLICY, LicensePolicy
from agents.license.upkeep import lapse, resume
from schemas.licenses import LicenseDecision
from schemas.sessions import (
    Device,
    EndSession,
    ExtendSession,
    GetKeys,
    Lease,
    RemoveDevice,
    Session,
)
from tests.builders import NOW_MS
from tests.unit.license.facts import KEY_TIERS, an_account, an_open, asking, some_knowledge

LIMITS = {"basic": 1, "standard": 2, "premium": 4}
REQUESTS = ("open", "open", "open", "extend", "end", "keys", "remove")
TIMELY = (*REQUESTS, "lease", "read", "sweep")
LATE = ("open", "open", "lease", "lease", "read", "read", "restart", "keys")


HALF_MS = POLICY.lease_ms // 2
TAKEN_OVER = [("open", 0, 0, 0), ("lease", 0, 0, HALF_MS), ("open", 1, 0, HALF_MS)]
"""A lease in the log that nobody had read when its slot was given to another session."""


def stories(
    kinds: tuple[str, ...], *, sessions: int = 6
) -> st.SearchStrategy[list[tuple[str, int, int, int]]]:
    """Moves: what, which session, which device, how much time passes first."""
    move = st.tuples(
        st.sampled_from(kinds),
        st.integers(0, sessions - 1),
        st.sampled_from((0, 0, 0, 1, 2)),
        st.sampled_from((0, 1, POLICY.lease_ms // 2, POLICY.lease_ms)),
    )
    return st.lists(move, min_size=5, max_size=30)


@dataclass
class Live:
    """The agent's way with its ledger, without Kafka: decide, apply, keep the log."""

    plan: str
    now_ms: int = NOW_MS
    policy: LicensePolicy = POLICY
    ledger: Ledger = field(default_factory=lambda: Ledger(lease_ms=POLICY.lease_ms))
    decisions: list[LicenseDecision] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    read: int = 0
    """How many leases of the log the agent has read."""

    def record(self, decision: LicenseDecision) -> None:
        self.ledger.apply(decision)
        self.decisions.append(decision)

    def ask(self, request: Deciding) -> None:
        known = some_knowledge(an_account(self.plan))
        knowledge = dataclasses.replace(known, policy=self.policy)
        place = asking(len(self.decisions), now_ms=self.now_ms)
        self.record(decide(self.ledger, request, knowledge, place))

    def lease(self, session_id: str) -> None:
        """A gateway writes one; it is read later."""
        lease = Lease(account_id="account-1", session_id=session_id, at_ms=self.now_ms)
        self.leases.append(lease)

    def read_leases(self) -> None:
        for lease in self.leases[self.read :]:
            if self.ledger.renew(lease, self.now_ms) is Renewal.LAPSED:
                running = self.ledger.session("account-1", lease.session_id)
                assert running is not None
                account = an_account(self.plan)
                place = asking(len(self.decisions), now_ms=self.now_ms)
                self.record(resume(self.ledger, running, account, POLICY, place))
        self.read = len(self.leases)

    def restart(self, forgotten: int) -> None:
        """Rebuild from the log; the last few leases are delivered again."""
        self.ledger = rebuilt(self)
        self.read = max(0, self.read - forgotten)

    def sweep(self) -> None:
        for running in list(self.ledger.idle(self.now_ms, POLICY.idle_ms)):
            place = asking(len(self.decisions), now_ms=self.now_ms)
            self.record(lapse(running, POLICY, place))

    def move(self, kind: str, which: int, device: int, passes_ms: int) -> None:
        self.now_ms += passes_ms * 20 if kind == "sweep" else passes_ms
        session_id, account = f"session-{which}", "account-1"
        match kind:
            case "open":
                self.ask(an_open(which, device=Device(device_id=f"device-{device}")))
            case "extend":
                self.ask(ExtendSession(account_id=account, session_id=session_id))
            case "end":
                self.ask(EndSession(account_id=account, session_id=session_id))
            case "keys":
                asked = tuple(KEY_TIERS)[: device + 1]
                self.ask(GetKeys(account_id=account, session_id=session_id, key_ids=asked))
            case "remove":
                self.ask(RemoveDevice(account_id=account, device_id=f"device-{device}"))
            case "lease":
                self.lease(session_id)
            case "read":
                self.read_leases()
            case "restart":
                self.restart(device)
            case "sweep":
                self.sweep()


def sessions_of(ledger: Ledger) -> dict[str, tuple[Session, int]]:
    """Sessions and, of those that go on, their last traffic."""
    return {
        session_id: (running.session, 0 if running.is_ended else running.last_seen_at_ms)
        for session_id, running in ledger.household("account-1").sessions.items()
    }


def rebuilt(live: Live) -> Ledger:
    """As a restart does it: decisions first, then leases; each of them perhaps twice."""
    ledger = Ledger(lease_ms=POLICY.lease_ms)
    for decision in live.decisions:
        ledger.apply(decision)
        ledger.apply(decision)
    for lease in live.leases + live.leases:
        ledger.renew(lease, lease.at_ms)
    ledger.settle(lambda _: LIMITS[live.plan], live.now_ms)
    return ledger


@settings(max_examples=150)
@given(plan=st.sampled_from(("basic", "standard")), story=stories(LATE, sessions=3))
@example("basic", [*TAKEN_OVER, ("read", 0, 0, 0)])
@example("basic", [*TAKEN_OVER, ("restart", 0, 0, 0)])
def test_slots_never_exceed_the_limit_however_late_leases_are_read_and_whatever_restarts(
    plan: str, story: list[tuple[str, int, int, int]]
) -> None:
    live = Live(plan)
    for move in story:
        live.move(*move)
        assert len(live.ledger.slots("account-1", live.now_ms)) <= LIMITS[plan]


@settings(max_examples=150)
@given(plan=st.sampled_from(sorted(LIMITS)), story=stories(TIMELY))
def test_a_ledger_rebuilt_from_the_log_is_the_live_one(
    plan: str, story: list[tuple[str, int, int, int]]
) -> None:
    live = Live(plan)
    for move in story:
        live.move(*move)
        if move[0] == "lease":
            live.read_leases()
    again, first = rebuilt(live), live.ledger
    assert sessions_of(again) == sessions_of(first)
    assert again.household("account-1").devices == first.household("account-1").devices
    assert again.slots("account-1", live.now_ms) == first.slots("account-1", live.now_ms)


@settings(max_examples=100)
@given(plan=st.sampled_from(sorted(LIMITS)), story=stories(TIMELY))
def test_granted_keys_are_a_subset_of_the_asked_and_of_the_plans_tiers(
    plan: str, story: list[tuple[str, int, int, int]]
) -> None:
    live = Live(plan)
    for move in story:
        live.move(*move)
    for decision in live.decisions:
        assert set(decision.key_ids_granted) <= set(decision.key_ids_asked)
        for key_id in decision.key_ids_granted:
            content_id, tier = KEY_TIERS[key_id]
            assert content_id == decision.content_id
            assert tier in POLICY.plans[plan].tiers
        if decision.outcome == "denied":
            assert decision.key_ids_granted == ()


@settings(max_examples=100)
@given(
    plan=st.sampled_from(sorted(LIMITS)), story=stories(TIMELY), wait_ms=st.integers(0, 90_000_000)
)
def test_what_is_forgotten_never_held_a_slot(
    plan: str, story: list[tuple[str, int, int, int]], wait_ms: int
) -> None:
    live = Live(plan)
    for move in story:
        live.move(*move)
    now_ms = live.now_ms + wait_ms
    before = live.ledger.slots("account-1", now_ms)
    live.ledger.prune(now_ms)
    assert live.ledger.slots("account-1", now_ms) == before


@settings(max_examples=150)
@given(plan=st.sampled_from(("basic", "standard")), story=stories(LATE, sessions=4))
def test_slots_keep_their_limit_where_the_oldest_makes_room_and_the_log_tells_who_was_stopped(
    plan: str, story: list[tuple[str, int, int, int]]
) -> None:
    live = Live(plan, policy=replace(POLICY, concurrency="stop-oldest"))
    for move in story:
        live.move(*move)
        assert len(live.ledger.slots("account-1", live.now_ms)) <= LIMITS[plan]
    again = rebuilt(live)
    stopped = [each for d in live.decisions for each in d.stopped_session_ids]
    for session_id in stopped:
        for ledger in (live.ledger, again):
            running = ledger.session("account-1", session_id)
            assert running is not None
            assert running.is_ended
            assert running.session.ended_reason == "stopped-by-newer"
    opened = [d for d in live.decisions if d.action == "open"]
    assert not any(d.reason == "concurrent-streams" for d in opened)
