"""`python -m infra.faults.second_worker NAME INSTANCE FOLDER`: one more member of a worker's group.

It has a data folder and an announcement of its own, so that it disturbs the first one only as a
second process of a larger deployment does: by joining and leaving.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agents.analytics.agent import AnalyticsAgent
from agents.analytics.fold_agent import FoldAgent
from agents.shell import Agent
from infra.deployment import Deployment
from infra.logs import configure_logging
from infra.settings import load_settings
from infra.wiring.parts import AGENT_DELIVERY_TIMEOUT_MS, Parts, open_parts
from infra.worker import WorkerPlan, run_worker

ANNOUNCEMENT = "worker.json"


def _agent(name: str, instance: str, parts: Parts) -> Agent:
    if name == "analytics":
        url = parts.deployment.clickhouse_url()
        return AnalyticsAgent(parts.ports, url, instance=instance)
    assert name == "fold", name
    return FoldAgent(parts.ports)


async def _run(name: str, instance: str, folder: Path) -> None:
    deployment = Deployment(settings=load_settings())
    async with open_parts(
        deployment,
        f"playhead-{name}-{instance}",
        delivery_timeout_ms=AGENT_DELIVERY_TIMEOUT_MS,
        holds_state_key=True,
    ) as parts:
        plan = WorkerPlan(
            name=name,
            broker=parts.broker,
            data_folder=folder / "data",
            announce=folder / ANNOUNCEMENT,
            instance=instance,
        )
        agent = _agent(name, instance, parts)
        await run_worker(plan, agent, parts.publisher, parts.registry, parts.clock)


if __name__ == "__main__":
    configure_logging("second-worker", "text", "info")
    asyncio.run(_run(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
