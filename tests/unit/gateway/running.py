"""A gateway on a free port in the test's own loop, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from gateway.serve import Listening
from tests.gateway_fakes import World


@asynccontextmanager
async def running_gateway(world: World) -> AsyncIterator[aiohttp.ClientSession]:
    """The client's base URL is the gateway's."""
    listening = Listening(world.ports())
    announced = await listening.start()
    try:
        async with aiohttp.ClientSession(announced.url) as client:
            yield client
    finally:
        await listening.stop()
