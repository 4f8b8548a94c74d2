"""Of three brokers each dies once under load: nothing is lost, and nobody waits long."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.kafka.errors import KafkaSetupError
from infra.kafka.launch import prepare_brokers
from tests.integration.failover import BROKERS, fail_over, running_cluster

WAIT_S_MAX = 5.0
"""After this a gateway gives up. A machine with nothing else to do should stay below 3 s."""


@pytest.mark.long
async def test_every_broker_may_die_under_load(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as cluster:
        outcome = await fail_over(cluster, rounds=1)
    print(outcome)
    assert {death.number for death in outcome.deaths} == set(range(BROKERS))
    assert any(death.was_controller for death in outcome.deaths)
    assert (outcome.lost, outcome.disordered) == (0, 0)
    assert outcome.doubled <= outcome.retries  # sent again after "unknown": told by identity later
    assert outcome.acknowledged > 1_000
    # A busy machine lets writers wait without any death, too.
    slowest_s = max(death.longest_wait_s for death in outcome.deaths)
    assert slowest_s <= WAIT_S_MAX + outcome.quiet_wait_s


@pytest.mark.parametrize(("made", "asked"), [(1, 3), (3, 1)])
def test_a_home_keeps_its_number_of_brokers(tmp_path: Path, made: int, asked: int) -> None:
    for number in range(1, made + 1):
        own = tmp_path / "kafka" if made == 1 else tmp_path / "kafka" / f"broker-{number}"
        (own / "data").mkdir(parents=True)
    with pytest.raises(KafkaSetupError, match=f"PLAYHEAD_KAFKA_BROKERS={made}"):
        prepare_brokers(tmp_path, (0,) * asked, False)
