"""License round trips at fixed rates through the whole way, beside a bare hop through Kafka."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from infra.bench.asking import Asked, AskingPlan
from infra.bench.load import percentile
from infra.bench.processes import cpu_s
from infra.bench.sessions import run_process
from infra.bench.viewers import license_bodies, list_title, open_sessions
from infra.sandbox import Sandbox
from streams.admin import apply_topics
from streams.broker import Broker
from streams.topics import GATEWAY_REPLIES

SESSIONS: Final = 64
WARM_UP_S: Final = 2.0
COMPONENTS: Final = ("gateway", "license", "kafka")


class LicenseFigure(msgspec.Struct, frozen=True, kw_only=True):
    """Open-loop Poisson arrivals; milliseconds from the moment a license was due to the whole
    answer. The floor is a record there and one back, nothing done on the way, at the same rate.
    """

    rate_per_s: float
    asked: int
    failed: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    floor_p50_ms: float
    floor_p99_ms: float
    floor_p999_ms: float
    decisions_per_cpu_s: float
    """Of the license worker's CPU time, signatures and sealing included."""
    gateway_cpu_ms: float
    """Of CPU time, for one license."""
    worker_cpu_ms: float
    broker_cpu_ms: float
    asker_lag_p99_ms: float


async def measure_licenses(
    sandbox: Sandbox, rates_per_s: Sequence[float], seconds: float
) -> list[LicenseFigure]:
    """Licenses of many sessions, every combination of their keys in turn."""
    plan = await license_plan(sandbox)
    await ask(plan, rate_per_s=rates_per_s[0], seconds=WARM_UP_S)
    return [await _measure(sandbox, plan, rate, seconds) for rate in rates_per_s]


async def license_plan(sandbox: Sandbox, sessions: int = SESSIONS) -> AskingPlan:
    """New sessions of new viewers; rate, length and core are to be filled in."""
    keys = await list_title(sandbox)
    return AskingPlan(
        license_urls=await open_sessions(sandbox, sessions),
        bodies=tuple(body.decode() for body in license_bodies(keys)),
    )


async def _measure(
    sandbox: Sandbox, plan: AskingPlan, rate_per_s: float, seconds: float
) -> LicenseFigure:
    pids = sandbox.pids_by_name()
    before = {name: cpu_s(pids[name]) for name in COMPONENTS}
    asked = await ask(plan, rate_per_s=rate_per_s, seconds=seconds)
    used_s = {name: cpu_s(pids[name]) - before[name] for name in COMPONENTS}
    floor = await _floor(sandbox.deployment.broker(), rate_per_s, seconds)
    each = 1000 / max(1, asked.asked)
    return LicenseFigure(
        rate_per_s=rate_per_s,
        asked=asked.asked,
        failed=asked.asked - len(asked.latencies_ms),
        p50_ms=asked.percentile_ms(0.5),
        p99_ms=asked.percentile_ms(0.99),
        p999_ms=asked.percentile_ms(0.999),
        floor_p50_ms=percentile(floor, 0.5),
        floor_p99_ms=percentile(floor, 0.99),
        floor_p999_ms=percentile(floor, 0.999),
        decisions_per_cpu_s=asked.asked / max(1e-9, used_s["license"]),
        gateway_cpu_ms=used_s["gateway"] * each,
        worker_cpu_ms=used_s["license"] * each,
        broker_cpu_ms=used_s["kafka"] * each,
        asker_lag_p99_ms=asked.lag_p99_ms,
    )


async def ask(plan: AskingPlan, **changes: Any) -> Asked:
    """Run the plan with these changes, in a process of its own."""
    asking = msgspec.structs.replace(plan, **changes)
    return await run_process("infra.bench.asking", asking, Asked)


async def _open_loop(
    ask: Callable[[], Awaitable[None]], rate_per_s: float, seconds: float
) -> list[float]:
    """Milliseconds of each call; calls begin when their time comes, answered or not."""
    arrivals = random.Random(1)  # noqa: S311 - the same load each time
    waits: list[float] = []

    async def timed() -> None:
        began_s = time.perf_counter()
        await ask()
        waits.append((time.perf_counter() - began_s) * 1000)

    async with asyncio.TaskGroup() as group:
        next_s = time.perf_counter()
        end_s = next_s + seconds
        while next_s < end_s:
            await asyncio.sleep(max(0.0, next_s - time.perf_counter()))
            group.create_task(timed())
            next_s += arrivals.expovariate(rate_per_s)
    return waits


async def _floor(broker: Broker, rate_per_s: float, seconds: float) -> list[float]:
    """There and back through two topics, nothing done on the way."""
    there, back = (
        msgspec.structs.replace(GATEWAY_REPLIES, name=f"bench.{way}") for way in ("there", "back")
    )
    await apply_topics(broker, topics=[there, back])
    ways = [TopicPartition(broker.physical(topic.name), 0) for topic in (there, back)]
    producer = AIOKafkaProducer(
        **broker.client_options(), acks="all", enable_idempotence=True, linger_ms=0
    )
    consumers = [AIOKafkaConsumer(**broker.client_options(), group_id=None) for _ in ways]
    await asyncio.gather(producer.start(), *(consumer.start() for consumer in consumers))
    waiting: dict[bytes, asyncio.Future[None]] = {}
    for consumer, way in zip(consumers, ways, strict=True):
        consumer.assign([way])
        await consumer.seek_to_end(way)
        await consumer.position(way)

    async def echo() -> None:
        async for record in consumers[0]:
            await producer.send(ways[1].topic, record.value, partition=0)

    async def resolve() -> None:
        async for record in consumers[1]:
            if record.value in waiting:
                waiting.pop(record.value).set_result(None)

    tasks = [asyncio.create_task(echo()), asyncio.create_task(resolve())]
    numbers = itertools.count()

    async def ask() -> None:
        name = str(next(numbers)).encode()
        waiting[name] = asyncio.get_running_loop().create_future()
        answer = waiting[name]
        await producer.send_and_wait(ways[0].topic, name, partition=0)
        await answer

    try:
        await ask()
        return await _open_loop(ask, rate_per_s, seconds)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(producer.stop(), *(c.stop() for c in consumers))
