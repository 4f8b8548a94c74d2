"""Who decides on which CDN a viewer is: the product, and what it is measured against."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from agents.steering.demand import Watcher
from agents.steering.ordering import TICK_MS, Ordering
from agents.steering.outcomes import CdnOrigin
from agents.steering.plan import allocate
from agents.steering.policy import TTL_S, Bucket
from gateway.delivery.drawing import chance, decision_for
from infra.bench.steering.scenario import Scenario
from infra.bench.steering.viewers import Flags, Floats, Integers, Viewers
from schemas.steering import CdnSettings, SteeringDecision

EPOCH_MS: Final = 1_800_000_000_000
SEEN_EVERY: Final = 1
"""Reports of a viewer of which one says that it is still there."""


class Seen:
    """What viewers reported in a second, by viewer: fetches that ended, and how."""

    def __init__(self, cdn: Integers, failed: Flags, ended: Flags, late: Flags) -> None:
        self.cdn, self.failed, self.ended, self.late = cdn, failed, ended, late


class Policy(Protocol):
    """Says each viewer's order of CDNs."""

    fails_over: bool
    """Whether players know the other CDNs at all."""

    def orders(self, now_s: int) -> Integers:
        """Viewers × CDNs, best first, as each was told last."""

    def hear(self, seen: Seen, size_kbits: Floats, now_s: int) -> None:
        """Take the reports of a second."""


class Fixed:
    """An order for good: by weights drawn, or in turn."""

    def __init__(self, orders: Integers, *, fails_over: bool) -> None:
        self._orders = orders
        self.fails_over = fails_over

    def orders(self, now_s: int) -> Integers:
        """Always the same."""
        return self._orders

    def hear(self, seen: Seen, size_kbits: Floats, now_s: int) -> None:
        """Nothing is learned."""


def static_weights(scenario: Scenario, viewers: Viewers, *, fails_over: bool) -> Fixed:
    """The first CDN by weights; players that fail over know the others, by weights too."""
    return Fixed(
        _drawn(_chances(scenario, viewers), np.array([cdn.weight for cdn in scenario.cdns])),
        fails_over=fails_over,
    )


def round_robin(scenario: Scenario, viewers: Viewers) -> Fixed:
    """One after the other as they come."""
    count = len(scenario.cdns)
    place = np.argsort(np.argsort(viewers.join_s, kind="stable"), kind="stable")
    return Fixed((place[:, None] + np.arange(count)) % count, fails_over=False)


