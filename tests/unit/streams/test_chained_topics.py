"""After a record that may be missing, nothing more is written that would follow it."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import MagicMock

import pytest
from aiokafka.errors import KafkaConnectionError

from schemas.secrets import SecretBytes
from streams.broker import Broker
from streams.producer import Publisher, UnavailableError
from streams.topic import Topic
from streams.topics import LICENSE_DECISIONS, SESSIONS


class Line:
    """`streams.connection.Connection` whose broker answers what a test says, when it says so."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.answers: list[asyncio.Future[int]] = []
        self.asked: asyncio.Queue[None] = asyncio.Queue()

    def create_batch(self) -> Any:
        return MagicMock()

    async def send(self, batch: Any, _: str, __: int) -> int:
        self.sent.append(batch)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        self.asked.put_nowait(None)
        return await answer

    async def stop(self) -> None:
        """Nothing to close."""


def a_publisher(timeout_ms: int = 10_000) -> tuple[Publisher, Line]:
    broker, line = Broker(bootstrap="", namespace=""), Line()
    publisher = Publisher(
        broker, client_id="test", state_key=SecretBytes(b"k" * 32), delivery_timeout_ms=timeout_ms
    )
    publisher._connection = line  # type: ignore[assignment]
    return publisher, line


async def begun(publisher: Publisher, line: Line, topic: Topic) -> list[asyncio.Task[Any]]:
    """Two records: the first on its way, the second waiting behind it."""
    first = asyncio.create_task(publisher.publish(topic, "key", b"1", partition=0))
    await line.asked.get()
    second = asyncio.create_task(publisher.publish(topic, "key", b"2", partition=0))
    await asyncio.sleep(0)
    return [first, second]


async def test_what_follows_a_failed_record_is_not_written() -> None:
    publisher, line = a_publisher()
    writing = await begun(publisher, line, LICENSE_DECISIONS)
    line.answers[0].set_exception(KafkaConnectionError())
    found = await asyncio.gather(*writing, return_exceptions=True)
    assert [getattr(each, "outcome", each) for each in found] == ["unknown", "not_stored"]
    with pytest.raises(UnavailableError, match="not_stored"):
        await publisher.publish(LICENSE_DECISIONS, "key", b"3", partition=0)
    assert len(line.sent) == 1
    assert publisher.unacknowledged_bytes == 0
    await publisher.stop()


async def test_what_follows_a_record_that_was_given_up_unsent_is_not_written() -> None:
    publisher, line = a_publisher()
    writing = await begun(publisher, line, LICENSE_DECISIONS)
    third = asyncio.create_task(publisher.publish(LICENSE_DECISIONS, "key", b"3", partition=0))
    await asyncio.sleep(0)
    publisher._awaited[1].fail(UnavailableError("unknown", "no acknowledgment in time"))
    line.answers[0].set_result(0)
    assert (await writing[0]).offset == 0
    with pytest.raises(UnavailableError, match="not_stored"):
        await third
    assert len(line.sent) == 1
    await asyncio.gather(*writing, return_exceptions=True)
    await publisher.stop()


async def test_records_that_stand_alone_go_on() -> None:
    publisher, line = a_publisher()
    writing = await begun(publisher, line, SESSIONS)
    line.answers[0].set_exception(KafkaConnectionError())
    await line.asked.get()
    line.answers[1].set_result(7)
    found = await asyncio.gather(*writing, return_exceptions=True)
    assert getattr(found[0], "outcome", None) == "unknown"
    assert getattr(found[1], "offset", None) == 7
    await publisher.stop()
