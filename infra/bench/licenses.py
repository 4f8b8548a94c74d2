"""License round trips at a fixed rate through the whole way, beside a bare hop through Kafka."""

from __future__ import annotations

import asyncio
import base64
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from infra.bench.load import percentile
from infra.demo.account import ensure_demo_account
from infra.sandbox import Sandbox
from infra.wiring.packager import open_packager
from schemas.catalog import AudioTrack, Rendition, Segments, StorageLocation, Tier, Title
from schemas.licenses import TierKey
from streams.admin import apply_topics
from streams.broker import Broker
from streams.topics import GATEWAY_REPLIES

CONTENT_ID = "bench-title"
TIERS: tuple[Tier, ...] = ("audio", "sd", "hd")


class LicenseFigure(msgspec.Struct, frozen=True, kw_only=True):
    """Open-loop Poisson arrivals; milliseconds from the POST to the whole answer."""

    requests: int
    rate_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    floor_p50_ms: float
    floor_p99_ms: float


async def measure_licenses(sandbox: Sandbox, rate_per_s: float, seconds: float) -> LicenseFigure:
    """Licenses of one session, every combination of its keys in turn."""
    keys = await list_title(sandbox)
    async with aiohttp.ClientSession() as http:
        license_url = await open_session(sandbox, http)
        bodies = itertools.cycle(license_bodies(keys))
        failures: list[int] = []

        async def ask() -> None:
            async with http.post(license_url, data=next(bodies)) as response:
                await response.read()
                if response.status != 200:
                    failures.append(response.status)

        await ask()
        waits = await _open_loop(ask, rate_per_s, seconds)
    floor = await _floor(sandbox.deployment.broker(), rate_per_s, seconds)
    return LicenseFigure(
        requests=len(waits),
        rate_per_s=rate_per_s,
        p50_ms=percentile(waits, 0.5),
        p99_ms=percentile(waits, 0.99),
        failed=len(failures),
        floor_p50_ms=percentile(floor, 0.5),
        floor_p99_ms=percentile(floor, 0.99),
    )


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


def license_bodies(keys: tuple[TierKey, ...]) -> list[bytes]:
    """Requests for every choice of the keys in every order, no two alike."""
    kids = [base64.urlsafe_b64encode(bytes.fromhex(k.key_id)).rstrip(b"=").decode() for k in keys]
    choices = (c for n in range(1, len(kids) + 1) for c in itertools.permutations(kids, n))
    return [msgspec.json.encode({"kids": list(c), "type": "temporary"}) for c in choices]


async def open_session(sandbox: Sandbox, http: aiohttp.ClientSession) -> str:
    """The license URL of a new session of the demo viewer."""
    root = sandbox.deployment.gateway_url()
    credentials = await ensure_demo_account(sandbox.deployment)
    grant = {
        "grant_type": "password",
        "username": credentials.email,
        "password": credentials.password,
    }
    tokens = await _json(await http.post(f"{root}/v1/tokens", json=grant))
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    account = await _json(await http.get(f"{root}/v1/account", headers=bearer))
    wanted = {
        "content_id": CONTENT_ID,
        "profile_id": account["profiles"][0]["profile_id"],
        "device": {"device_id": "bench", "max_height": 1080},
    }
    opened = await _json(await http.post(f"{root}/v1/sessions", json=wanted, headers=bearer))
    return str(opened["license_url"])


async def _json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    response.raise_for_status()
    body = await response.json()
    return dict(body)


async def list_title(sandbox: Sandbox) -> tuple[TierKey, ...]:
    """A title without media: licenses never look at it."""
    async with open_packager(sandbox.deployment) as packager:
        keys = await packager.request_keys(CONTENT_ID, TIERS)
        await packager.put(_title(sandbox, {key.tier: key.key_id for key in keys}))
    return keys


def _title(sandbox: Sandbox, kids: dict[Tier, str]) -> Title:
    def segments(track: str) -> Segments:
        return Segments(
            init=f"{track}/init.mp4",
            media=f"{track}/$Number$.m4s",
            timescale=1000,
            durations=(2000,),
            sizes_bytes=(1000,),
        )

    rungs: tuple[tuple[Tier, int, int, int], ...] = (("sd", 640, 360, 500), ("hd", 1280, 720, 2000))
    return Title(
        content_id=CONTENT_ID,
        title="Bench",
        duration_ms=2000,
        storage=(StorageLocation(url=f"{sandbox.deployment.storage_url}/{CONTENT_ID}"),),
        video=tuple(
            Rendition(
                rendition_id=f"v{height}",
                width=width,
                height=height,
                frame_rate=24,
                codecs="avc1.64001f",
                bitrate_kbps=kbps,
                average_bitrate_kbps=kbps,
                tier=tier,
                key_id=kids[tier],
                segments=segments(f"v{height}"),
            )
            for tier, width, height, kbps in rungs
        ),
        audio=(
            AudioTrack(
                track_id="a-en",
                language="en",
                label="English",
                channels=2,
                sampling_rate_hz=48_000,
                codecs="mp4a.40.2",
                bitrate_kbps=104,
                key_id=kids["audio"],
                segments=segments("a-en"),
                is_default=True,
            ),
        ),
    )


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
