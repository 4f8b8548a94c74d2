"""The analytics agent alone, for tests that kill it."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys

from prometheus_client import CollectorRegistry

from agents.analytics.agent import AnalyticsAgent
from agents.analytics.chunks import ChunkLimits
from agents.analytics.sink import SinkLimits
from agents.shell import ShellPorts
from infra.cli.main import YOUNG_OBJECTS_MAX
from streams.broker import Broker
from streams.clock import system_clock
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from tests.integration.analytics_stage import STAGED, STATE_KEY

log = logging.getLogger(__name__)


def _halt(error: BaseException) -> None:
    log.critical("halt: %r", error)
    os._exit(70)


async def _run(
    bootstrap: str, namespace: str, url: str, bucket_ms: int, buffer_bytes_max: int
) -> None:
    broker = Broker(bootstrap=bootstrap, namespace=namespace)
    publisher = Publisher(broker, client_id="sink", state_key=STATE_KEY)
    await publisher.start()
    ports = ShellPorts(
        broker=broker,
        publisher=publisher,
        clock=system_clock,
        metrics=WorkerMetrics(CollectorRegistry()),
        halt=_halt,
        state_key=STATE_KEY,
    )
    limits = SinkLimits(
        chunks=ChunkLimits(bucket_ms=bucket_ms, grace_ms=50),
        bucket_ms_max=bucket_ms,
        buffer_bytes_max=buffer_bytes_max,
    )
    agent = AnalyticsAgent(ports, url, limits=limits, topics=STAGED)
    await agent.start()
    await agent.sink.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    gc.set_threshold(YOUNG_OBJECTS_MAX)  # as the command line does
    logging.basicConfig(level=logging.INFO)
    asyncio.run(_run(**json.loads(sys.argv[1])))
