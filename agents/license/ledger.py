"""The slot ledger: sessions, slots and devices of every account, folded from decisions and leases.

A slot is a lease: the session holds it while its last traffic is younger than `lease_ms`. What the
fold gives depends on the log alone; the live agent applies the very records that it publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import takewhile
from typing import Final

from msgspec.structs import replace

from agents.license.rentals import folded
from schemas.licenses import LicenseDecision, Rental
from schemas.sessions import Lease, RegisteredDevice, Session

ANSWERS_KEPT_MS = 60_000
"""How long a request is remembered: far longer than any deadline."""
TEMPORARY: Final = frozenset({"stale-account", "key-service"})
"""Denials that the same request may overcome when it is asked again."""


@dataclass(slots=True)
class Running:
    """A session as the ledger has it."""

    session: Session
    last_seen_at_ms: int
    decided_at_ms: int
    """When it was last granted anything."""

    @property
    def is_ended(self) -> bool:
        """Whether it was ended; an ended session is remembered until it would have expired."""
        return self.session.ended_at_ms is not None

    def holds_slot(self, now_ms: int, lease_ms: int) -> bool:
        """Whether it counts against the account's streams."""
        return (
            not self.is_ended
            and now_ms < self.session.expires_at_ms
            and now_ms - self.last_seen_at_ms < lease_ms
        )


@dataclass(slots=True)
class Household:
    """One account's devices, sessions, rentals and latest answers."""

    devices: dict[str, RegisteredDevice] = field(default_factory=dict)
    sessions: dict[str, Running] = field(default_factory=dict)
    rentals: dict[str, Rental] = field(default_factory=dict)
    """By content id; kept, so that what ran out does not begin again."""
    answered: dict[tuple[str, str], LicenseDecision] = field(default_factory=dict)
    """By action and request id."""


class Renewal(Enum):
    """What a lease did."""

    RENEWED = auto()
    LAPSED = auto()
    """The session goes on, but its slot had lapsed: it has to ask for it again."""
    IGNORED = auto()


