"""All CDNs over time: what viewers report in, a plan's problem and its decisions out.

Any clock will do. Solving lies between `problem` and `settle` and takes nothing from here, so that
it may run in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from agents.steering.demand import (
    Watcher,
    Watchers,
    demand_of,
    fold_small,
    played_kbps,
    wanted_kbps,
)
from agents.steering.edges import EdgeMemory, Interval, bad_ratio_of, edge_of, judge
from agents.steering.plan import Allocation, Edge, Problem, Shares, order_of
from agents.steering.policy import (
    TTL_S,
    Bucket,
    SteeringState,
    add,
    decide,
    down_in,
    initial_state,
    merge,
)
from schemas.steering import CdnSettings, SteeringDecision, cohort_of

PLAN_VERSION: Final = "capacity-and-cost-1"
PLAN_MS: Final = 5_000
REGIONS_MAX: Final = 256
SHARE_CHANGE_MIN: Final = 0.01
CEILING_CHANGE_MIN: Final = 0.05
CEILING_GROWTH: Final = 1.1
"""A plan, at most."""

Place = tuple[str, int]
"""Region and network (ASN)."""


class Fleet:
    """The configured CDNs, and everybody who watches."""

    def __init__(self, names: tuple[str, ...], last: Iterable[SteeringDecision] = ()) -> None:
        """`names` in order of preference, unique; `last` is each cohort's last decision."""
        self._names = names
        self._settings: Mapping[str, CdnSettings] = {}
        self._watchers = Watchers()
        self._health: dict[str, SteeringState] = {}
        self._seen: dict[tuple[Place, str], Bucket] = {}
        self._edges: dict[tuple[str, str], EdgeMemory] = {}
        self._kbps: dict[str, float] = {}
        self._played_kbps: dict[str, float | None] = {}
        known = {each.cohort: each for each in last}
        self._last = {cohort: each for cohort, each in known.items() if each.shares}
        self._versions = {cohort: each.version for cohort, each in known.items()}
        self.down: frozenset[str] = frozenset()
        """Everywhere, whatever regions see."""
        self._planned_at_ms: int | None = None

    def set(self, settings: Mapping[str, CdnSettings]) -> None:
        """What operators say of CDNs, by name; without any there is no plan."""
        self._settings = settings

    def watcher(self, session_id: str) -> Watcher | None:
        """Where a session was seen last."""
        return self._watchers.get(session_id)

    def see(self, session_id: str, watcher: Watcher) -> None:
        """The session fetches there."""
        self._watchers.see(session_id, watcher)

    def take(self, place: Place, cdn: str, seen: Bucket, now_ms: int) -> bool:
        """Fetches of a network from a CDN; whether it is down in the region or up since then."""
        if cdn not in self._names:
            return False
        key, region = (place, cdn), place[0]
        known = self._seen.get(key)
        self._seen[key] = seen if known is None else add(known, seen)
        state = self._health.get(region)
        if state is None:
            if len(self._health) >= REGIONS_MAX:
                return False
            state = initial_state(self._names, None)
        merged = merge(state, cdn, seen)
        if not seen.errors:
            self._health[region] = merged
            return False
        decided, _ = decide(merged, now_ms)
        self._health[region] = decided
        return down_in(decided) != down_in(state)

    def is_plan_due(self, now_ms: int) -> bool:
        """Whether the last one is old enough."""
        return self._planned_at_ms is None or now_ms - self._planned_at_ms >= PLAN_MS

    def problem(self, now_ms: int) -> Problem | None:
        """What is to be planned now, from all that was seen since the last one.

        None where nothing is set of any CDN, or nobody watches.
        """
        counted = self._watchers.count(now_ms)
        seen, self._seen = self._seen, {}
        last_ms, self._planned_at_ms = self._planned_at_ms, now_ms
        if not counted or not self._settings:
            return None
        cohorts = fold_small(counted)
        for region in sorted({region for region, _ in counted}):
            self._judge(region, seen, now_ms, now_ms - (last_ms or now_ms - PLAN_MS))
        demands = []
        for cohort, region in _planned(cohorts).items():
            places = [place for place, name in cohorts.items() if name == cohort]
            self._learn_rate(cohort, _sum(seen, places, self._names))
            sessions = sum(counted[place] for place in places)
            rate_kbps = self._kbps.get(cohort, self._kbps.get(cohort_of(region, 0)))
            demands.append(demand_of(cohort, region, sessions, rate_kbps))
        return Problem(
            cdns=tuple(self._settings.get(n, CdnSettings(cdn=n)) for n in self._names),
            cohorts=tuple(demands),
            edges=self._open_edges({each.region for each in demands}),
            shares={
                each.cohort: dict(last.shares)
                for each in demands
                if (last := self._last_of(each.cohort, each.region)) is not None
            },
        )

    def settle(
        self, problem: Problem | None, allocation: Allocation | None, now_ms: int
    ) -> list[SteeringDecision]:
        """What changes for whom; a cohort that is planned no more follows its region's rest."""
        if problem is not None and allocation is None:
            return []
        planned = {each.cohort: each for each in problem.cohorts} if problem is not None else {}
        found = []
        for cohort in [name for name in self._last if name not in planned]:
            found.append(self._decision(cohort, {}, None, None, "not-planned", now_ms))
            del self._last[cohort]
            self._kbps.pop(cohort, None)
            self._played_kbps.pop(cohort, None)
        for cohort, demand in planned.items():
            assert allocation is not None
            shares, last = allocation.shares[cohort], self._last.get(cohort)
            ceiling_kbps = self._ceiling(cohort, allocation.ceilings_kbps.get(cohort))
            if last is not None and not _is_other(last, shares, ceiling_kbps):
                continue
            reason = "capacity" if ceiling_kbps is not None else "planned"
            decision = self._decision(
                cohort, shares, ceiling_kbps, demand.demand_mbps, reason, now_ms
            )
            self._last[cohort] = decision
            found.append(decision)
        return found

    def _judge(
        self, region: str, seen: Mapping[tuple[Place, str], Bucket], now_ms: int, duration_ms: int
    ) -> None:
        """What each CDN carries in a region, beside the others there."""
        state, _ = decide(self._health.get(region, initial_state(self._names, None)), now_ms)
        self._health[region] = state
        down = self.down | down_in(state)
        places = [place for place, _ in seen if place[0] == region]
        by_cdn = {name: _sum(seen, places, (name,)) for name in self._names}
        for name in self._names:
            memory = self._edges.get((region, name), EdgeMemory())
            others = [bad_ratio_of(by_cdn[each]) for each in self._names if each != name]
            interval = Interval(
                seen=by_cdn[name],
                best_ratio=min(others, default=1.0),
                duration_ms=duration_ms,
                now_ms=now_ms,
            )
            if name in down:
                memory = EdgeMemory(share_max=0.0)
            else:
                memory = judge(memory, interval, self._nominal_mbps(region, name))
            self._edges[region, name] = memory

    def _open_edges(self, regions: Iterable[str]) -> dict[tuple[str, str], Edge]:
        """Where all CDNs are down or drained, all are tried."""
        found = {}
        for region in regions:
            memories = {
                name: EdgeMemory(share_max=0.0)
                if (set_ := self._settings.get(name)) is not None and set_.is_drained
                else self._edges[region, name]
                for name in self._names
            }
            if not any(memory.share_max for memory in memories.values()):
                memories = {name: EdgeMemory() for name in self._names}
            if sum(memory.share_max for memory in memories.values()) < 1.0:
                memories = {
                    name: msgspec.structs.replace(memory, share_max=float(memory.share_max > 0))
                    for name, memory in memories.items()
                }
            for name, memory in memories.items():
                found[region, name] = edge_of(memory, self._nominal_mbps(region, name))
        return found

    def _nominal_mbps(self, region: str, name: str) -> float | None:
        settings = self._settings.get(name)
        return None if settings is None else settings.region_capacity_mbps.get(region)

    def _learn_rate(self, cohort: str, seen: Bucket) -> None:
        self._played_kbps[cohort] = played_kbps(seen)
        last = self._last.get(cohort)
        is_held = last is not None and last.ceiling_kbps is not None
        kbps = wanted_kbps(self._kbps.get(cohort), seen, is_held=is_held)
        if kbps is not None:
            self._kbps[cohort] = kbps

    def _ceiling(self, cohort: str, fair_kbps: int | None) -> int | None:
        """So high that sessions take their fair part on average: many want less than that."""
        last, played_kbps = self._last.get(cohort), self._played_kbps.get(cohort)
        if fair_kbps is None or last is None or not last.ceiling_kbps or not played_kbps:
            return fair_kbps
        raised_kbps = last.ceiling_kbps * min(CEILING_GROWTH, fair_kbps / played_kbps)
        return max(fair_kbps, int(raised_kbps))

    def _last_of(self, cohort: str, region: str) -> SteeringDecision | None:
        return self._last.get(cohort) or self._last.get(cohort_of(region, 0))

    def _decision(
        self,
        cohort: str,
        shares: Shares,
        ceiling_kbps: int | None,
        demand_mbps: float | None,
        reason: str,
        now_ms: int,
    ) -> SteeringDecision:
        self._versions[cohort] = self._versions.get(cohort, 0) + 1
        return SteeringDecision(
            cohort=cohort,
            version=self._versions[cohort],
            order=order_of(shares, self._names),
            ttl_s=TTL_S,
            reason=reason,
            facts=(),
            policy_version=PLAN_VERSION,
            decided_at_ms=now_ms,
            shares={name: round(share, 4) for name, share in shares.items()},
            ceiling_kbps=ceiling_kbps,
            demand_mbps=None if demand_mbps is None else round(demand_mbps, 3),
        )


