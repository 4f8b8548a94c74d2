from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.client import ClientLimits, EventClient
from gateway.client_queue import QueueFullError, QueueInUseError
from schemas.errors import InvalidMessageError
from tests.clients.scripted import (
    EVERY_FAILURE,
    ScriptedGateway,
    Way,
    at_most,
    busy_for,
    hang,
    no_gzip,
    not_stored,
    refuse,
    reset_before,
    scripted_gateway,
    unauthorized,
    unknown_and_lost,
)

SESSION_ID = "01930000-0000-7000-8000-000000000001"
LIMITS = ClientLimits(gather_ms=5, backoff_ms_min=5, backoff_ms_max=40, answer_deadline_ms=5_000)
SEED = 4
PATIENCE_MS = 20_000


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    async with scripted_gateway() as running:
        yield running


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


def _client(gateway: ScriptedGateway, queue: Path, **given: Any) -> EventClient:
    return EventClient(f"{gateway.url}/v1/events", queue=queue, **({"limits": LIMITS} | given))


async def _report(client: EventClient, count: int) -> list[str]:
    return [await client.report("heartbeat", SESSION_ID, playhead_ms=n) for n in range(count)]


@pytest.mark.parametrize("way", EVERY_FAILURE, ids=lambda way: way.__name__)
async def test_after_any_failure_the_same_events_come_again(
    gateway: ScriptedGateway, queue: Path, way: Way
) -> None:
    gateway.will(way, way)
    async with _client(gateway, queue) as client:
        ids = await _report(client, 30)
        assert await client.flush(PATIENCE_MS)
        assert client.tally.accepted == 30
        assert client.tally.failed_posts == 2
    gateway.require_each_once(ids)
    assert [sequence for _, _, sequence in gateway.order] == list(range(30))


async def test_any_row_of_failures_loses_and_doubles_nothing(
    gateway: ScriptedGateway, queue: Path
) -> None:
    choose = random.Random(SEED)
    gateway.will(*(choose.choice((*EVERY_FAILURE, at_most(3), no_gzip)) for _ in range(60)))
    ids: list[str] = []
    async with _client(gateway, queue) as client:
        while gateway.script:
            ids += await _report(client, choose.randrange(1, 20))
            await gateway.until_posts(len(gateway.headers) + 1)
        assert await client.flush(PATIENCE_MS)
    gateway.require_each_once(ids)
    sequences = [sequence for _, _, sequence in gateway.order]
    assert len(gateway.ways) > 8, "the script met most ways"
    assert sequences == sorted(sequences), "order within the source is kept"


async def test_a_hanging_gateway_is_given_up_and_asked_again(
    gateway: ScriptedGateway, queue: Path
) -> None:
    gateway.will(hang)
    limits = ClientLimits(gather_ms=5, backoff_ms_min=5, answer_deadline_ms=200)
    async with _client(gateway, queue, limits=limits) as client:
        ids = await _report(client, 3)
        assert await client.flush(PATIENCE_MS)
    gateway.require_each_once(ids)
    assert gateway.batches[0] == gateway.batches[1]


async def test_retry_after_is_waited_for(gateway: ScriptedGateway, queue: Path) -> None:
    gateway.will(busy_for(1))
    loop = asyncio.get_running_loop()
    async with _client(gateway, queue) as client:
        await _report(client, 1)
        await gateway.until_posts(1)
        refused_at_s = loop.time()
        assert await client.flush(PATIENCE_MS)
        assert loop.time() - refused_at_s >= 0.99


async def test_what_may_be_stored_goes_again_as_it_was_cut(
    gateway: ScriptedGateway, queue: Path
) -> None:
    """And what is not stored may be cut anew, with what came in meanwhile."""
    limits = ClientLimits(gather_ms=5, backoff_ms_min=300, backoff_ms_max=300)
    for way, batches in ((unknown_and_lost, [[0], [0], [1]]), (not_stored, [[0], [0, 1]])):
        gateway.batches.clear()
        gateway.will(way)
        posts = len(gateway.headers)
        async with _client(gateway, queue, limits=limits) as client:
            ids = await _report(client, 1)
            await gateway.until_posts(posts + 1)
            ids += await _report(client, 1)
            assert await client.flush(PATIENCE_MS)
        assert gateway.batches == [[ids[place] for place in batch] for batch in batches]


async def test_a_refused_event_is_told_and_does_not_come_again(
    gateway: ScriptedGateway, queue: Path
) -> None:
    told: list[tuple[str, str]] = []
    gateway.will(refuse(1, 3), refuse(0))
    async with _client(
        gateway, queue, on_refused=lambda event, why: told.append((event["id"], why.reason))
    ) as client:
        ids = await client.report_many(
            {"type": "heartbeat", "session_id": SESSION_ID} for _ in range(5)
        )
        assert await client.flush(PATIENCE_MS)
        ids += await _report(client, 1)
        assert await client.flush(PATIENCE_MS)
        assert (client.tally.accepted, client.tally.refused) == (3, 3)
    assert told == [(ids[place], "schema") for place in (1, 3, 5)]
    gateway.require_each_once(ids[place] for place in (0, 2, 4))


async def test_an_event_that_is_refused_for_now_comes_again(
    gateway: ScriptedGateway, queue: Path
) -> None:
    gateway.will(refuse(1, status=503))
    async with _client(gateway, queue) as client:
        ids = await client.report_many(
            {"type": "heartbeat", "session_id": SESSION_ID} for _ in range(3)
        )
        assert await client.flush(PATIENCE_MS)
    gateway.require_each_once(ids)
    assert gateway.batches[1] == [ids[1]]


