"""T27: what a running deployment listens on is what it says, and nobody else can reach it."""

from __future__ import annotations

import json
import sys

import pytest

from infra.workers import WORKER_NAMES
from tests.integration.commands import Operator
from tests.integration.listening import listening

ONE_PORT = {"gateway": 1, "clickhouse": 1, "edge-alpha": 1, "edge-beta": 1}
BROKER_AND_CONTROLLER = 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_nothing_listens_beside_what_the_deployment_says(operator: Operator) -> None:
    pids = operator.pids
    by_pid = listening(pids.values())
    found = {name: by_pid[pid] for name, pid in pids.items()}
    counts = {name: len(addresses) for name, addresses in found.items()}
    expected = {"kafka": BROKER_AND_CONTROLLER, **dict.fromkeys(WORKER_NAMES, 1), **ONE_PORT}
    assert counts == expected
    assert all(host.is_loopback for addresses in found.values() for host, _ in addresses), found
    for name in WORKER_NAMES:
        announced = json.loads((operator.deployment.run / f"worker-{name}.json").read_text())
        assert {port for _, port in found[name]} == {announced["port"]}, "its own health, no other"
