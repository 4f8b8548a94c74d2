"""Small runs of the harness: the path of events alone, few faults, seconds of load."""

from __future__ import annotations

from pathlib import Path

from infra.faults.amendments import Launchers
from infra.faults.report import Report, print_report
from infra.faults.run import Plan, run_faults
from infra.faults.schedule import Cell, make_schedule
from tests.integration.broker import runtime_folder

PATH_OF_EVENTS = ("kafka", "clickhouse", "migrations", "gateway", "analytics")
SPAN_S_MAX = 4.0


async def run_small(
    home: Path,
    cells: tuple[Cell, ...],
    *,
    seed: int,
    faults: int,
    events: int,
    only: tuple[str, ...] = PATH_OF_EVENTS,
    launchers: Launchers | None = None,
) -> Report:
    """The report, printed too: pytest shows it where a test fails."""
    plan = Plan(
        schedule=make_schedule(seed, faults, cells, span_s_max=SPAN_S_MAX),
        events=events,
        rate_per_s=500,
        clients=8,
        only=only,
        launchers=launchers or {},
        has_askers="license" in only,
        runtime=runtime_folder(),
    )
    report = await run_faults(plan, home, print)
    print_report(report)
    return report
