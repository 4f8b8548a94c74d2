"""The harness must catch what it is there for: five builds, each with one promise broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from infra.faults.amendments import Launchers
from infra.faults.schedule import Cell
from tests.faults import broken
from tests.faults.small import PATH_OF_EVENTS, run_small

pytestmark = [pytest.mark.harness, pytest.mark.timeout(900)]


class Breakage(msgspec.Struct, frozen=True, kw_only=True):
    """A build, faults that bring out what is wrong with it, and what must be found."""

    launchers: Launchers
    cells: tuple[Cell, ...]
    found: tuple[str, ...]
    """Any of them."""
    only: tuple[str, ...] = PATH_OF_EVENTS


def _instead(build: Callable[[], None], *components: str) -> Launchers:
    return dict.fromkeys(components, broken.launcher(build))


BREAKAGES = {
    "acknowledged before produced": Breakage(
        launchers=_instead(broken.acknowledge_before_produce, "gateway"),
        cells=(("gateway", "kill"),),
        found=("lost",),
    ),
    "committed before inserted": Breakage(
        launchers=_instead(broken.commit_before_insert, "analytics"),
        cells=(("analytics", "kill"),),
        found=("lost",),
    ),
    "no token": Breakage(
        launchers=_instead(broken.no_deduplication_token, "analytics"),
        cells=(("analytics-clickhouse", "lose"),),
        found=("wrong_aggregates", "doubled"),
    ),
    "no identity deduplication": Breakage(
        launchers=_instead(broken.no_identity_deduplication, "analytics"),
        cells=(("client-gateway", "lose"),),
        found=("wrong_aggregates", "doubled", "unaccounted"),
    ),
    "a replay that issues": Breakage(
        launchers={
            **_instead(broken.license_agent_that_decides_again, "license"),
            **_instead(broken.replay_that_issues, "replay"),
        },
        cells=(("gateway", "kill"),),
        found=("licenses_twice",),
        only=(*PATH_OF_EVENTS, "license", "account", "catalog", "recommendation"),
    ),
}


@pytest.mark.parametrize("name", BREAKAGES)
async def test_a_broken_build_is_caught(name: str, tmp_path: Path) -> None:
    breakage = BREAKAGES[name]
    report = await run_small(
        tmp_path,
        breakage.cells,
        seed=4,
        faults=2,
        events=4_000,
        only=breakage.only,
        launchers=breakage.launchers,
    )
    findings = report.reconciled.findings
    assert not report.is_clean
    assert any(getattr(findings, kind) for kind in breakage.found), findings
