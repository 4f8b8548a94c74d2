"""A gateway with fakes in a thread of its own, for clients that are not async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.pages import OPENAPI
from gateway.serve import Listening
from tests.builders import a_title
from tests.gateway_fakes import World
from tests.unit.gateway.answering import let_all_answer


@dataclass
class ServedGateway:
    """Its address, its own description, and what stands behind it."""

    url: str
    document: dict[str, Any]
    world: World


@contextmanager
def served_gateway() -> Iterator[ServedGateway]:
    """Every agent answers and grants; one title is there."""
    world = World()
    let_all_answer(world)
    world.titles.put("tears", a_title(poster="poster.jpg"))
    listening = Listening(world.ports())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    announced = asyncio.run_coroutine_threadsafe(listening.start(), loop).result(10)
    try:
        yield ServedGateway(announced.url, _document(listening), world)
    finally:
        asyncio.run_coroutine_threadsafe(listening.stop(), loop).result(15)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _document(listening: Listening) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(listening.app[OPENAPI])
    return document
