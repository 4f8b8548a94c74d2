"""A small run from end to end: faults strike, clients retry, the sets are equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.faults.report import count_cells
from infra.faults.schedule import Cell
from tests.faults.small import run_small

pytestmark = [pytest.mark.harness, pytest.mark.timeout(900)]
CELLS: tuple[Cell, ...] = (
    ("gateway", "kill"),
    ("clickhouse", "full"),
    ("kafka", "poison"),
)


async def test_nothing_is_lost_doubled_or_invented_under_faults(tmp_path: Path) -> None:
    report = await run_small(tmp_path, CELLS, seed=20, faults=3, events=5_000)
    assert report.is_clean, report.verdict
    assert report.reconciled.acked >= 5_000
    assert report.reconciled.rejected > 0
    assert report.reconciled.counts["set_aside"] > 0
    assert {(place, kind) for place, of in count_cells(report.faults).items() for kind in of} == {
        *CELLS
    }
