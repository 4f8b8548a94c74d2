"""Single records that come right after others wait for company; what comes alone does not."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import MagicMock

from streams.broker import Broker
from streams.producer import Publisher
from streams.topics import LICENSE_REQUESTS

GATHER_S = 0.02


class Line:
    """`streams.connection.Connection` that acknowledges at once and knows when it was asked."""

    def __init__(self) -> None:
        self.sent_s: list[float] = []

    def create_batch(self) -> Any:
        return MagicMock()

    async def send(self, batch: Any, _: str, __: int) -> int:
        self.sent_s.append(asyncio.get_running_loop().time())
        return 0

    async def stop(self) -> None:
        """Nothing to close."""


async def written(publisher: Publisher, partitions: int) -> None:
    await asyncio.gather(
        *(
            publisher.publish(LICENSE_REQUESTS, "key", b"1", partition=partition)
            for partition in range(partitions)
        )
    )


def a_publisher(**options: Any) -> tuple[Publisher, Line]:
    publisher, line = Publisher(Broker(bootstrap=""), client_id="test", **options), Line()
    publisher._connection = line  # type: ignore[assignment]  # it notes what it is given
    return publisher, line


async def test_the_first_goes_at_once_and_what_follows_goes_together() -> None:
    publisher, line = a_publisher(gather_s=GATHER_S)
    began_s = asyncio.get_running_loop().time()
    await written(publisher, 1)
    assert line.sent_s[0] - began_s < GATHER_S
    await written(publisher, 4)
    first_s, *others_s = line.sent_s
    assert len(others_s) == 4
    assert min(others_s) - first_s >= GATHER_S - 0.002  # timers are coarse
    assert max(others_s) - min(others_s) < GATHER_S / 2
    await publisher.stop()


async def test_unasked_nothing_waits() -> None:
    publisher, line = a_publisher()
    await written(publisher, 1)
    await written(publisher, 4)
    assert max(line.sent_s) - min(line.sent_s) < GATHER_S
    await publisher.stop()
