"""One worker process: one agent, one Faust app, one consumer group."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import faust
import mode
from prometheus_client import CollectorRegistry

from agents.shell import Agent
from infra.progress import OwnReader, faust_offsets, watch_progress
from infra.status_server import status_server
from streams.broker import Broker
from streams.consumer.transport import install_transport
from streams.partitions import METADATA_AGE_MS_MAX
from streams.producer import Publisher

log = logging.getLogger(__name__)

HALT_EXIT_CODE = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """What a worker process is told."""

    name: str
    broker: Broker
    data_folder: Path
    """For tables; kept over restarts, one per worker."""
    announce: Path
    """Where port and process id are written once it is ready."""
    instance: str = "1"


def halt(error: BaseException) -> None:
    """End at once: state may be ahead of the log, and a restart reads it again from there."""
    log.critical("worker halts: %s: %s", type(error).__name__, error)
    logging.shutdown()
    os._exit(HALT_EXIT_CODE)


def faust_app(plan: WorkerPlan) -> faust.App:
    """The Faust app of a worker, every option that matters written out."""
    broker, folder = plan.broker, plan.data_folder
    folder.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        broker.physical(plan.name),
        broker=[f"aiokafka://{address}" for address in broker.bootstrap.split(",")],
        broker_credentials=None,
        store="rocksdb://",
        datadir=str(folder),
        # A killed worker's partitions come back to it at once instead of after the time-out.
        consumer_group_instance_id=f"{broker.physical(plan.name)}-{plan.instance}",
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
        broker_request_timeout=30.0,
        consumer_metadata_max_age_ms=METADATA_AGE_MS_MAX,
        broker_commit_interval=0.5,
        broker_max_poll_records=2000,
        # Counts chunks where an agent takes them.
        stream_buffer_maxsize=32,
        stream_wait_empty=True,  # by our consumer, which waits with a bound
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_linger=0.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        autodiscover=False,
        web_enabled=False,
        web_bind="127.0.0.1",
        agent_supervisor=mode.CrashingSupervisor,
        reply_create_topic=False,
    )
    app.finalize()
    install_transport(app)
    return app


async def run_worker(
    plan: WorkerPlan,
    agent: Agent,
    publisher: Publisher,
    registry: CollectorRegistry,
) -> None:
    """Run until SIGTERM or SIGINT; raises what kept the agent from starting."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    app = faust_app(plan)
    await agent.start()
    agent.attach(app)
    await app.start()
    watches = [
        asyncio.create_task(_watch(app)),
        asyncio.create_task(_watch_progress(app, agent, publisher)),
    ]
    try:
        async with status_server(plan.announce, registry, lambda: _why_not_ready(app, publisher)):
            log.info("worker %s is ready", plan.name)
            await stopping.wait()
    finally:
        for watch in watches:
            watch.cancel()
        await app.stop()
        await agent.stop()


async def _why_not_ready(app: faust.App, publisher: Publisher) -> str:
    if not app.started:
        return "Faust has not started"
    return "" if await publisher.is_reachable() else "Kafka does not answer"


async def _watch(app: faust.App) -> None:
    """Halt when Faust has crashed: it would stand still with its partitions held."""
    while not app.crashed:  # noqa: ASYNC110 - mode offers nothing to wait for
        await asyncio.sleep(0.2)
    halt(app.crash_reason or RuntimeError("Faust crashed"))


async def _watch_progress(app: faust.App, agent: Agent, publisher: Publisher) -> None:
    """Halt where records wait in vain, whoever reads them."""
    if isinstance(agent, OwnReader):
        reader = agent

        async def is_unhindered() -> bool:
            return await publisher.is_reachable() and await reader.is_unhindered()

        await watch_progress(reader.offsets, is_unhindered, halt)
    else:
        await watch_progress(lambda: faust_offsets(app), publisher.is_reachable, halt)
