"""The order of CDNs over time: events in, decisions out, on whatever clock the caller has."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from agents.steering.outcomes import CdnOrigin, cdn_of, outcome_of
from agents.steering.policy import decide, initial_state, observe
from schemas.events import PlaybackEvent
from schemas.steering import SteeringDecision
from streams.records import Record

EVERYBODY: Final = "*"
TICK_MS: Final = 1_000
"""How often penalties that are over are looked for."""
SESSIONS_MAX: Final = 20_000
IDENTITIES_MAX: Final = 20_000
"""Errors remembered, so that one that is sent again counts once."""


class Ordering:
    """Of the configured CDNs, for everybody."""

    def __init__(self, cdns: tuple[CdnOrigin, ...], last: SteeringDecision | None) -> None:
        """`cdns` is in order of preference, names unique, at least one."""
        assert cdns, "steering needs a CDN"
        assert len({cdn.name for cdn in cdns}) == len(cdns), "names of CDNs are unique"
        self._cdns = cdns
        self._state = initial_state(tuple(cdn.name for cdn in cdns), last)
        self._last_cdns: OrderedDict[str, str] = OrderedDict()
        self._errors: OrderedDict[tuple[str, str, int], None] = OrderedDict()

    def take(self, record: Record[PlaybackEvent], now_ms: int) -> SteeringDecision | None:
        """The order that an event changed; None: it stays."""
        event = record.value
        last_cdn = self._last_cdns.get(event.session_id)
        outcome = outcome_of(event, self._cdns, record.timestamp_ms, last_cdn)
        self._remember_cdn(event)
        if outcome is None or (outcome.is_error and self._is_repeated(event)):
            return None
        self._state = observe(self._state, outcome)
        return self.due(now_ms) if outcome.is_error else None

    def due(self, now_ms: int) -> SteeringDecision | None:
        """The order that time changed: a penalty is over."""
        self._state, decision = decide(self._state, now_ms)
        return decision

    def _remember_cdn(self, event: PlaybackEvent) -> None:
        cdn = cdn_of(event, self._cdns)
        if cdn is None:
            return
        self._last_cdns[event.session_id] = cdn
        self._last_cdns.move_to_end(event.session_id)
        if len(self._last_cdns) > SESSIONS_MAX:
            self._last_cdns.popitem(last=False)

    def _is_repeated(self, event: PlaybackEvent) -> bool:
        identity = (event.session_id, event.source, event.sequence)
        if identity in self._errors:
            return True
        self._errors[identity] = None
        if len(self._errors) > IDENTITIES_MAX:
            self._errors.popitem(last=False)
        return False
