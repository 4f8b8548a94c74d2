"""The canary's process: a probe, the log's counts and a judgment of the ledger, each minute.

They are told as a file, as ledger entries and as metrics.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Iterable
from typing import Final

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, Gauge

from infra.canary.account import TIMEOUT_S
from infra.canary.log_counts import MINUTE_MS, TOPICS, WRITER, count_minute
from infra.canary.probe import Probe, ProbeReport
from infra.deployment import Deployment
from infra.files import write_whole
from infra.operations.ledger import Imbalance, judge_ledger, read_ledger
from infra.status_server import status_server
from schemas.errors import PlayheadError, RetryableError
from streams.clock import system_clock
from streams.producer import Publisher
from streams.topics import GATEWAY_LEDGER

log = logging.getLogger(__name__)
PERIOD_S: Final = 60.0
SETTLING_MS: Final = 5_000
"""A broker may still stamp a record of a minute that is over by our clock."""
LEDGER_MINUTES: Final = 60
REPORT: Final = "canary.json"


def read_report(deployment: Deployment) -> ProbeReport | None:
    """The last probe's, if any."""
    try:
        return msgspec.json.decode((deployment.run / REPORT).read_bytes(), type=ProbeReport)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


class CanaryMetrics:
    """What Prometheus is told."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ok = self._gauge("playhead_canary_ok", "1: the last probe came through.")
        self._event = self._gauge(
            "playhead_canary_event_seconds", "From the POST of the last event to its row."
        )
        self._license = self._gauge(
            "playhead_canary_license_seconds", "From the last license request to its keys."
        )
        self._at = self._gauge("playhead_canary_timestamp_seconds", "When the last probe began.")
        self._missing = Gauge(
            "playhead_ledger_missing_events",
            "Accepted and found nowhere, over the complete minutes of the last hour.",
            ["topic"],
            registry=self.registry,
        )

    def _gauge(self, name: str, says: str) -> Gauge:
        return Gauge(name, says, registry=self.registry)

    def take(self, report: ProbeReport) -> None:
        """The newest probe."""
        self._ok.set(not report.error)
        self._at.set(report.at_ms / 1000)
        if report.event_ms is not None:
            self._event.set(report.event_ms / 1000)
        if report.license_ms is not None:
            self._license.set(report.license_ms / 1000)

    def take_ledger(self, imbalances: Iterable[Imbalance]) -> None:
        """Every topic that misses anything now."""
        for topic in TOPICS:
            self._missing.labels(topic.name).set(0)
        for imbalance in imbalances:
            self._missing.labels(imbalance.topic).set(imbalance.missing)


async def run_canary(deployment: Deployment) -> None:
    """Run until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    metrics = CanaryMetrics()
    tasks = (
        asyncio.create_task(_probe_for_ever(deployment, metrics)),
        asyncio.create_task(_count_for_ever(deployment)),
        asyncio.create_task(_judge_for_ever(deployment, metrics)),
    )
    announcement = deployment.run / "worker-canary.json"
    async with status_server(announcement, metrics.registry, _always_ready):
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait((*tasks, stopped), return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        stopped.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)
        for task in failed:
            task.result()


async def _probe_for_ever(deployment: Deployment, metrics: CanaryMetrics) -> None:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    failures = 0
    async with aiohttp.ClientSession(deployment.gateway_url(), timeout=timeout) as http:
        probe = Probe(deployment, http, system_clock)
        while True:
            report = await probe.run()
            failures = failures + 1 if report.error else 0
            report = msgspec.structs.replace(report, failures_in_row=failures)
            if report.error:
                log.warning("the canary failed: %s", report.error)
            metrics.take(report)
            await asyncio.to_thread(
                write_whole, deployment.run / REPORT, msgspec.json.encode(report)
            )
            await asyncio.sleep(PERIOD_S)


async def _count_for_ever(deployment: Deployment) -> None:
    """Tell each minute once it is over; what the log does not answer is told a minute later."""
    told_ms = _minute_before(system_clock()) - MINUTE_MS
    while True:
        try:
            async with _connected(deployment) as (consumer, publisher):
                while True:
                    until_ms = _minute_before(system_clock() - SETTLING_MS)
                    while told_ms < until_ms:
                        for topic in TOPICS:
                            entry = await count_minute(
                                consumer, deployment.broker(), topic, told_ms + MINUTE_MS
                            )
                            await publisher.publish(GATEWAY_LEDGER, WRITER, entry)
                        told_ms += MINUTE_MS
                    await asyncio.sleep(SETTLING_MS / 1000)
        except (KafkaError, RetryableError) as error:
            log.warning("the log is not counted: %s", error)
            await asyncio.sleep(PERIOD_S)


async def _judge_for_ever(deployment: Deployment, metrics: CanaryMetrics) -> None:
    while True:
        try:
            lines = await asyncio.to_thread(read_ledger, deployment, minutes=LEDGER_MINUTES)
        except PlayheadError as error:
            log.warning("the ledger is not judged: %s", error)
        else:
            metrics.take_ledger(judge_ledger(lines))
        await asyncio.sleep(PERIOD_S)


@contextlib.asynccontextmanager
async def _connected(
    deployment: Deployment,
) -> AsyncIterator[tuple[AIOKafkaConsumer, Publisher]]:
    broker = deployment.broker()
    consumer = AIOKafkaConsumer(**broker.client_options(), group_id=None)
    publisher = Publisher(broker, client_id="playhead-canary")
    async with contextlib.AsyncExitStack() as opened:
        opened.push_async_callback(consumer.stop)
        await consumer.start()
        opened.push_async_callback(publisher.stop)
        await publisher.start()
        yield consumer, publisher


def _minute_before(now_ms: int) -> int:
    """The last minute that is over."""
    return now_ms - now_ms % MINUTE_MS - MINUTE_MS


async def _always_ready() -> str:
    return ""
