"""Asks until it is so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp

from infra.clickhouse.client import parse_url
from tests.e2e.stack import RunningStack

T = TypeVar("T")

PATIENCE_S = 60
LOOK_S = 0.4


async def until(ask: Callable[[], Awaitable[T]], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first answer that is true; AssertionError with `what` was waited for."""
    deadline_s = time.monotonic() + patience_s
    while True:
        answer = await ask()
        if answer:
            return answer
        assert time.monotonic() < deadline_s, f"not within {patience_s} s: {what}"
        await asyncio.sleep(LOOK_S)


async def until_rows(
    stack: RunningStack, query: str, patience_s: float = PATIENCE_S, **parameters: str
) -> list[dict[str, Any]]:
    """The rows of a query over port 8123, once there are any."""
    address = parse_url(stack.deployment.reader_url())
    url = f"{address.scheme}://{address.host}:{address.port}/"
    told = {"database": address.database}
    told |= {f"param_{name}": value for name, value in parameters.items()}
    async with aiohttp.ClientSession() as http:

        async def ask() -> list[dict[str, Any]]:
            body = f"{query} FORMAT JSON".encode()
            async with http.post(url, params=told, data=body) as response:
                assert response.status == 200, await response.text()
                rows: list[dict[str, Any]] = (await response.json(content_type=None))["data"]
                return rows

        return await until(ask, query, patience_s)
