"""The floor under the gateway: bare aiohttp and bare aiokafka, nothing checked, nothing decoded.

One sender per partition, batches grow under load, acks=all: what any Python gateway that
acknowledges only what the broker has must pay.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
from pathlib import Path

import uvloop
from aiohttp import web
from aiokafka import AIOKafkaProducer

from infra.files import write_whole


class Floor:
    """Takes NDJSON bodies and writes each line as a record."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=0
        )
        self._topic = topic
        self._queues: list[asyncio.Queue[tuple[list[bytes], asyncio.Future[None]]]] = [
            asyncio.Queue() for _ in range(partitions)
        ]
        self._next = itertools.cycle(range(partitions))

    async def start(self) -> list[asyncio.Task[None]]:
        """Connect; the senders, one a partition."""
        await self._producer.start()
        return [asyncio.create_task(self._send(i)) for i in range(len(self._queues))]

    async def take(self, request: web.Request) -> web.Response:
        """One POST to one partition, as all events of a session go to one."""
        lines = (await request.read()).splitlines()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues[next(self._next)].put_nowait((lines, done))
        await done
        return web.Response(status=202, body=b'{"accepted":%d}' % len(lines))

    async def _send(self, partition: int) -> None:
        queue = self._queues[partition]
        while True:
            posts = [await queue.get()]
            while not queue.empty():
                posts.append(queue.get_nowait())
            pending: list[asyncio.Future[object]] = []
            batch = self._producer.create_batch()
            for lines, _ in posts:
                for line in lines:
                    if batch.append(key=None, value=line, timestamp=None) is None:
                        pending.append(await self._flush(batch, partition))
                        batch = self._producer.create_batch()
                        batch.append(key=None, value=line, timestamp=None)
            pending.append(await self._flush(batch, partition))
            await asyncio.gather(*pending)
            for _, done in posts:
                done.set_result(None)

    async def _flush(self, batch: object, partition: int) -> asyncio.Future[object]:
        future: asyncio.Future[object] = await self._producer.send_batch(
            batch, self._topic, partition=partition
        )
        return future


async def serve(bootstrap: str, topic: str, partitions: int, announce: Path) -> None:
    """Listen on a free loopback port until killed."""
    floor = Floor(bootstrap, topic, partitions)
    tasks = await floor.start()
    app = web.Application(client_max_size=4 << 20)
    app.router.add_post("/", floor.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    told = json.dumps({"port": runner.addresses[0][1], "pid": os.getpid()})
    await asyncio.to_thread(write_whole, announce, told.encode())
    await asyncio.gather(*tasks)


def main() -> None:
    """Run on uvloop."""
    parser = argparse.ArgumentParser(prog="python -m infra.bench.floor")
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("partitions", type=int)
    parser.add_argument("announce", type=Path)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.bootstrap, given.topic, given.partitions, given.announce))


if __name__ == "__main__":
    main()
