from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.steering.plan import (
    LOAD_HARD,
    MOVED_MAX,
    SHARE_EXPLORED,
    Allocation,
    CohortDemand,
    Edge,
    Problem,
    Shares,
    allocate,
)
from schemas.steering import CdnSettings


def a_cdn(
    name: str, capacity: float | None = None, *, price: float = 0.0, commit: float = 0.0
) -> CdnSettings:
    return CdnSettings(cdn=name, capacity_mbps=capacity, price_per_gb=price, commit_mbps=commit)


def a_cohort(mbps: float, *, region: str = "SE", asn: int = 1, sessions: int = 100) -> CohortDemand:
    return CohortDemand(
        cohort=f"{region}/{asn}", region=region, sessions=sessions, demand_mbps=mbps
    )


def a_problem(
    cdns: tuple[CdnSettings, ...],
    cohorts: tuple[CohortDemand, ...],
    *,
    shares: dict[str, Shares] | None = None,
    edges: dict[str, Edge] | None = None,
) -> Problem:
    """`edges` by CDN, the same in every region."""
    return Problem(
        cdns=cdns,
        cohorts=cohorts,
        edges={
            (each.region, cdn.cdn): (edges or {}).get(cdn.cdn, Edge())
            for each in cohorts
            for cdn in cdns
        },
        shares=shares or {},
    )


def planned(problem: Problem) -> Allocation:
    found = allocate(problem)
    assert found is not None
    return found


def test_the_cheaper_cdn_is_filled_first_and_never_over_its_capacity() -> None:
    cdns = (a_cdn("alpha", 1000, price=0.02), a_cdn("beta", 500, price=0.01))
    found = planned(a_problem(cdns, (a_cohort(800),)))
    assert found.shares["SE/1"]["beta"] == pytest.approx(LOAD_HARD * 500 / 800, abs=0.001)
    assert found.ceilings_kbps == {}


def test_what_is_committed_is_used_before_what_is_cheap() -> None:
    cdns = (a_cdn("alpha", price=0.01), a_cdn("beta", price=0.02, commit=300))
    found = planned(a_problem(cdns, (a_cohort(600),)))
    assert found.shares["SE/1"]["beta"] == pytest.approx(0.5, abs=0.001)


def test_a_cdn_that_is_down_gets_nothing_and_one_unused_is_explored() -> None:
    cdns = (a_cdn("alpha"), a_cdn("beta", price=0.01), a_cdn("gamma", price=0.02))
    found = planned(a_problem(cdns, (a_cohort(600),), edges={"alpha": Edge(share_max=0.0)}))
    assert found.shares["SE/1"]["alpha"] == 0.0
    assert found.shares["SE/1"]["gamma"] == pytest.approx(SHARE_EXPLORED)


def test_a_dead_cdn_is_left_at_once_but_a_cheaper_one_is_taken_slowly() -> None:
    cdns = (a_cdn("alpha", price=0.02), a_cdn("beta", price=0.01))
    last = {"SE/1": {"alpha": 1.0, "beta": 0.0}}
    slow = planned(a_problem(cdns, (a_cohort(600),), shares=last))
    assert slow.shares["SE/1"]["beta"] == pytest.approx(MOVED_MAX)
    fled = planned(
        a_problem(cdns, (a_cohort(600),), shares=last, edges={"alpha": Edge(share_max=0.0)})
    )
    assert fled.shares["SE/1"]["beta"] == 1.0


def test_nobody_moves_for_next_to_nothing() -> None:
    cdns = (a_cdn("alpha", price=0.01), a_cdn("beta", price=0.00999))
    last = {"SE/1": {"alpha": 0.7, "beta": 0.3}}
    found = planned(a_problem(cdns, (a_cohort(600),), shares=last))
    assert found.shares["SE/1"] == pytest.approx(last["SE/1"])


def test_a_bad_cdn_loses_its_viewers_to_a_dearer_one() -> None:
    cdns = (a_cdn("alpha", price=0.01), a_cdn("beta", price=0.02))
    found = planned(a_problem(cdns, (a_cohort(600),), edges={"alpha": Edge(bad_ratio=0.3)}))
    assert found.shares["SE/1"]["beta"] > 0.99


def test_in_need_everybody_gets_as_much_and_who_wants_less_gets_that() -> None:
    modest = a_cohort(100, asn=1, sessions=100)
    greedy = a_cohort(800, asn=2, sessions=100)
    found = planned(a_problem((a_cdn("alpha", 500),), (modest, greedy)))
    assert "SE/1" not in found.ceilings_kbps
    assert found.ceilings_kbps["SE/2"] == pytest.approx(LOAD_HARD * 5000 - 1000, rel=0.01)


def test_only_the_region_that_is_short_of_capacity_has_a_ceiling() -> None:
    cohorts = (a_cohort(400), a_cohort(400, region="NO"))
    problem = Problem(
        cdns=(a_cdn("alpha"),),
        cohorts=cohorts,
        edges={("SE", "alpha"): Edge(capacity_mbps=200), ("NO", "alpha"): Edge()},
        shares={},
    )
    assert planned(problem).ceilings_kbps.keys() == {"SE/1"}


capacities = st.one_of(st.none(), st.floats(0, 2000))
cohorts = st.lists(
    st.tuples(st.sampled_from(["SE", "NO"]), st.floats(0.001, 1000), st.integers(1, 500)),
    min_size=1,
    max_size=5,
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(capacities, st.floats(0, 1), st.floats(0, 500)), min_size=1, max_size=4),
    cohorts,
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_shares_sum_up_to_one_and_capacities_hold_under_the_ceilings(
    rooms: list[tuple[float | None, float, float]],
    wishes: list[tuple[str, float, int]],
    bounds: list[float],
) -> None:
    cdns = tuple(
        a_cdn(f"cdn{n}", capacity, price=price, commit=commit)
        for n, (capacity, price, commit) in enumerate(rooms)
    )
    demands = tuple(
        a_cohort(mbps, region=region, asn=n, sessions=sessions)
        for n, (region, mbps, sessions) in enumerate(wishes)
    )
    edges = {cdn.cdn: Edge(share_max=bounds[n]) for n, cdn in enumerate(cdns)}
    found = planned(a_problem(cdns, demands, edges=edges))
    for cdn in cdns:
        carried = 0.0
        for each in demands:
            shares = found.shares[each.cohort]
            assert sum(shares.values()) == pytest.approx(1.0)
            ceiling = found.ceilings_kbps.get(each.cohort)
            wanted = each.demand_mbps
            if ceiling is not None:
                wanted = min(wanted, ceiling * each.sessions / 1000)
            carried += shares[cdn.cdn] * wanted
        if cdn.capacity_mbps is not None and cdn.capacity_mbps > 300:
            assert carried <= cdn.capacity_mbps
