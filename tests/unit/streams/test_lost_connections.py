"""Under uvloop a connection that was lost a moment ago is what aiokafka takes for one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest

from streams.lost_connections import expect_lost_connections


@pytest.fixture
def as_it_was() -> Iterator[None]:
    send = AIOKafkaConnection.send
    yield
    AIOKafkaConnection.send = send


async def write_until_it_is_told() -> BaseException:
    """What a write raises on a connection that is cut off amid the writing."""

    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    server = await asyncio.start_server(cut_off, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection: Any = AIOKafkaConnection("127.0.0.1", port, request_timeout_ms=1_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection._reader, connection._writer = reader, writer  # whose read task was not told yet
    connection._read_task = asyncio.create_task(asyncio.sleep(10))
    waits = list[asyncio.Future[Any]]()
    try:
        async with asyncio.timeout(10):
            while True:
                waits.append(asyncio.ensure_future(connection.send(ApiVersionRequest())))
                await asyncio.sleep(0)
    except (RuntimeError, KafkaConnectionError) as error:
        return error
    finally:
        for wait in waits:
            wait.cancel()
        connection._read_task = asyncio.create_task(asyncio.sleep(0))
        connection.close()
        server.close()


def on_uvloop() -> BaseException:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(write_until_it_is_told())


@pytest.mark.usefixtures("as_it_was")
def test_a_write_after_the_loss_says_that_the_connection_is_lost() -> None:
    assert isinstance(on_uvloop(), RuntimeError), "uvloop has changed: is this needed any more?"
    expect_lost_connections()
    expect_lost_connections()
    error = on_uvloop()
    assert isinstance(error, KafkaConnectionError)
    assert isinstance(error.__cause__, RuntimeError)
