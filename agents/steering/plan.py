"""Shares of each cohort's sessions by CDN: the cheapest that carry what viewers want, and well.

A small linear program: price above the commit, a price on bad delivery, on nearly full CDNs and on
every move. Costs are in units of the highest price, so that any currency does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from agents.steering.linear import LinearProgram
from schemas.steering import CdnSettings

LOAD_SOFT: Final = 0.92
LOAD_HARD: Final = 0.97
"""Of a capacity. Draws of sessions miss their shares by a few percent, and demand grows while the
next plan is made."""
COST_FULL: Final = 0.2
"""Between the two."""
COST_MOVE: Final = 0.02
"""A move must save more than this: equal CDNs keep their viewers."""
COST_RANK: Final = 0.001
"""Of each place further back: where nothing else speaks, the configured order does."""
COST_BAD: Final = 10.0
"""Of fetches that fail or come too late."""
COST_UNSERVED: Final = 1_000.0
SHARE_EXPLORED: Final = 0.005
"""Every CDN that is up keeps so many of each cohort, or nobody would know how it does."""
MOVED_MAX: Final = 0.1
"""Of a cohort's sessions in one plan, where nothing forces more."""
CEILING_KBPS_MIN: Final = 100
CEILING_STEP: Final = 1.1
SHARE_MIN: Final = 1e-4
"""Less is nothing."""

Shares = dict[str, float]


