"""The fault proxy: what it loses, cuts and delays, and that it says so."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from infra.faults.proxy import HOST, FaultProxy


class Always(random.Random):
    """Chance that strikes whatever it may."""

    def random(self) -> float:
        return 0.0


class Echo:
    """A server that answers each line with itself, and remembers what arrived."""

    def __init__(self) -> None:
        self.arrived: list[bytes] = []
        self.has_arrived = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                self.arrived.append(line)
                self.has_arrived.set()
                await self.may_answer.wait()
                writer.write(line)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[FaultProxy]:
    server = await asyncio.start_server(echo.serve, HOST, 0)
    proxy = FaultProxy(server.sockets[0].getsockname()[1], Always(1))
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()


async def ask(proxy: FaultProxy, line: bytes) -> bytes:
    """The answer; empty or ConnectionError where the connection was cut."""
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        writer.write(line)
        return await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.close()


async def is_cut(proxy: FaultProxy, line: bytes) -> bool:
    try:
        return await ask(proxy, line) == b""
    except ConnectionError:
        return True


async def test_it_forwards_both_ways(proxy: FaultProxy) -> None:
    assert await ask(proxy, b"hello\n") == b"hello\n"
    assert proxy.touched == 0


async def test_a_lost_answer_means_that_the_request_arrived(proxy: FaultProxy, echo: Echo) -> None:
    proxy.strike("lose")
    assert await is_cut(proxy, b"deliver me\n")
    assert echo.arrived == [b"deliver me\n"]
    assert proxy.touched == 1
    proxy.heal()
    assert await ask(proxy, b"again\n") == b"again\n"


async def test_a_reset_cuts_what_waits_for_its_answer(proxy: FaultProxy, echo: Echo) -> None:
    echo.may_answer.clear()
    asking = asyncio.create_task(is_cut(proxy, b"wait\n"))
    await asyncio.wait_for(echo.has_arrived.wait(), 5)
    assert proxy.waiting_count == 1
    proxy.strike("reset")
    assert await asking
    assert proxy.touched >= 1


async def test_a_slow_link_delays_and_delivers(proxy: FaultProxy) -> None:
    proxy.strike("slow")
    proxy.latency_s = 0.1
    began_s = asyncio.get_running_loop().time()
    assert await ask(proxy, b"slowly\n") == b"slowly\n"
    assert asyncio.get_running_loop().time() - began_s >= 0.2
    assert proxy.touched == 2


async def test_clients_see_that_nobody_listens_behind_it(proxy: FaultProxy) -> None:
    proxy.target_port = 1
    assert await is_cut(proxy, b"anybody\n")
