"""Connections are accepted at once, however long the loop's turns are."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import ExitStack, closing

import pytest
import uvloop

from gateway import accepting
from gateway.accepting import Acceptor

CONNECTIONS = 300
TURNS_MAX = 20


def test_many_that_come_at_once_are_accepted_within_a_few_turns_of_the_loop() -> None:
    """libuv's own server takes one in each: 300 turns."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        turns = runner.run(turns_until_accepted())
    assert turns < TURNS_MAX


async def turns_until_accepted() -> int:
    made: list[asyncio.Protocol] = []

    def make_protocol() -> asyncio.Protocol:
        made.append(asyncio.Protocol())
        return made[-1]

    acceptor = Acceptor(make_protocol)
    port = acceptor.start("127.0.0.1", 0)
    turns = 0
    with ExitStack() as opened:
        for _ in range(CONNECTIONS):  # the kernel takes them: the loop has no turn meanwhile
            opened.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
        while len(made) < CONNECTIONS:
            turns += 1
            await asyncio.sleep(0)
    acceptor.stop()
    return turns


async def test_without_descriptors_it_tries_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    accept, attempts = socket.socket.accept, 0

    def fail_first(self: socket.socket) -> tuple[socket.socket, object]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise OSError(errno.EMFILE, "too many open files")
        return accept(self)

    monkeypatch.setattr(accepting, "EXHAUSTED_S", 0.01)
    monkeypatch.setattr(socket.socket, "accept", fail_first)
    is_made = asyncio.Event()

    class Told(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            is_made.set()
            transport.close()

    acceptor = Acceptor(Told)
    port = acceptor.start("127.0.0.1", 0)
    with closing(socket.create_connection(("127.0.0.1", port))):
        async with asyncio.timeout(5):
            await is_made.wait()
    acceptor.stop()
    assert attempts > 1


async def test_who_stopped_takes_no_more() -> None:
    acceptor = Acceptor(asyncio.Protocol)
    port = acceptor.start("127.0.0.1", 0)
    acceptor.stop()
    acceptor.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
