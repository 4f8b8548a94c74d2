"""The event loop that the deployment's processes run on: uvloop takes a tenth less of their CPU."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import uvloop

from streams.lost_connections import expect_lost_connections


def run_process(main: Coroutine[Any, Any, None]) -> None:
    """Run this process's one coroutine to its end; whatever talks to Kafka in it may lose its
    connections."""
    expect_lost_connections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
