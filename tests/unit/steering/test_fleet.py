from __future__ import annotations

from agents.steering.demand import Watcher
from agents.steering.fleet import PLAN_MS, Fleet
from agents.steering.plan import allocate
from agents.steering.policy import Bucket
from schemas.steering import CdnSettings, SteeringDecision
from tests.builders import NOW_MS

NAMES = ("alpha", "beta")
SETTINGS = {
    "alpha": CdnSettings(cdn="alpha", capacity_mbps=1000, price_per_gb=0.02),
    "beta": CdnSettings(cdn="beta", capacity_mbps=1000, price_per_gb=0.01),
}
SEGMENT_MS = 4_000
KBPS = 4_000


def watch(
    fleet: Fleet, now_ms: int, cdn: str, *, sessions: int = 100, asn: int = 1, late: int = 0
) -> None:
    for n in range(sessions):
        watcher = Watcher(region="SE", asn=asn, cdn=cdn, seen_at_ms=now_ms)
        fleet.see(f"{asn}-{n}", watcher)
    seen = Bucket(
        from_ms=now_ms - now_ms % 1000,
        requests=sessions,
        late=late,
        player_bytes=sessions * KBPS * SEGMENT_MS // 8,
        player_media_ms=sessions * SEGMENT_MS,
    )
    fleet.take(("SE", asn), cdn, seen, now_ms)


def plan(fleet: Fleet, now_ms: int) -> dict[str, SteeringDecision]:
    problem = fleet.problem(now_ms)
    allocation = None if problem is None else allocate(problem)
    return {each.cohort: each for each in fleet.settle(problem, allocation, now_ms)}


def a_fleet() -> Fleet:
    fleet = Fleet(NAMES)
    fleet.set(SETTINGS)
    return fleet


def test_without_settings_there_is_no_plan() -> None:
    fleet = Fleet(NAMES)
    watch(fleet, NOW_MS, "alpha")
    assert plan(fleet, NOW_MS) == {}


def test_demand_is_what_sessions_play_not_how_fast_they_fetch() -> None:
    fleet = a_fleet()
    watch(fleet, NOW_MS, "alpha")
    watch(fleet, NOW_MS, "alpha")  # buffers fill: twice as much in the same time
    found = plan(fleet, NOW_MS)["SE/1"]
    assert found.demand_mbps == 400.0
    assert found.order == ("beta", "alpha")


def test_a_small_network_is_planned_with_its_regions_rest() -> None:
    fleet = a_fleet()
    watch(fleet, NOW_MS, "alpha")
    watch(fleet, NOW_MS, "alpha", sessions=3, asn=7)
    assert plan(fleet, NOW_MS).keys() == {"SE/1", "SE/0"}


def test_a_plan_is_published_on_change_alone_and_taken_back_with_the_settings() -> None:
    fleet = a_fleet()
    watch(fleet, NOW_MS, "beta")
    first = plan(fleet, NOW_MS)["SE/1"]
    watch(fleet, NOW_MS + PLAN_MS, "beta")
    assert plan(fleet, NOW_MS + PLAN_MS) == {}
    again = Fleet(NAMES, [first])
    watch(again, NOW_MS + PLAN_MS, "beta")
    taken_back = plan(again, NOW_MS + PLAN_MS)["SE/1"]
    assert (taken_back.shares, taken_back.version) == ({}, first.version + 1)


def test_a_cdn_that_fails_in_one_region_is_left_there() -> None:
    fleet = a_fleet()
    watch(fleet, NOW_MS, "beta")
    plan(fleet, NOW_MS)
    burst = Bucket(from_ms=NOW_MS + 1_000, requests=60, errors=60)
    assert fleet.take(("SE", 1), "beta", burst, NOW_MS + 1_000)
    found = plan(fleet, NOW_MS + 1_000)["SE/1"]
    assert found.shares == {"alpha": 1.0, "beta": 0.0}


def test_a_drained_cdn_is_left_at_once() -> None:
    fleet = a_fleet()
    watch(fleet, NOW_MS, "beta")
    plan(fleet, NOW_MS)
    drained = CdnSettings(cdn="beta", is_drained=True)
    fleet.set(SETTINGS | {"beta": drained})
    assert plan(fleet, NOW_MS + 1_000)["SE/1"].shares == {"alpha": 1.0, "beta": 0.0}


def test_a_cdn_that_is_slower_than_the_other_gets_less_whatever_is_set() -> None:
    fleet = a_fleet()
    watch(fleet, NOW_MS, "beta")
    found = plan(fleet, NOW_MS)
    for step in range(1, 4):
        watch(fleet, NOW_MS + step * PLAN_MS, "beta", late=60)
        found |= plan(fleet, NOW_MS + step * PLAN_MS)
    assert found["SE/1"].shares["alpha"] > 0.9


def test_a_cdn_that_returns_is_probed_by_few_first() -> None:
    fleet = a_fleet()
    watch(fleet, NOW_MS, "beta")
    plan(fleet, NOW_MS)
    fleet.down = frozenset({"beta"})
    assert plan(fleet, NOW_MS + 1_000)["SE/1"].shares["beta"] == 0.0
    fleet.down = frozenset()
    watch(fleet, NOW_MS + 2_000, "alpha")
    assert 0.0 < plan(fleet, NOW_MS + PLAN_MS)["SE/1"].shares["beta"] <= 0.02
