"""Events that an agent's consumer takes per CPU-second, and how soon its table is back."""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from infra.bench.counting import KINDS, TABLE, TOPIC, Counted, worker_of
from schemas import codec
from schemas.events import Heartbeat, Stamp
from schemas.ids import uuid7
from streams.admin import apply_topics
from streams.broker import Broker
from streams.clock import system_clock
from streams.producer import Publisher
from streams.tables.table import changelog_of

PUBLISH_ROWS = 5_000
SPEED_KEYS = 1_000
RECOVERY_KEYS = 200_000
LAST_EVENTS = 4_000
"""Published after the recovery's table was stopped: what its successor comes to."""
PROCESS_TIMEOUT_S = 400


class ConsumerFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of consumer; the floor is aiokafka's getmany, nothing decoded."""

    consumer: str
    events: int
    keys: int
    events_per_cpu_s: float
    events_per_s: float
    of_floor: float
    ready_s: float
    """From the start of its program to its first event: with a table, recovered."""


async def measure_consumer(broker: Broker, events: int) -> list[ConsumerFigure]:
    """Count events by session in every way, then recover tables."""
    figures: list[ConsumerFigure] = []
    floor = 0.0
    for kind in KINDS:
        with tempfile.TemporaryDirectory(prefix="playhead-bench-") as folder:
            part = await _fresh(broker, kind)
            await _publish(part, events, SPEED_KEYS)
            found = await _run(part, kind, events, Path(folder))
            floor = floor or found.events / found.cpu_s
            figures.append(_figure(kind, found, floor))
    figures.append(await _recover(broker, "memory", floor, keeps_disk=False))
    figures.append(await _recover(broker, "rocksdb", floor, keeps_disk=False))
    figures.append(await _recover(broker, "rocksdb", floor, keeps_disk=True))
    return figures


async def _recover(broker: Broker, kind: str, floor: float, *, keeps_disk: bool) -> ConsumerFigure:
    """Every key is changed twice, the process stopped, and another one goes on."""
    part = await _fresh(broker, kind)
    with (
        tempfile.TemporaryDirectory(prefix="playhead-bench-") as first,
        tempfile.TemporaryDirectory(prefix="playhead-bench-") as second,
    ):
        await _publish(part, 2 * RECOVERY_KEYS, RECOVERY_KEYS)
        await _run(part, kind, 2 * RECOVERY_KEYS, Path(first))
        await _publish(part, LAST_EVENTS, LAST_EVENTS)
        found = await _run(part, kind, LAST_EVENTS, Path(first if keeps_disk else second))
    disk = ", kept disk" if keeps_disk else ""
    return _figure(f"{kind} recovering {RECOVERY_KEYS} keys{disk}", found, floor)


def _figure(consumer: str, found: Counted, floor: float) -> ConsumerFigure:
    rate = found.events / found.cpu_s
    return ConsumerFigure(
        consumer=consumer,
        events=found.events,
        keys=found.keys,
        events_per_cpu_s=rate,
        events_per_s=found.events / found.wall_s,
        of_floor=rate / floor,
        ready_s=found.ready_s,
    )


async def _fresh(broker: Broker, kind: str) -> Broker:
    """A namespace of its own: nobody else reads these events."""
    part = msgspec.structs.replace(broker, namespace=f"bench{secrets.token_hex(3)}")
    changelog = changelog_of(worker_of(kind), TABLE, TOPIC.family)
    await apply_topics(part, topics=[TOPIC, changelog])
    return part


async def _publish(broker: Broker, events: int, keys: int) -> None:
    publisher = Publisher(broker, client_id="bench", delivery_timeout_ms=60_000)
    await publisher.start()
    try:
        batch: list[tuple[str, bytes]] = []
        for row in _rows(events, keys):
            batch.append(row)
            if len(batch) == PUBLISH_ROWS:
                await publisher.publish_many(TOPIC, batch)
                batch = []
        await publisher.publish_many(TOPIC, batch)
    finally:
        await publisher.stop()


def _rows(events: int, keys: int) -> Iterator[tuple[str, bytes]]:
    now_ms = system_clock()
    sessions = [str(uuid7(now_ms, secrets.token_bytes(10))) for _ in range(keys)]
    event = Heartbeat(
        session_id="SESSION",
        source="bench",
        sequence=0,
        at=datetime.now(UTC),
        playhead_ms=61_200,
        bitrate_kbps=2000,
        stamp=Stamp(received_at_ms=now_ms, via="sdk", account_id="bench", content_id="bench"),
    )
    text = codec.encode(event).decode().replace('"sequence":0', '"sequence":NUMBER')
    for number in range(events):
        session_id = sessions[number % keys]
        value = text.replace("SESSION", session_id).replace("NUMBER", str(number))
        yield session_id, value.encode()


async def _run(broker: Broker, kind: str, events: int, folder: Path) -> Counted:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "infra.bench.counting",
        kind,
        broker.bootstrap,
        broker.namespace,
        str(events),
        str(folder),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PROCESS_TIMEOUT_S):
        output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the {kind} consumer ended with {process.returncode}")
    return msgspec.json.decode(output.splitlines()[-1], type=Counted)
