"""Fixtures only."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.gateway_fakes import World
from tests.unit.gateway.running import running_gateway


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[aiohttp.ClientSession]:
    async with running_gateway(world) as session:
        yield session