async def test_a_refused_token_is_replaced(gateway: ScriptedGateway, queue: Path) -> None:
    tokens = iter(["old", "new"])

    async def next_token() -> str:
        return next(tokens)

    gateway.will(unauthorized)
    async with _client(gateway, queue, token=next_token) as client:
        ids = await _report(client, 2)
        assert await client.flush(PATIENCE_MS)
    assert [sent["Authorization"] for sent in gateway.headers] == ["Bearer old", "Bearer new"]
    gateway.require_each_once(ids)


async def test_without_a_good_token_nothing_storms_and_nothing_is_lost(
    gateway: ScriptedGateway, queue: Path
) -> None:
    gateway.will(*[unauthorized] * 50)
    limits = ClientLimits(gather_ms=1, backoff_ms_min=1, unauthorized_ms=60_000, linger_ms=300)
    async with _client(gateway, queue, token="revoked", limits=limits) as client:
        ids = await _report(client, 2)
    assert len(gateway.headers) == 1
    gateway.script.clear()
    async with _client(gateway, queue, token="good") as client:
        assert await client.flush(PATIENCE_MS)
    gateway.require_each_once(ids)


async def test_batches_shrink_to_what_a_proxy_lets_through(
    gateway: ScriptedGateway, queue: Path
) -> None:
    gateway.will(*[at_most(3)] * 40)
    async with _client(gateway, queue) as client:
        ids = await client.report_many(
            {"type": "heartbeat", "session_id": SESSION_ID} for _ in range(20)
        )
        assert await client.flush(PATIENCE_MS)
    gateway.require_each_once(ids)


async def test_where_compressed_bodies_are_refused_they_are_sent_as_they_are(
    gateway: ScriptedGateway, queue: Path
) -> None:
    gateway.will(*[no_gzip] * 3)
    async with _client(gateway, queue) as client:
        ids = await client.report_many(
            {"type": "heartbeat", "session_id": SESSION_ID} for _ in range(20)
        )
        assert await client.flush(PATIENCE_MS)
        ids += await _report(client, 1)
        assert await client.flush(PATIENCE_MS)
    assert ["Content-Encoding" in sent for sent in gateway.headers] == [True, False, False]
    gateway.require_each_once(ids)


async def test_events_wait_while_nobody_listens(queue: Path) -> None:
    async with scripted_gateway() as gone:
        port = int(gone.url.rpartition(":")[2])
    async with _client(gone, queue) as client:
        ids = await _report(client, 5)
        assert not await client.flush(200)
        assert client.pending_count == 5
        async with scripted_gateway(port=port) as back:
            assert await client.flush(PATIENCE_MS)
        back.require_each_once(ids)


async def test_what_was_reported_outlives_kill_9(gateway: ScriptedGateway, queue: Path) -> None:
    """Killed with events in the file, in flight, and stored without an answer."""
    script = "tests.clients.reporting_process"
    ids: list[str] = []
    for way in (reset_before, hang, unknown_and_lost):
        gateway.will(*[way] * 1_000)
        posts = len(gateway.headers)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", script, f"{gateway.url}/v1/events", str(queue), SESSION_ID),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        ids += [(await process.stdout.readline()).decode().strip() for _ in range(20)]
        await gateway.until_posts(posts + 1)
        process.kill()
        ids += (await process.stdout.read()).decode().split()
        await process.wait()
        gateway.script.clear()
    async with _client(gateway, queue) as client:
        assert await client.flush(PATIENCE_MS)
    stored = {event_id for batch in gateway.batches for event_id in batch}
    gateway.require_each_once(set(ids) | (stored - set(ids)))
    assert set(ids) <= stored
    assert len(stored - set(ids)) <= 3, "of each process one event was not told before its end"


async def test_a_full_queue_takes_no_more_and_keeps_what_it_has(
    gateway: ScriptedGateway, queue: Path
) -> None:
    limits = ClientLimits(
        gather_ms=5, backoff_ms_min=5, backoff_ms_max=20, queue_bytes_max=2_000, linger_ms=1
    )
    ids: list[str] = []
    gateway.will(*[not_stored] * 1_000)
    async with _client(gateway, queue, limits=limits) as client:
        with suppress(QueueFullError):
            while len(ids) < 100:
                ids += await _report(client, 1)
        gateway.script.clear()
        assert await client.flush(PATIENCE_MS)
        ids += await _report(client, 1)
        assert await client.flush(PATIENCE_MS)
    assert 3 < len(ids) < 100
    gateway.require_each_once(ids)


async def test_a_queue_belongs_to_one_client(gateway: ScriptedGateway, queue: Path) -> None:
    async with _client(gateway, queue):
        with pytest.raises(QueueInUseError):
            await _client(gateway, queue).__aenter__()


async def test_what_the_gateway_could_never_take_is_not_queued(
    gateway: ScriptedGateway, queue: Path
) -> None:
    async with _client(gateway, queue) as client:
        with pytest.raises(InvalidMessageError):
            await client.report("interaction", SESSION_ID, name="x" * 70_000)
        assert client.pending_count == 0


async def test_a_client_that_died_says_so(gateway: ScriptedGateway, queue: Path) -> None:
    async def no_token() -> str:
        raise ValueError("no such secret")

    client = _client(gateway, queue, token=no_token)
    await client.__aenter__()
    await _report(client, 1)
    with pytest.raises(ValueError, match="no such secret"):
        await client.flush(PATIENCE_MS)
    with pytest.raises(ValueError, match="no such secret"):
        await client.__aexit__(None, None, None)
