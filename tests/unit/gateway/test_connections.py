"""The door on real sockets: refused at once, answers in order, connections within their limits."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.pacing import TOO_MANY
from streams.producer import UnavailableError
from streams.topics import PLAYBACK_EVENTS
from tests.gateway_fakes import World
from tests.unit.gateway.served import answer_of, serving, until


async def test_a_connection_serves_on_after_refusals(world: World) -> None:
    """Given no room for measurements, when it comes back, then the same connection is served."""
    async with serving(world) as served:
        reader, writer = await served.connect()
        for _ in range(3):
            served.fill(0.8)
            writer.write(served.post())
            status, body = await answer_of(reader)
            assert status == 503
            assert b'"outcome":"not_stored"' in body
            writer.write(served.post("play"))
            assert (await answer_of(reader))[0] == 202, "a play is more urgent"
            served.fill(0)
            writer.write(served.post())
            assert (await answer_of(reader))[0] == 202
        assert len(served.world.publisher.values(PLAYBACK_EVENTS)) == 6
        text = served.gateway.metrics.render().decode()
        assert 'playhead_posts_turned_away_total{urgency="measurements"} 3.0' in text


async def test_refusals_keep_a_connection_alive_and_silence_ends_it(world: World) -> None:
    """Given a client that is refused for longer than a silent one may stay, then it may stay."""
    keep_alive_s = 0.4
    async with serving(world, keep_alive_ms=int(keep_alive_s * 1000)) as served:
        served.fill(0.8)
        reader, writer = await served.connect()
        ends_s = time.monotonic() + 2 * keep_alive_s
        while time.monotonic() < ends_s:
            writer.write(served.post())
            assert (await answer_of(reader))[0] == 503
            await asyncio.sleep(keep_alive_s / 20)
        served.fill(0)
        writer.write(served.post())
        assert (await answer_of(reader))[0] == 202
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_who_hammers_for_a_license_waits_for_the_next_refusal(world: World) -> None:
    """Given too many licenses, when a player asks again at once, then its answer takes a second."""
    delay_ms = 50
    async with serving(world, unavailable_license_delay_ms=delay_ms) as served:
        pace = served.gateway.license_pace
        pace.open_count = pace.open_max
        license_ = f"POST /s/{world.session_token()}/license HTTP/1.1\r\nHost: x\r\n"
        body = b'{"kids":["MTIzNDU2Nzg5MGFiY2RlZg"],"type":"temporary"}'
        request = f"{license_}Content-Length: {len(body)}\r\n\r\n".encode() + body
        reader, writer = await served.connect()
        took_ms = []
        for _ in range(3):
            asked_s = time.monotonic()
            writer.write(request)
            status, said = await answer_of(reader)
            took_ms.append((time.monotonic() - asked_s) * 1000)
            assert (status, TOO_MANY.encode() in said) == (503, True)
        assert min(took_ms[1:]) >= delay_ms
        text = served.gateway.metrics.render().decode()
        assert 'playhead_posts_turned_away_total{urgency="essential"} 3.0' in text
        pace.open_count = 0
        assert world.asker.asked == []


async def test_bytes_of_a_refused_body_are_no_request(world: World) -> None:
    """Given a body that holds a request of its own, when it is refused, then nobody reads it."""
    async with serving(world) as served:
        served.fill(0.8)
        reader, writer = await served.connect()
        inner = served.post("play")
        outer = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(inner)
        writer.write(outer)
        await writer.drain()
        assert (await answer_of(reader))[0] == 503, "before its body came"
        for start in range(0, len(inner), 100):
            writer.write(inner[start : start + 100])
            await asyncio.sleep(0)
        writer.write(served.post("play"))
        assert (await answer_of(reader))[0] == 202
        assert len(served.world.publisher.values(PLAYBACK_EVENTS)) == 1


async def test_heads_in_pieces_are_put_together(world: World) -> None:
    async with serving(world) as served:
        reader, writer = await served.connect()
        for expected, filled in ((202, 0.0), (503, 0.8), (202, 0.0)):
            served.fill(filled)
            request = served.post()
            for start in range(0, len(request), 90):
                writer.write(request[start : start + 90])
                await writer.drain()
                await asyncio.sleep(0.001)
            assert (await answer_of(reader))[0] == expected


async def test_pipelined_and_chunked_requests_are_the_last_of_their_connection(
    world: World,
) -> None:
    async with serving(world) as served:
        chunked = served.post().replace(b"Content-Length", b"X-Length", 1)
        head, _, body = chunked.partition(b"\r\n\r\n")
        chunked = head + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunked += b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        for sent in (served.post() + served.post("play"), chunked):
            reader, writer = await served.connect()
            writer.write(sent)
            async with asyncio.timeout(5):
                told = await reader.read()
            assert told.count(b"HTTP/1.1 202") == 1
            assert b"\r\nconnection: close" in told.lower()


async def test_while_the_log_is_away_events_are_refused_at_once(world: World) -> None:
    async with serving(world) as served:
        world.publisher.away = UnavailableError("unknown", "away")
        world.clock.now_ms += 60_000
        await served.gateway.readiness.probe()
        reader, writer = await served.connect()
        for request in (served.post("play"), served.post("play", "Connection: close")):
            writer.write(request)
            status, body = await answer_of(reader)
            assert status == 503
            assert b'"outcome":"not_stored"' in body
        world.publisher.away = None
        await served.gateway.readiness.probe()
        reader, writer = await served.connect()
        writer.write(served.post("play"))
        assert (await answer_of(reader))[0] == 202


async def test_a_connection_holds_only_so_much(world: World) -> None:
    """Given a peer that pipelines behind a request, when it is too much, then it is cut off."""
    async with serving(world, connection_bytes_max=20_000) as served:
        acknowledged = asyncio.Event()
        world.publisher.delay = acknowledged.wait
        reader, writer = await served.connect()
        writer.write(served.post(pad=5_000) * 5)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await answer_of(reader)
        acknowledged.set()
        connections = served.gateway.connections
        assert connections is not None
        await until(lambda: not connections.guards)
        assert connections.unanswered_bytes == 0
        assert connections.door.arriving_bytes == 0


async def test_one_connection_too_many_is_told_so(world: World) -> None:
    async with serving(world, connections_max=2) as served:
        kept = [await served.connect() for _ in range(2)]
        for reader, writer in kept:
            writer.write(served.post())
            assert (await answer_of(reader))[0] == 202
        reader, _ = await served.connect()
        assert (await answer_of(reader))[0] == 503
        assert await reader.read() == b""
        kept[0][1].close()
        await kept[0][1].wait_closed()
        reader, writer = await served.connect()
        writer.write(served.post())
        assert (await answer_of(reader))[0] == 202


async def test_one_session_cannot_take_all_the_room(world: World) -> None:
    """Given a session whose POSTs wait for the broker, then others still find room."""
    async with serving(world, events_work_bytes_max=64 << 10) as served:
        acknowledged = asyncio.Event()
        world.publisher.delay = acknowledged.wait
        greedy = served.post("play")
        statuses: list[int] = []

        async def post(request: bytes) -> None:
            reader, writer = await served.connect()
            writer.write(request)
            statuses.append((await answer_of(reader))[0])
            writer.close()

        posts = [asyncio.create_task(post(greedy)) for _ in range(8)]
        await until(lambda: len(statuses) == 5)
        assert set(statuses) == {503}, "a quarter of the room is three of them"
        modest = asyncio.create_task(post(served.post("play")))
        await until(lambda: served.gateway.work.held_bytes > 4 * 4_096)
        acknowledged.set()
        await asyncio.gather(*posts, modest)
        assert sorted(statuses) == [202] * 4 + [503] * 5
        assert served.gateway.work.held_bytes == served.gateway.memory.held_bytes == 0
