"""A lost race of two license workers, on its way through a real log into real tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from agents.analytics.replay import begin, replay_topic
from agents.analytics.sink import GROUP
from agents.analytics.windows import Window
from agents.license.plans import POLICY
from infra.clickhouse.client import open_client, parse_url
from infra.operations.shadow.policy import simulate_policy
from infra.operations.shadow.reading import ShadowReader
from schemas.licenses import LicenseDecision
from streams.broker import Broker
from streams.chain import Chain
from streams.clock import system_clock
from streams.topics import LICENSE_DECISIONS
from tests.integration.analytics_stage import STATE_KEY, Stage, a_stage, an_engine
from tests.unit.license.test_past import an_opening

ACCOUNT = "account-1"
OUTCOMES = "SELECT decision_id, outcome FROM license_decisions ORDER BY decision_id"
TRUE = [
    ["1 both", "granted"],
    ["2 sleeper", "void"],
    ["2 winner", "granted"],
    ["3 sleeper", "void"],
    ["3 winner", "granted"],
]


@pytest.fixture
async def stage(broker: Broker, tmp_path: Path) -> AsyncIterator[Stage]:
    async with (
        an_engine(tmp_path / "engine") as engine,
        a_stage(broker, engine, (LICENSE_DECISIONS,)) as stage,
    ):
        yield stage


def a_race() -> dict[str, LicenseDecision]:
    """Two workers go on from the same decision."""
    winner, sleeper = Chain(), Chain()
    of_winner = [
        _linked(winner, "1 both"),
        _linked(winner, "2 winner"),
        _linked(winner, "3 winner"),
    ]
    sleeper.follow(of_winner[0], 0, 0)
    of_sleeper = [_linked(sleeper, "2 sleeper"), _linked(sleeper, "3 sleeper")]
    return {decision.decision_id: decision for decision in (*of_winner, *of_sleeper)}


def _linked(chain: Chain, name: str) -> LicenseDecision:
    decision = replace(
        an_opening(),
        account_id=ACCOUNT,
        decision_id=name,
        request_id=name,
        decided_at_ms=system_clock(),
        number=0,
        previous="",
    )
    return chain.link(decision, 0)[0]


async def _publish(stage: Stage, *decisions: LicenseDecision) -> None:
    for decision in decisions:
        await stage.publisher.publish(LICENSE_DECISIONS, ACCOUNT, decision)


@pytest.mark.timeout(300)
async def test_who_lost_the_race_is_counted_as_granted_nowhere(stage: Stage) -> None:
    """Neither by a sink that began in the midst of it, nor by a replay, nor by a simulation."""
    race = a_race()
    async with stage.sinking():
        await _publish(stage, race["1 both"], race["2 winner"], race["2 sleeper"])
        await stage.until("SELECT count() FROM decisions_raw", 3)
    async with stage.sinking():
        # Follows nothing that counts, before the number that it has is another's.
        await _publish(stage, race["3 sleeper"], race["3 winner"])
        await stage.until("SELECT count() FROM decisions_raw", 5)
    assert await stage.ask(OUTCOMES) == TRUE
    assert await _replayed(stage) == 5
    assert await stage.ask(OUTCOMES) == TRUE
    report = await simulate_policy(
        ShadowReader(stage.broker, STATE_KEY), POLICY, Window(), lambda _report: None
    )
    assert (report.total, report.read, report.void) == (5, 3, 2)


async def _replayed(stage: Stage) -> int:
    """How many rows a replay brings back into an empty table."""
    with open_client(parse_url(stage.url)) as client:
        client.command("TRUNCATE TABLE decisions_raw SYNC")
    state = await begin(stage.broker, LICENSE_DECISIONS.name, Window(), group=GROUP)
    progress = await replay_topic(
        stage.broker,
        stage.store,
        LICENSE_DECISIONS.name,
        state,
        state_key=STATE_KEY,
        dry_run=False,
        keep=lambda _: None,
    )
    return progress.added
