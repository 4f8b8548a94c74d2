"""The least that the same traffic could have cost, had everything been known."""

from __future__ import annotations

import numpy as np

from agents.steering.linear import LinearProgram
from infra.bench.steering.scenario import SimulatedCdn
from infra.bench.steering.viewers import Floats

GB_PER_MBPS_MINUTE = 60 / 8_000


def cost_of(cdns: tuple[SimulatedCdn, ...], carried_mbps: Floats) -> float:
    """Of regions × CDNs in a minute: what lies above the commit, at the price."""
    by_cdn = carried_mbps.sum(axis=0)
    above = np.maximum(0.0, by_cdn - [cdn.commit_mbps for cdn in cdns])
    return float(above @ np.array([cdn.price_per_gb for cdn in cdns]) * GB_PER_MBPS_MINUTE)


def least_cost(
    cdns: tuple[SimulatedCdn, ...], carried_mbps: Floats, capacity_mbps: Floats
) -> float:
    """The same traffic of each region in that minute, spread at will within the capacities."""
    program = LinearProgram()
    columns = [
        [program.add_column(0.0, upper=max(capacity, carried)) for capacity, carried in pairs]
        for pairs in (
            zip(*rows, strict=True) for rows in zip(capacity_mbps, carried_mbps, strict=True)
        )
    ]
    for row, carried in zip(columns, carried_mbps.sum(axis=1), strict=True):
        program.add_row(dict.fromkeys(row, 1.0), lower=float(carried), upper=float(carried))
    for number, cdn in enumerate(cdns):
        paid = program.add_column(cdn.price_per_gb * GB_PER_MBPS_MINUTE)
        program.add_row(
            {**{row[number]: 1.0 for row in columns}, paid: -1.0}, upper=cdn.commit_mbps
        )
    values = program.solve()
    assert values is not None, "what was carried fits"
    prices = [cdn.price_per_gb * GB_PER_MBPS_MINUTE for cdn in cdns]
    above = [
        max(0.0, sum(float(values[row[n]]) for row in columns) - cdn.commit_mbps)
        for n, cdn in enumerate(cdns)
    ]
    return sum(price * mbps for price, mbps in zip(prices, above, strict=True))