def _planned(cohorts: Mapping[Place, str]) -> dict[str, str]:
    """Each cohort's region; every region has a rest, for those who come next."""
    found = {cohort: region for (region, _), cohort in cohorts.items()}
    return found | {cohort_of(region, 0): region for region, _ in cohorts}


def _sum(
    seen: Mapping[tuple[Place, str], Bucket], places: Iterable[Place], names: Iterable[str]
) -> Bucket:
    total = Bucket(from_ms=0)
    for place in dict.fromkeys(places):
        for name in names:
            bucket = seen.get((place, name))
            if bucket is not None:
                total = add(total, bucket)
    return total


def _is_other(last: SteeringDecision, shares: Shares, ceiling_kbps: int | None) -> bool:
    """Whether players would notice: the last plan stays for less."""
    if (last.ceiling_kbps is None) != (ceiling_kbps is None):
        return True
    was_kbps, is_now_kbps = last.ceiling_kbps or 0, ceiling_kbps or 0
    if abs(is_now_kbps - was_kbps) > CEILING_CHANGE_MIN * was_kbps:
        return True
    names = last.shares.keys() | shares.keys()
    pairs = [(last.shares.get(name, 0.0), shares.get(name, 0.0)) for name in names]
    return any(
        abs(was - is_now) > SHARE_CHANGE_MIN or (was > 0) != (is_now > 0) for was, is_now in pairs
    )
