"""How the arms of an experiment do, as ClickHouse has it."""

from __future__ import annotations

from typing import Final

import msgspec

from infra.clickhouse.client import open_client, parse_url, saying_why
from infra.deployment import Deployment

QUERY: Final = """
SELECT arm, session_count, qoe_mean, qoe_difference, qoe_difference_lower, qoe_difference_upper,
    time_to_first_frame_ms, rebuffer_ratio, average_bitrate_kbps, start_failure_ratio
FROM experiment_results
WHERE experiment = {name:String}
ORDER BY is_control DESC, arm
"""


class ArmResult(msgspec.Struct, frozen=True, kw_only=True):
    """One arm, as the view `experiment_results` says it; None: not known, or too few sessions."""

    arm: str
    session_count: int
    qoe_mean: float | None
    qoe_difference: float | None
    qoe_difference_lower: float | None
    qoe_difference_upper: float | None
    time_to_first_frame_ms: float | None
    rebuffer_ratio: float | None
    average_bitrate_kbps: float | None
    start_failure_ratio: float | None


def read_results(deployment: Deployment, name: str) -> list[ArmResult]:
    """The control first. Raises PlayheadError where ClickHouse does not answer."""
    with saying_why():
        client = open_client(parse_url(deployment.reader_url()))
        found = client.query(QUERY, parameters={"name": name})
    names = found.column_names
    return [
        msgspec.convert(dict(zip(names, row, strict=True)), ArmResult) for row in found.result_rows
    ]