class Ledger:
    """All accounts. `lease_ms` is the policy's."""

    def __init__(self, *, lease_ms: int) -> None:
        self._lease_ms = lease_ms
        self._households: dict[str, Household] = {}
        self._going: dict[str, Running] = {}
        """Sessions that nobody ended, by id."""
        self._owners: dict[str, str] = {}
        self._to_prune: list[str] = []

    def __len__(self) -> int:
        return len(self._households)

    # -- reading ------------------------------------------------------------------------------

    def household(self, account_id: str) -> Household:
        """The account's part; an empty one where nothing is known."""
        return self._households.get(account_id) or Household()

    def session(self, account_id: str, session_id: str) -> Running | None:
        """The account's session of this id; another account's is None."""
        return self.household(account_id).sessions.get(session_id)

    def is_taken(self, account_id: str, session_id: str) -> bool:
        """Whether the session id belongs to another account."""
        return self._owners.get(session_id, account_id) != account_id

    def answered(self, account_id: str, action: str, request_id: str) -> LicenseDecision | None:
        """What this request was answered before."""
        return self.household(account_id).answered.get((action, request_id))

    def public_key(self, account_id: str, device_id: str) -> str:
        """The key that the device registered; empty where it has none."""
        device = self.household(account_id).devices.get(device_id)
        return device.public_key if device is not None else ""

    def rental(self, account_id: str, content_id: str) -> Rental | None:
        """What the account has of a title that it may see for a time only."""
        return self.household(account_id).rentals.get(content_id)

    def slots(self, account_id: str, now_ms: int, *, without: str = "") -> tuple[str, ...]:
        """The sessions that hold a slot, oldest first."""
        held = [
            running.session
            for running in self.household(account_id).sessions.values()
            if running.holds_slot(now_ms, self._lease_ms) and running.session.session_id != without
        ]
        held.sort(key=lambda session: (session.opened_at_ms, session.session_id))
        return tuple(session.session_id for session in held)

    def going(self) -> Iterator[Running]:
        """Sessions that nobody ended."""
        return iter(self._going.values())

    def idle(self, now_ms: int, idle_ms: int) -> Iterator[Running]:
        """Sessions that are over without anybody having said so."""
        for running in self._going.values():
            is_over = now_ms >= running.session.expires_at_ms
            if is_over or now_ms - running.last_seen_at_ms >= idle_ms:
                yield running

    # -- folding ------------------------------------------------------------------------------

    def apply(self, decision: LicenseDecision, *, is_recent: bool = True) -> None:
        """Fold one decision; one that was folded before changes nothing.

        Only recent ones are remembered as answers: of older ones nobody asks again.
        """
        household = self._households.get(decision.account_id)
        if household is None:
            household = self._households[decision.account_id] = Household()
        if (decision.action, decision.request_id) in household.answered:
            return
        if is_recent:
            self._remember(household, decision)
        at_ms = decision.decided_at_ms
        running = household.sessions.get(decision.session_id)
        if decision.outcome == "denied":
            if decision.action == "resume" and running is not None:
                self._end(running, at_ms, decision.reason)
            return
        self._note_terms(household, decision)
        match decision.action:
            case "open" | "extend":
                self._opened(household, decision)
            case "license" | "resume":
                if running is not None:
                    running.last_seen_at_ms = max(running.last_seen_at_ms, at_ms)
                    running.decided_at_ms = at_ms
            case "end" | "lapse":
                if running is not None:
                    self._end(running, at_ms, decision.reason)
            case "remove_device":
                self._remove_device(household, decision.facts.device_id, at_ms)

    def renew(self, lease: Lease, now_ms: int) -> Renewal:
        """Fold one lease, read at `now_ms` (while restoring: appended then).

        Only a slot that is still held is renewed without asking: after it lapsed, another session
        may have been given it, however late the lease was read.
        """
        running = self.session(lease.account_id, lease.session_id)
        at_ms = min(lease.at_ms, now_ms)
        if running is None or running.is_ended or at_ms >= running.session.expires_at_ms:
            return Renewal.IGNORED
        if at_ms <= running.last_seen_at_ms:
            return Renewal.IGNORED
        if running.holds_slot(now_ms, self._lease_ms):
            running.last_seen_at_ms = at_ms
            return Renewal.RENEWED
        return Renewal.LAPSED if now_ms - at_ms < self._lease_ms else Renewal.IGNORED

    def settle(self, limit_of: Callable[[str], int], now_ms: int) -> None:
        """After restoring: let slots above the limit lapse, those first that were decided first.

        Between the decisions of the last process and its end there may be leases that it would
        not have taken; their sessions ask again with their next one.
        """
        for account_id, household in self._households.items():
            held = [
                running
                for running in household.sessions.values()
                if running.holds_slot(now_ms, self._lease_ms)
            ]
            excess = len(held) - limit_of(account_id) if len(held) > 1 else 0
            held.sort(key=lambda running: running.decided_at_ms)
            for running in held[: max(0, excess)]:
                running.last_seen_at_ms = now_ms - self._lease_ms

    def prune(self, now_ms: int, *, households_max: int | None = None) -> None:
        """Forget sessions past their expiry and answers past any deadline; devices stay.

        With `households_max` only so many are looked at, the next time the following ones: the
        loop that serves requests must not stand still for it.
        """
        if not self._to_prune:
            self._to_prune = list(self._households)
        first = 0 if households_max is None else max(0, len(self._to_prune) - households_max)
        due, self._to_prune = self._to_prune[first:], self._to_prune[:first]
        for account_id in due:
            household = self._households[account_id]
            for session_id, running in list(household.sessions.items()):
                if running.is_ended and now_ms >= running.session.expires_at_ms:
                    del household.sessions[session_id]
                    self._owners.pop(session_id, None)
            _prune_answers(household, now_ms)
            if not (
                household.devices or household.sessions or household.rentals or household.answered
            ):
                del self._households[account_id]

    def _remember(self, household: Household, decision: LicenseDecision) -> None:
        if decision.reason in TEMPORARY:
            return
        household.answered[decision.action, decision.request_id] = decision
        if len(household.answered) > 64:
            _prune_answers(household, decision.decided_at_ms)

    def _opened(self, household: Household, decision: LicenseDecision) -> None:
        session = decision.session
        assert session is not None, "a granted open carries its session"
        known = household.sessions.get(session.session_id)
        if known is not None and known.is_ended:
            return  # an old record that was copied into the log revives nothing
        at_ms = decision.decided_at_ms
        running = Running(
            session=session,
            last_seen_at_ms=max(at_ms, known.last_seen_at_ms if known else 0),
            decided_at_ms=at_ms,
        )
        household.sessions[session.session_id] = running
        self._going[session.session_id] = running
        self._owners[session.session_id] = decision.account_id
        device = household.devices.get(session.device.device_id)
        household.devices[session.device.device_id] = RegisteredDevice(
            device_id=session.device.device_id,
            model=session.device.model,
            os=session.device.os,
            first_seen_at_ms=device.first_seen_at_ms if device else at_ms,
            last_seen_at_ms=at_ms,
            public_key=session.device.public_key or (device.public_key if device else ""),
        )

    def _note_terms(self, household: Household, decision: LicenseDecision) -> None:
        """What was rented, and who had to make room."""
        if decision.rental is not None:
            known = household.rentals.get(decision.content_id)
            household.rentals[decision.content_id] = folded(known, decision.rental)
        for session_id in decision.stopped_session_ids:
            if (stopped := household.sessions.get(session_id)) is not None:
                self._end(stopped, decision.decided_at_ms, "stopped-by-newer")

    def _end(self, running: Running, at_ms: int, reason: str) -> None:
        if not running.is_ended:
            running.session = replace(running.session, ended_at_ms=at_ms, ended_reason=reason)
            self._going.pop(running.session.session_id, None)

    def _remove_device(self, household: Household, device_id: str, at_ms: int) -> None:
        household.devices.pop(device_id, None)
        for running in household.sessions.values():
            if running.session.device.device_id == device_id:
                self._end(running, at_ms, "device-removed")


def _prune_answers(household: Household, now_ms: int) -> None:
    """From the oldest on: what is done with each decision must not look at all that are kept."""

    def is_over(item: tuple[object, LicenseDecision]) -> bool:
        return now_ms - item[1].decided_at_ms >= ANSWERS_KEPT_MS

    for place, _ in list(takewhile(is_over, household.answered.items())):
        del household.answered[place]