class CohortDemand(msgspec.Struct, frozen=True, kw_only=True):
    """What a cohort would take without any ceiling."""

    cohort: str
    region: str
    sessions: int
    """At least one."""
    demand_mbps: float


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """A CDN in a region, as it is now."""

    capacity_mbps: float | None = None
    """What is known or was found; None: no limit."""
    share_max: float = 1.0
    """Of each cohort's sessions; 0: down or drained."""
    bad_ratio: float = 0.0
    """Fetches that fail or come too late, more than at the region's best CDN."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """All that a plan depends on. `cdns` in configured order; `edges` of every region and CDN."""

    cdns: tuple[CdnSettings, ...]
    cohorts: tuple[CohortDemand, ...]
    edges: Mapping[tuple[str, str], Edge]
    shares: Mapping[str, Shares]
    """Of the last plan, by cohort."""


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """By cohort: shares, that sum up to 1, and a ceiling where not all that is wanted fits."""

    shares: dict[str, Shares]
    ceilings_kbps: dict[str, int]


def allocate(problem: Problem) -> Allocation | None:
    """The next shares; None where the solver found none in time: the last ones stay.

    Viewers are moved at once where a CDN must not keep them, else by MOVED_MAX a plan.
    """
    loads = _solve(problem, is_scarce=False)
    if loads is not None and _missing_mbps(problem, loads) > 1e-3 * _total_mbps(problem):
        loads = _solve(problem, is_scarce=True)
    if loads is None:
        return None
    is_kept = is_bearable(problem, problem.shares)
    shares = {}
    for each in problem.cohorts:
        target = _normalized(loads[each.cohort])
        last = problem.shares.get(each.cohort)
        if target is None:  # nothing is up in its region: as before, else as configured
            target = last or {cdn.cdn: float(not rank) for rank, cdn in enumerate(problem.cdns)}
        shares[each.cohort] = _stepped(last, target) if is_kept and last else target
    return Allocation(shares=shares, ceilings_kbps=dict(_ceilings(problem, loads)))


def is_bearable(problem: Problem, shares: Mapping[str, Shares]) -> bool:
    """Whether these shares keep every CDN within its capacity, and nobody where nobody may be."""
    loads = {
        each.cohort: {
            name: share * each.demand_mbps for name, share in shares.get(each.cohort, {}).items()
        }
        for each in problem.cohorts
    }
    for each in problem.cohorts:
        for name, share in shares.get(each.cohort, {}).items():
            edge = problem.edges.get((each.region, name))
            if edge is None or share > edge.share_max + SHARE_MIN:
                return False
    return all(
        sum(loads[cohort].get(name, 0.0) for cohort in cohorts) <= LOAD_HARD * capacity_mbps
        for name, cohorts, capacity_mbps in _capacities(problem)
    )


def _solve(problem: Problem, *, is_scarce: bool) -> dict[str, dict[str, float]] | None:
    """Mbit/s by cohort and CDN."""
    program = LinearProgram()
    highest = max((cdn.price_per_gb for cdn in problem.cdns), default=0.0) or 1.0
    columns = {
        (each.cohort, cdn.cdn): _add_load(program, problem, each, cdn, rank)
        for each in problem.cohorts
        for rank, cdn in enumerate(problem.cdns)
    }
    for each in problem.cohorts:
        served = {columns[each.cohort, cdn.cdn]: 1.0 for cdn in problem.cdns}
        _add_wish(program, each, served, is_scarce=is_scarce)
    for name, cohorts, capacity_mbps in _capacities(problem):
        carried = {columns[cohort, name]: 1.0 for cohort in cohorts}
        above = program.add_column(COST_FULL)
        program.add_row(carried, upper=LOAD_HARD * capacity_mbps)
        program.add_row(carried | {above: -1.0}, upper=LOAD_SOFT * capacity_mbps)
    for cdn in problem.cdns:
        carried = {columns[each.cohort, cdn.cdn]: 1.0 for each in problem.cohorts}
        paid = program.add_column(cdn.price_per_gb / highest)
        program.add_row(carried | {paid: -1.0}, upper=cdn.commit_mbps)
    values = program.solve()
    if values is None:
        return None
    return {
        each.cohort: {
            cdn.cdn: max(0.0, float(values[columns[each.cohort, cdn.cdn]])) for cdn in problem.cdns
        }
        for each in problem.cohorts
    }


def _add_load(
    program: LinearProgram, problem: Problem, each: CohortDemand, cdn: CdnSettings, rank: int
) -> int:
    edge = problem.edges[each.region, cdn.cdn]
    explored = min(SHARE_EXPLORED, edge.share_max) if _has_room(problem, each, cdn) else 0.0
    load = program.add_column(
        COST_BAD * edge.bad_ratio + COST_RANK * rank,
        lower=explored * each.demand_mbps,
        upper=edge.share_max * each.demand_mbps,
    )
    last = problem.shares.get(each.cohort)
    if last is not None:
        moved = program.add_column(COST_MOVE)
        program.add_row({load: 1.0, moved: -1.0}, upper=last.get(cdn.cdn, 0.0) * each.demand_mbps)
    return load


def _has_room(problem: Problem, each: CohortDemand, cdn: CdnSettings) -> bool:
    """Whether exploring fits easily: it must never be what is in the way."""
    needed_mbps = 2 * SHARE_EXPLORED * _total_mbps(problem)
    limits = (cdn.capacity_mbps, problem.edges[each.region, cdn.cdn].capacity_mbps)
    return all(limit is None or limit >= needed_mbps for limit in limits)


def _add_wish(
    program: LinearProgram, each: CohortDemand, served: dict[int, float], *, is_scarce: bool
) -> None:
    """What is left out costs; in need, each session's first kilobits are worth the most.

    The sum of the logarithms of what sessions get is greatest where it is fair (Kelly, Maulloo and
    Tan 1998, proportional fairness); here by steps of 10 %.
    """
    wanted_mbps = each.demand_mbps
    if not is_scarce:
        program.add_row(
            served | {program.add_column(COST_UNSERVED, upper=wanted_mbps): 1.0},
            lower=wanted_mbps,
            upper=wanted_mbps,
        )
        return
    steps = dict(served)
    for lower_kbps, upper_kbps in pairwise(_levels_kbps(1000 * wanted_mbps / each.sessions)):
        worth = COST_UNSERVED * CEILING_KBPS_MIN / max(upper_kbps, CEILING_KBPS_MIN)
        width_mbps = (upper_kbps - lower_kbps) * each.sessions / 1000
        steps[program.add_column(-worth * 10, upper=width_mbps)] = -1.0
    program.add_row(steps, lower=0.0, upper=0.0)


def _levels_kbps(wanted_kbps: float) -> list[float]:
    levels, level = [0.0], float(CEILING_KBPS_MIN)
    while level < wanted_kbps:
        levels.append(level)
        level *= CEILING_STEP
    return [*levels, wanted_kbps]


def _capacities(problem: Problem) -> Iterator[tuple[str, list[str], float]]:
    """Every limit: the CDN, the cohorts that share it, and how much it is."""
    for cdn in problem.cdns:
        if cdn.capacity_mbps is not None:
            yield cdn.cdn, [each.cohort for each in problem.cohorts], cdn.capacity_mbps
    regions = dict.fromkeys(each.region for each in problem.cohorts)
    for region in regions:
        cohorts = [each.cohort for each in problem.cohorts if each.region == region]
        for cdn in problem.cdns:
            limit = problem.edges[region, cdn.cdn].capacity_mbps
            if limit is not None:
                yield cdn.cdn, cohorts, limit


def _ceilings(
    problem: Problem, loads: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[str, int]]:
    for each in problem.cohorts:
        carried_mbps = sum(loads[each.cohort].values())
        if each.demand_mbps - carried_mbps > 1e-3 * each.demand_mbps:
            kbps = int(1000 * carried_mbps / each.sessions)
            yield each.cohort, max(kbps, CEILING_KBPS_MIN)


def _stepped(last: Shares, target: Shares) -> Shares:
    """From the last shares towards the target, by MOVED_MAX at most."""
    names = target.keys() | last.keys()
    moved = sum(abs(target.get(name, 0.0) - last.get(name, 0.0)) for name in names) / 2
    step = min(1.0, MOVED_MAX / moved) if moved else 1.0
    return {
        name: last.get(name, 0.0) + step * (target.get(name, 0.0) - last.get(name, 0.0))
        for name in sorted(names)
    }


def _normalized(loads: Mapping[str, float]) -> Shares | None:
    total = sum(loads.values())
    if total <= 0.0:
        return None
    kept = {name: load / total for name, load in loads.items() if load / total >= SHARE_MIN}
    return {name: kept.get(name, 0.0) / sum(kept.values()) for name in loads}


def _missing_mbps(problem: Problem, loads: Mapping[str, Mapping[str, float]]) -> float:
    return _total_mbps(problem) - sum(sum(each.values()) for each in loads.values())


def _total_mbps(problem: Problem) -> float:
    return sum(each.demand_mbps for each in problem.cohorts)


def order_of(shares: Mapping[str, float], configured: Sequence[str]) -> tuple[str, ...]:
    """Every configured CDN, the greatest share first; a tie is in configured order."""
    return tuple(sorted(configured, key=lambda name: -shares.get(name, 0.0)))
