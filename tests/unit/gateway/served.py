"""A gateway that listens, and bare connections to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from gateway.gateway import GATEWAY, Gateway
from gateway.serve import Listening
from tests.gateway_fakes import World
from tests.unit.gateway.wire_events import an_event

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """A gateway, and connections to it."""

    def __init__(self, world: World, gateway: Gateway, port: int) -> None:
        self.world = world
        self.gateway = gateway
        self._port = port

    def fill(self, share: float) -> None:
        """Let so much of the room for work be taken by others."""
        self.gateway.work.held_bytes = int(share * self.gateway.work.bytes_max)

    async def connect(self) -> Stream:
        return await asyncio.open_connection("127.0.0.1", self._port)

    def post(self, event_type: str = "heartbeat", *headers: str, pad: int = 0) -> bytes:
        claims = self.world.session_claims()
        body = msgspec.json.encode(an_event(claims.sid, type=event_type, pad="x" * pad))
        path = f"/s/{self.world.session_token(claims)}/events"
        return post_of(path, body, "Content-Type: application/json", *headers)


def post_of(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(world: World, **limits: int) -> AsyncIterator[Served]:
    changed = msgspec.structs.replace(world.config.limits, **limits)
    world.config = msgspec.structs.replace(world.config, limits=changed)
    listening = Listening(world.ports())
    announced = await listening.start()
    try:
        yield Served(world, listening.app[GATEWAY], announced.port)
    finally:
        await listening.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - of several tasks
            await asyncio.sleep(0.01)


async def raw_answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return head + await reader.readexactly(int(length or 0))


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head, _, body = (await raw_answer(reader)).partition(b"\r\n\r\n")
    return int(head.split()[1]), body
