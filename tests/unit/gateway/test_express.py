"""POSTs after the first of their head: answered as aiohttp would, and without it."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.express import Offer
from gateway.frames import frame_of
from gateway.gateway import GATEWAY
from gateway.serve import Listening
from streams.producer import UnavailableError
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS
from tests.gateway_fakes import World
from tests.unit.gateway.served import Served, answer_of, post_of, raw_answer, serving, until
from tests.unit.gateway.wire_events import an_event

CMCD = 'e=rr,mtp=(20000),rc=200,sid="x",sn={},ts=1795478075754,url="http://cdn/1.m4s",v=2\n'


class Posts:
    """POSTs of one session with one head but for its length."""

    def __init__(self, world: World, *headers: str, path: str = "events") -> None:
        self.claims = world.session_claims()
        token = world.session_token(self.claims)
        self._path = f"/s/{token}/{path}"
        self._headers = headers

    def of(self, body: bytes) -> bytes:
        return post_of(self._path, body, *self._headers)

    def event(self, **changes: object) -> bytes:
        return self.of(self.line(**changes))

    def line(self, **changes: object) -> bytes:
        return msgspec.json.encode(an_event(self.claims.sid, **changes))


class Counted:
    """How many requests were served without aiohttp, and how many of them went its way after."""

    def __init__(self, served: Served) -> None:
        connections = served.gateway.connections
        assert connections is not None
        self._serve: Callable[[Offer, bytes], Awaitable[bytes | None]] = connections.serve
        connections.serve = self._count
        self.served = self.passed_on = 0

    async def _count(self, offer: Offer, body: bytes) -> bytes | None:
        answer = await self._serve(offer, body)
        self.served += answer is not None
        self.passed_on += answer is None
        return answer


def same(answer: bytes) -> tuple[bytes, set[bytes], bytes]:
    """An answer without its date, whatever the order of its headers."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    return status, {line for line in lines if not line.startswith(b"Date:")}, body


@pytest.mark.parametrize("origin", [(), ("Origin: https://player.example",)])
async def test_events_are_answered_as_aiohttp_answers(world: World, origin: tuple[str]) -> None:
    """Given a head, when bodies of other lengths follow, then each is stored and told alike."""
    async with serving(world) as served:
        counted, posts = Counted(served), Posts(world, *origin)
        reader, writer = await served.connect()
        answers = []
        for pad in (0, 1, 2_000, 0):
            writer.write(posts.event(pad="x" * pad))
            answers.append(same(await raw_answer(reader)))
        assert answers[1:] == answers[:1] * 3
        assert (counted.served, counted.passed_on) == (3, 0)
        values = world.publisher.values(PLAYBACK_EVENTS)
        assert len(values) == 4
        assert all(value.stamp == values[0].stamp for value in values)
        text = served.gateway.metrics.render().decode()
        assert 'playhead_http_requests_total{route="postSessionEvents",status="202"} 4.0' in text
        assert re.search(r'playhead_events_total{outcome="accepted",topic="[^"]+"} 4.0', text)


async def test_cmcd_is_answered_as_aiohttp_answers(world: World) -> None:
    async with serving(world) as served:
        counted, posts = Counted(served), Posts(world, path="cmcd/tv")
        reader, writer = await served.connect()
        answers = []
        for number in (1, 10, 100):
            writer.write(posts.of(CMCD.format(number).encode()))
            answers.append(same(await raw_answer(reader)))
        assert answers[1:] == answers[:1] * 2
        assert counted.served == 2
        assert len(world.publisher.values(PLAYBACK_BANDWIDTH)) == 3


async def test_a_bearer_and_compressed_bodies_need_no_aiohttp_either(world: World) -> None:
    async with serving(world) as served:
        counted, posts = Counted(served), Posts(world)
        bearer = f"Authorization: Bearer {world.session_token(posts.claims)}"
        reader, writer = await served.connect()
        for pad in range(3):
            body = gzip.compress(posts.line(pad=str(pad)))
            writer.write(post_of("/v1/events", body, bearer, "Content-Encoding: gzip"))
            assert (await answer_of(reader))[0] == 202
        assert counted.served == 2
        assert len(world.publisher.values(PLAYBACK_EVENTS)) == 3


async def test_whatever_is_not_wholly_taken_is_told_by_aiohttp(world: World) -> None:
    """Given bodies with something wrong, then the first and the later ones are told the same."""
    foreign = msgspec.json.encode(an_event("0199a1f0-6c00-7000-8000-00000000ffff"))
    async with serving(world, events_body_bytes_max=20_000) as served:
        counted, posts = Counted(served), Posts(world)
        wrongs = [
            b"{",
            b"[]",
            foreign,
            posts.line() + b"\n" + foreign,
            posts.line(sequence=-1),
            b" " * 20_001,
        ]
        for wrong in wrongs:
            reader, writer = await served.connect()
            writer.write(posts.of(wrong))
            first = same(await raw_answer(reader))
            reader, writer = await served.connect()
            writer.write(posts.event())
            assert (await answer_of(reader))[0] == 202
            writer.write(posts.of(wrong))
            assert same(await raw_answer(reader)) == first
        assert counted.served == 0
        assert served.gateway.work.held_bytes == served.gateway.memory.held_bytes == 0


