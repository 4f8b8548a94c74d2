"""A program for tests: a gateway with little room and a log that takes its time.

`python -m tests.unit.gateway.small_gateway` prints its port and tokens, then its resident memory in
bytes for every line that it reads.
"""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec
import uvloop

from gateway.config import Limits
from gateway.serve import Listening
from infra.bench.processes import resident_bytes
from tests.gateway_fakes import World

LIMITS = Limits(memory_bytes_max=32 << 20, events_work_bytes_max=4 << 20)
SESSIONS = 96
LOG_S = 0.3


async def main() -> None:
    world = World()

    async def take_time() -> None:
        await asyncio.sleep(LOG_S)
        world.publisher.rows.clear()

    world.publisher.delay = take_time
    world.config = msgspec.structs.replace(world.config, limits=LIMITS)
    announced = await Listening(world.ports()).start()
    claims = [world.session_claims() for _ in range(SESSIONS)]
    sessions = [(each.sid, world.session_token(each)) for each in claims]
    print(msgspec.json.encode([announced.port, sessions]).decode(), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(resident_bytes(os.getpid()), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
