"""The aiohttp application of a gateway, built from its ports; nothing runs before it starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from gateway.cors import add_cors
from gateway.gateway import GATEWAY, Gateway
from gateway.middlewares import serve_request
from gateway.openapi import openapi_document
from gateway.pages import OPENAPI, add_pages
from gateway.ports import GatewayPorts
from gateway.routes import ROUTES, add_routes


def build_app(ports: GatewayPorts) -> web.Application:
    """The ports are started before the application starts and stopped after it stops."""
    gateway = Gateway(ports)
    app = web.Application(middlewares=[serve_request])
    app[GATEWAY] = gateway
    app[OPENAPI] = openapi_document(ROUTES, gateway.limits)
    add_routes(app)
    add_pages(app, ports.config)
    app.on_response_prepare.append(add_cors)
    app.on_shutdown.append(_drain)
    app.cleanup_ctx.append(_keep_running)
    _watch(gateway)
    return app


def _watch(gateway: Gateway) -> None:
    metrics, publisher = gateway.metrics, gateway.ports.publisher
    metrics.watch(
        "playhead_held_bytes", "Bodies of open requests.", lambda: gateway.memory.held_bytes
    )
    metrics.watch(
        "playhead_events_work_bytes",
        "Bodies of events that are here and not answered.",
        lambda: gateway.work.held_bytes,
    )
    metrics.watch(
        "playhead_unacknowledged_bytes",
        "Records that wait for the broker.",
        lambda: publisher.unacknowledged_bytes,
    )
    metrics.watch(
        "playhead_open_requests", "Open requests.", lambda: sum(gateway.slots.open.values())
    )
    metrics.watch(
        "playhead_licenses_open_max",
        "Questions to the license agent that may be open at once, as its answers show.",
        lambda: float(gateway.license_pace.open_max),
    )
    metrics.watch("playhead_ready", "1: ready.", lambda: float(gateway.readiness.is_ready))


async def _keep_running(app: web.Application) -> AsyncIterator[None]:
    """What goes on beside requests, from the start to the stop."""
    gateway = app[GATEWAY]
    await gateway.readiness.probe()
    await gateway.upstreams.start()
    tasks = (
        asyncio.create_task(gateway.readiness.run(gateway.metrics), name="readiness"),
        asyncio.create_task(gateway.ledger.run(), name="ledger"),
    )
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await gateway.beside.finish()
    await gateway.ledger.stop()
    await gateway.upstreams.stop()
    gateway.regions.close()


async def _drain(app: web.Application) -> None:
    """Streams end, long polls answer; requests that are open go on."""
    gateway = app[GATEWAY]
    gateway.is_draining = True
    gateway.views.changes.wake_all()