async def test_a_token_is_asked_each_time(world: World) -> None:
    async with serving(world) as served:
        posts = Posts(world)
        reader, writer = await served.connect()
        for expected, later_ms in ((202, 0), (202, 1_000), (401, 30 * 86_400_000)):
            world.clock.now_ms += later_ms
            writer.write(posts.event())
            assert (await answer_of(reader))[0] == expected


@pytest.mark.parametrize("outcome", ["unknown", "not_stored"])
async def test_a_log_that_fails_is_told(
    world: World, outcome: Literal["unknown", "not_stored"]
) -> None:
    async with serving(world) as served:
        counted, posts = Counted(served), Posts(world)
        reader, writer = await served.connect()
        writer.write(posts.event())
        assert (await answer_of(reader))[0] == 202
        world.publisher.away = UnavailableError(outcome, "away")
        writer.write(posts.event())
        answer = await raw_answer(reader)
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b'"outcome":"%b"' % outcome.encode() in answer
        assert b"Retry-After: " in answer
        world.publisher.away = None
        writer.write(posts.event())
        assert (await answer_of(reader))[0] == 202
        assert (counted.served, counted.passed_on) == (2, 0)


async def test_bodies_in_pieces_and_slow_ones(world: World) -> None:
    """Given a body in pieces, then it needs no aiohttp; one that stops gets aiohttp's deadline."""
    async with serving(world, body_deadline_ms=200) as served:
        counted, posts = Counted(served), Posts(world)
        reader, writer = await served.connect()
        for _ in range(2):
            request = posts.event(pad="x" * 5_000)
            for start in range(0, len(request), 1_000):
                writer.write(request[start : start + 1_000])
                await writer.drain()
                await asyncio.sleep(0.001)
            assert (await answer_of(reader))[0] == 202
        assert counted.served == 1
        writer.write(posts.event(pad="x" * 5_000)[:-1])
        assert (await answer_of(reader))[0] == 408


async def test_what_comes_behind_waits_for_its_turn(world: World) -> None:
    """Given three POSTs at once behind the first, then each is answered, in order."""
    async with serving(world) as served:
        posts = Posts(world)
        reader, writer = await served.connect()
        writer.write(posts.event())
        assert (await answer_of(reader))[0] == 202
        writer.write(posts.event() + posts.of(b"{") + posts.event())
        assert [(await answer_of(reader))[0] for _ in range(2)] == [202, 400]


async def test_a_client_that_leaves_leaves_nothing(world: World) -> None:
    async with serving(world) as served:
        acknowledged, posts = asyncio.Event(), Posts(world)
        reader, writer = await served.connect()
        writer.write(posts.event())
        assert (await answer_of(reader))[0] == 202
        world.publisher.delay = acknowledged.wait
        writer.write(posts.event() * 2)
        connections = served.gateway.connections
        assert connections is not None
        await until(lambda: bool(connections.serving))
        writer.close()
        await until(lambda: not connections.guards)
        acknowledged.set()
        await until(lambda: not connections.serving)
        assert len(world.publisher.values(PLAYBACK_EVENTS)) == 2
        assert connections.unanswered_bytes == connections.door.arriving_bytes == 0
        assert served.gateway.work.held_bytes == served.gateway.memory.held_bytes == 0


async def test_a_gateway_that_stops_answers_what_it_has(world: World) -> None:
    """Given a POST that waits for the log, when the gateway stops, then it is answered first."""
    acknowledged, posts = asyncio.Event(), Posts(world)
    listening = Listening(world.ports())
    announced = await listening.start()
    connections = listening.app[GATEWAY].connections
    assert connections is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", announced.port)
    writer.write(posts.event())
    assert (await answer_of(reader))[0] == 202
    world.publisher.delay = acknowledged.wait
    writer.write(posts.event())
    await until(lambda: bool(connections.serving))
    stopping = asyncio.create_task(listening.stop())
    done, _ = await asyncio.wait({stopping}, timeout=0.2)
    assert not done
    acknowledged.set()
    assert (await answer_of(reader))[0] == 202
    await stopping


@given(st.integers(0, 10**12), st.integers(0, 10**13), st.sampled_from(["", " ", "\t"]))
def test_a_frame_of_the_same_head_is_the_frame_of_its_own(first: int, then: int, pad: str) -> None:
    """`again` never tells another end than `frame_of`, and never of another head."""

    def head(length: int, host: str = "x") -> bytes:
        lines = f"Host: {host}\r\nContent-Length:{pad}{length}{pad}\r\nA: {first}"
        return f"POST /v1/events HTTP/1.1\r\n{lines}\r\n\r\n".encode()

    frame = frame_of(head(first))
    if frame is None:
        assert first >= 10**12
        return
    assert frame.again(head(then) + b"rest") == frame_of(head(then) + b"rest")
    assert frame.again(head(then)[:-1]) is None
    assert frame.again(head(then, "y")) is None