class Steered:
    """The steering agent's own functions, and the gateway's draw, at content steering's TTL."""

    fails_over = True

    def __init__(self, scenario: Scenario, viewers: Viewers) -> None:
        names = tuple(cdn.name for cdn in scenario.cdns)
        self._names, self._viewers, self._scenario = names, viewers, scenario
        self._ordering = Ordering(tuple(CdnOrigin(name=name, url="") for name in names), None)
        regional = {
            cdn.name: {r: cdn.region_capacity_mbps.get(r, 0.0) for r in viewers.regions}
            for cdn in scenario.cdns
        }
        self._ordering.set(
            {
                cdn.name: CdnSettings(
                    cdn=cdn.name,
                    region_capacity_mbps=regional[cdn.name],
                    commit_mbps=cdn.commit_mbps,
                    price_per_gb=cdn.price_per_gb,
                )
                for cdn in scenario.cdns
            }
        )
        self._chances = _chances(scenario, viewers)
        self._orders = np.tile(np.arange(len(names)), (len(viewers), 1))
        self._decisions: dict[str, SteeringDecision] = {}
        self._place = viewers.region * 128 + viewers.asn
        self._places = [divmod(int(place), 128) for place in np.unique(self._place)]
        self.plans = 0

    def orders(self, now_s: int) -> Integers:
        """Those whose TTL is over are told anew."""
        self._decide(now_s)
        asks = (self._viewers.phase + now_s) % TTL_S == 0
        asks |= self._viewers.join_s.astype(np.int64) == now_s
        for region, asn in self._places:
            self._tell(asks & (self._place == region * 128 + asn), region, asn)
        return self._orders

    def hear(self, seen: Seen, size_kbits: Floats, now_s: int) -> None:
        """As the agent takes them, counted together by network and CDN."""
        now_ms = EPOCH_MS + 1000 * now_s
        count = len(self._names)
        key = self._place * count + seen.cdn
        length = len(self._viewers.regions) * 128 * count
        failed, ended, late = (
            np.bincount(key[flags], minlength=length)
            for flags in (seen.failed, seen.ended, seen.late)
        )
        kbits = np.bincount(key[seen.ended], size_kbits[seen.ended], minlength=length)
        for each in np.nonzero(failed + ended)[0]:
            place, cdn = divmod(int(each), count)
            region, asn = divmod(place, 128)
            bucket = Bucket(
                from_ms=now_ms,
                requests=int(failed[each] + ended[each]),
                errors=int(failed[each]),
                late=int(late[each]),
                player_bytes=int(kbits[each] * 125),
                player_media_ms=int(ended[each]) * self._scenario.segment_s * 1000,
            )
            region_name = self._viewers.regions[region]
            decision = self._ordering.count((region_name, asn), self._names[cdn], bucket, now_ms)
            self._publish([decision] if decision is not None else [])
        self._see(seen, now_s, now_ms)

    def _see(self, seen: Seen, now_s: int, now_ms: int) -> None:
        segment_s = self._scenario.segment_s
        told = (self._viewers.phase + now_s) // segment_s % SEEN_EVERY == 0
        for viewer in np.nonzero(seen.ended & told)[0]:
            watcher = Watcher(
                region=self._viewers.regions[self._viewers.region[viewer]],
                asn=int(self._viewers.asn[viewer]),
                cdn=self._names[seen.cdn[viewer]],
                seen_at_ms=now_ms,
            )
            self._ordering.fleet.see(str(viewer), watcher)

    def _decide(self, now_s: int) -> None:
        now_ms = EPOCH_MS + TICK_MS * now_s
        decision = self._ordering.due(now_ms)
        self._publish([decision] if decision is not None else [])
        if not self._ordering.is_plan_due(now_ms):
            return
        problem = self._ordering.problem(now_ms)
        allocation = None if problem is None else allocate(problem)
        self._publish(self._ordering.fleet.settle(problem, allocation, now_ms))

    def _publish(self, decisions: list[SteeringDecision]) -> None:
        for each in decisions:
            self._decisions[each.cohort] = each
            self.plans += 1

    def _tell(self, asks: Flags, region: int, asn: int) -> None:
        name = self._viewers.regions[region]
        decided = decision_for(self._decisions.get, name, asn)
        if decided is None:
            return
        order = [self._names.index(each) for each in decided.order]
        self._orders[asks] = order
        if decided.shares:
            weights = np.array([decided.shares.get(each, 0.0) for each in self._names])
            self._orders[asks] = _drawn(self._chances[asks], weights, order)
        ceiling = np.inf if decided.ceiling_kbps is None else decided.ceiling_kbps
        self._viewers.ceiling_kbps[asks] = ceiling


def _chances(scenario: Scenario, viewers: Viewers) -> Floats:
    """Logarithms of the gateway's chances, viewers × CDNs."""
    names = [cdn.name for cdn in scenario.cdns]
    return np.log([[chance(str(viewer), name) for name in names] for viewer in range(len(viewers))])


def _drawn(chances: Floats, weights: Floats, order: list[int] | None = None) -> Integers:
    """`gateway.delivery.drawing.draw_order` for many at once; a test holds both together."""
    behind = np.arange(len(weights)) if order is None else np.argsort(order)
    with np.errstate(divide="ignore"):
        ranks = np.where(weights > 0, chances / weights, -1e300 - 1e298 * behind)
    return np.argsort(-ranks, axis=1, kind="stable")
