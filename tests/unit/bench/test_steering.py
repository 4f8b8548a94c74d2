from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

import infra.bench.steering
from gateway.delivery.drawing import chance, draw_order
from infra.bench.steering.optimum import GB_PER_MBPS_MINUTE, cost_of, least_cost
from infra.bench.steering.policies import _drawn
from infra.bench.steering.scenario import Crowd, Fault, Scenario, SimulatedCdn, read_scenario
from infra.bench.steering.world import run

SCENARIOS = sorted((Path(infra.bench.steering.__file__).parent / "scenarios").glob("*.json"))
CDNS = (
    SimulatedCdn(name="alpha", region_capacity_mbps={"SE": 1000.0}, price_per_gb=0.02),
    SimulatedCdn(name="beta", region_capacity_mbps={"SE": 1000.0}, price_per_gb=0.01),
)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_scenario_is_one(path: Path) -> None:
    assert read_scenario(path).name == path.stem


def test_the_optimum_fills_the_cheapest_first() -> None:
    carried = np.array([[600.0, 600.0]])
    least = least_cost(CDNS, carried, np.array([[1000.0, 1000.0]]))
    assert least == pytest.approx((1000 * 0.01 + 200 * 0.02) * GB_PER_MBPS_MINUTE)
    assert least < cost_of(CDNS, carried)


def test_many_draw_as_the_gateway_does() -> None:
    names, shares = ("alpha", "beta", "gamma"), {"alpha": 0.5, "beta": 0.0, "gamma": 0.5}
    viewers = [str(number) for number in range(200)]
    chances = np.log([[chance(viewer, name) for name in names] for viewer in viewers])
    drawn = _drawn(chances, np.array([shares[name] for name in names]))
    expected = [[names.index(n) for n in draw_order(viewer, shares, names)] for viewer in viewers]
    assert drawn.tolist() == expected


def test_the_product_leaves_a_dead_cdn_without_a_stall_where_the_other_has_room() -> None:
    scenario = Scenario(
        name="small",
        duration_s=180,
        cdns=CDNS,
        crowds=(Crowd(region="SE", viewers=100, joining_s=20),),
        faults=(Fault(cdn="beta", from_s=90, to_s=150),),
    )
    static, ours = (run(scenario, name, Path()) for name in ("static", "playhead"))
    assert static.stalled_in_faults_s > 100
    assert ours.stalled_in_faults_s == 0
    assert ours.leaving_s[0] is not None
    assert ours.leaving_s[0] <= 10
    again = run(scenario, "playhead", Path())
    assert msgspec.structs.replace(again, seconds_per_second=0) == msgspec.structs.replace(
        ours, seconds_per_second=0
    )
