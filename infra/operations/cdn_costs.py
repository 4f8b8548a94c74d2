"""What each CDN carried and costs, minute by minute, as ClickHouse has it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Final

import msgspec

from infra.clickhouse.client import open_client, parse_url, saying_why
from schemas.steering import CdnSettings

QUERY: Final = """
WITH transform(cdn, {names:Array(String)}, {commits_mbps:Array(Float64)}, 0.) AS commit_mbps
SELECT
    cdn,
    sum(carried_bytes) / 1e9,
    quantileExact(0.95)(carried_bytes * 8 / 60e6),
    sum(greatest(0, carried_bytes - commit_mbps * 60e6 / 8)) / 1e9
FROM
(
    SELECT
        cdn,
        toStartOfMinute(received_at) AS minute,
        greatest(
            sumIf(toFloat64(assumeNotNull(object_bytes)), via = 'edge' AND object_bytes > 0),
            sumIf(
                assumeNotNull(bitrate_kbps) * assumeNotNull(object_duration_ms) / 8,
                via != 'edge' AND bitrate_kbps > 0 AND object_duration_ms > 0
            )
        ) AS carried_bytes
    FROM events
    WHERE type = 'bandwidth' AND cdn != '' AND received_at > now() - INTERVAL {days:UInt32} DAY
    GROUP BY cdn, minute
)
GROUP BY cdn
"""


class CdnCost(msgspec.Struct, frozen=True, kw_only=True):
    """One CDN over some days."""

    cdn: str
    traffic_gb: float
    """By its own log, or by what players report where that is more."""
    p95_mbps: float
    """Of the minutes in which it carried anything."""
    commit_mbps: float
    billed_gb: float
    """Above the commit, minute by minute."""
    cost: float
    """In the currency of the price."""


def read_costs(url: str, settings: Mapping[str, CdnSettings], *, days: int) -> list[CdnCost]:
    """Of every CDN of the settings, in their order. `url`: of ClickHouse's reader.

    Raises PlayheadError where ClickHouse does not answer.
    """
    parameters = {
        "names": list(settings),
        "commits_mbps": [each.commit_mbps for each in settings.values()],
        "days": days,
    }
    with saying_why(), closing(open_client(parse_url(url))) as client:
        rows = client.query(QUERY, parameters=parameters).result_rows
    found = {cdn: (gb, p95_mbps, billed_gb) for cdn, gb, p95_mbps, billed_gb in rows}
    costs = []
    for name, each in settings.items():
        traffic_gb, p95_mbps, billed_gb = found.get(name, (0.0, 0.0, 0.0))
        costs.append(
            CdnCost(
                cdn=name,
                traffic_gb=traffic_gb,
                p95_mbps=p95_mbps,
                commit_mbps=each.commit_mbps,
                billed_gb=billed_gb,
                cost=billed_gb * each.price_per_gb,
            )
        )
    return costs
