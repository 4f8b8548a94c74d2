"""A process that reports events until it is killed: `URL QUEUE SESSION`; prints each id it has."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.client import EventClient


async def main(url: str, queue: str, session_id: str) -> None:
    async with EventClient(url, queue=Path(queue)) as client:
        while True:
            print(await client.report("heartbeat", session_id, playhead_ms=1), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
