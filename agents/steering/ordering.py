"""The order of CDNs over time: events in, decisions out, on whatever clock the caller has."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from agents.steering.demand import Watcher
from agents.steering.fleet import Fleet, Place
from agents.steering.outcomes import CdnOrigin, cdn_of, outcome_of
from agents.steering.plan import Problem
from agents.steering.policy import Bucket, bucket_of, decide, down_in, initial_state, merge
from schemas.events import PlaybackEvent
from schemas.steering import CdnSettings, SteeringDecision
from streams.records import Record

TICK_MS: Final = 1_000
"""How often penalties that are over are looked for."""
IDENTITIES_MAX: Final = 20_000
"""Errors remembered, so that one that is sent again counts once."""


class Ordering:
    """Of the configured CDNs: for everybody, and of what `fleet` plans for cohorts."""

    def __init__(
        self,
        cdns: tuple[CdnOrigin, ...],
        last: SteeringDecision | None,
        cohorts: Iterable[SteeringDecision] = (),
    ) -> None:
        """`cdns` is in order of preference, names unique, at least one.

        `last` is the last decision for everybody, `cohorts` are those of cohorts.
        """
        assert cdns, "steering needs a CDN"
        assert len({cdn.name for cdn in cdns}) == len(cdns), "names of CDNs are unique"
        names = tuple(cdn.name for cdn in cdns)
        self._cdns = cdns
        self._state = initial_state(names, last)
        self._errors: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self.fleet = Fleet(names, cohorts)
        self._is_plan_due = False
        """A CDN went down or came back somewhere."""

    def set(self, settings: Mapping[str, CdnSettings]) -> None:
        """What operators say of CDNs, by name."""
        drained = frozenset(name for name, each in settings.items() if each.is_drained)
        self._is_plan_due |= drained != self._state.drained
        self._state = msgspec.structs.replace(self._state, drained=drained)
        self.fleet.set(settings)

    def take(self, record: Record[PlaybackEvent], now_ms: int) -> SteeringDecision | None:
        """The order that an event changed; None: it stays."""
        event = record.value
        known = self.fleet.watcher(event.session_id)
        last_cdn = None if known is None else known.cdn
        outcome = outcome_of(event, self._cdns, record.timestamp_ms, last_cdn)
        place = self._see(event, known, record.timestamp_ms)
        if outcome is None or (outcome.is_error and self._is_repeated(event)):
            return None
        return self.count(place, outcome.cdn, bucket_of(outcome), now_ms)

    def count(self, place: Place, cdn: str, seen: Bucket, now_ms: int) -> SteeringDecision | None:
        """The order that fetches of one network from a CDN, within a second, changed."""
        self._state = merge(self._state, cdn, seen)
        self._is_plan_due |= self.fleet.take(place, cdn, seen, now_ms)
        return self.due(now_ms) if seen.errors else None

    def due(self, now_ms: int) -> SteeringDecision | None:
        """The order that time changed: a penalty is over."""
        self._state, decision = decide(self._state, now_ms)
        down = down_in(self._state)
        self._is_plan_due |= down != self.fleet.down
        self.fleet.down = down
        return decision

    def is_plan_due(self, now_ms: int) -> bool:
        """Whether it is time for the next plan, or something does not wait for it."""
        return self._is_plan_due or self.fleet.is_plan_due(now_ms)

    def problem(self, now_ms: int) -> Problem | None:
        """What is to be planned now; None: nothing."""
        self._is_plan_due = False
        return self.fleet.problem(now_ms)

    def _see(self, event: PlaybackEvent, known: Watcher | None, at_ms: int) -> Place:
        """Where the session is: edges know only its id, and what it told itself counts."""
        stamp = event.stamp
        region, asn = (stamp.region, stamp.asn) if stamp is not None else ("", 0)
        if not region and known is not None:
            region, asn = known.region, known.asn
        cdn = cdn_of(event, self._cdns)
        if cdn is not None:
            watcher = Watcher(region=region, asn=asn, cdn=cdn, seen_at_ms=at_ms)
            self.fleet.see(event.session_id, watcher)
        return region, asn

    def _is_repeated(self, event: PlaybackEvent) -> bool:
        identity = (event.session_id, event.source, event.sequence)
        if identity in self._errors:
            return True
        self._errors[identity] = None
        if len(self._errors) > IDENTITIES_MAX:
            self._errors.popitem(last=False)
        return False
