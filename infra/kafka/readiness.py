"""Asks a broker for its metadata: it is ready once the answer names a broker."""

import asyncio

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

ANSWER_TIMEOUT_MS = 2000
POLL_INTERVAL_S = 0.05


async def is_ready(bootstrap: str) -> bool:
    """Whether one of the bootstrap servers answers a Metadata request by naming a broker."""
    for server in bootstrap.split(","):
        host, _, port = server.strip().rpartition(":")
        if await _count_brokers(host, int(port)):
            return True
    return False


async def wait_brokers(bootstrap: str, brokers: int, timeout_s: float = 60.0) -> None:
    """Return when so many brokers are in the cluster; raises TimeoutError after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        for server in bootstrap.split(","):
            host, _, port = server.strip().rpartition(":")
            while await _count_brokers(host, int(port)) < brokers:  # noqa: ASYNC110 (the same)
                await asyncio.sleep(POLL_INTERVAL_S)


async def wait_ready(bootstrap: str, timeout_s: float = 30.0) -> None:
    """Return when the broker is ready; raises TimeoutError after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not await is_ready(bootstrap):  # noqa: ASYNC110 (the event is in another process)
            await asyncio.sleep(POLL_INTERVAL_S)


async def _count_brokers(host: str, port: int) -> int:
    try:
        connection = await create_conn(host, port, request_timeout_ms=ANSWER_TIMEOUT_MS)
    except (OSError, KafkaError, TimeoutError):
        return 0
    try:
        answer = await connection.send(MetadataRequest([]))
        return len(answer.brokers)
    except (KafkaError, TimeoutError):
        return 0
    finally:
        connection.close()
