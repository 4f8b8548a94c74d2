"""Whatever is thrown at a gateway, its memory stays within what its limits say."""

from __future__ import annotations

import asyncio
import gzip
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter

import msgspec
import pytest

from tests.unit.gateway.small_gateway import LIMITS
from tests.unit.gateway.wire_events import an_event

FLOOD_S = 4.0
DRIP_S = 1.0
DECODED = 8
"""Events are so many times as large while they are read as they are on the wire."""


@pytest.mark.timeout(120)
async def test_resident_memory_stays_within_the_budget() -> None:
    """Given 96 clients with bodies of a megabyte: whole, dripping, compressed to a hundredth."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.unit.gateway.small_gateway"), stdin=PIPE, stdout=PIPE
    )
    try:
        assert process.stdout is not None
        told = await asyncio.wait_for(process.stdout.readline(), 60)
        port, sessions = msgspec.json.decode(told, type=tuple[int, list[tuple[str, str]]])
        before = await resident(process)
        statuses: Counter[int] = Counter()
        kinds = ("whole", "drip", "gzip")
        clients = [
            asyncio.create_task(send_for_ever(port, *session, kinds[number % 3], statuses))
            for number, session in enumerate(sessions)
        ]
        most = 0
        deadline_s = asyncio.get_running_loop().time() + FLOOD_S
        while asyncio.get_running_loop().time() < deadline_s or not statuses[202]:
            most = max(most, await resident(process))
            await asyncio.sleep(0.05)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
    finally:
        process.kill()
        await process.wait()
    assert statuses[503] > 50, "it was too much"
    budget = LIMITS.memory_bytes_max + DECODED * LIMITS.events_work_bytes_max
    assert most - before < budget, f"{(most - before) >> 20} MiB more than idle"


async def resident(process: Process) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    return int(await asyncio.wait_for(process.stdout.readline(), 30))


async def send_for_ever(
    port: int, session_id: str, token: str, kind: str, statuses: Counter[int]
) -> None:
    body = b"\n".join([msgspec.json.encode(an_event(session_id, pad="x" * 1_800))] * 480)
    encoding = ""
    if kind == "gzip":
        body, encoding = gzip.compress(body), "Content-Encoding: gzip\r\n"
    head = (
        f"POST /s/{token}/events HTTP/1.1\r\nHost: x\r\n{encoding}"
        f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + body[:-10])
            await asyncio.sleep(DRIP_S if kind == "drip" else 0)
            writer.write(body[-10:])
            async with asyncio.timeout(30):  # 3.11's wait_for may swallow that it is cancelled
                line = await reader.readline()
            statuses[int(line[9:12] or 0)] += 1
            writer.close()
        except ConnectionError:
            statuses[0] += 1
        await asyncio.sleep(0.02)
