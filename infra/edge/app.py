"""Puts one edge together: routes, CORS, the link to the gateway, and what starts and ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST as METRICS_TYPE

from infra.content.storage import Storage
from infra.edge.admin import EdgeAdmin, refusal
from infra.edge.config import EdgeConfig
from infra.edge.cors import object_headers, preflight_headers
from infra.edge.decisions import DecisionView
from infra.edge.fault import FaultSwitch
from infra.edge.gateway_link import GatewayLink
from infra.edge.link import SessionLinks
from infra.edge.logs import LogQueue
from infra.edge.metrics import EdgeMetrics
from infra.edge.objects import ObjectCache
from infra.edge.serving import EdgeParts, ObjectServer
from infra.edge.throttle import Throttle

BODY_BYTES_MAX = 128 << 10
METHODS = "GET, HEAD, PUT, OPTIONS"


def build_edge(
    config: EdgeConfig, *, instance: str, now_ms: Callable[[], int], now_s: Callable[[], float]
) -> web.Application:
    """An edge that is not running yet; `instance` is new for every start."""
    parts = EdgeParts(
        name=config.name,
        source=f"edge-{config.name}-{instance}",
        objects=ObjectCache(Storage(config.storage_url), config.cache_bytes_max),
        decisions=DecisionView(),
        throttle=Throttle(now_s),
        links=SessionLinks(now_s),
        fault=FaultSwitch(),
        logs=LogQueue(config.log_queue_bytes_max),
        metrics=EdgeMetrics(),
        now_ms=now_ms,
    )
    link = GatewayLink(
        url=config.gateway_url,
        token_file=config.token_file,
        decisions=parts.decisions,
        logs=parts.logs,
        metrics=parts.metrics,
        now_ms=now_ms,
    )
    app = web.Application(middlewares=[_guard], client_max_size=BODY_BYTES_MAX)
    app.on_response_prepare.append(_add_cors)
    app.cleanup_ctx.append(_keep_linked(link))
    _add_routes(app, parts, link)
    return app


def _add_routes(app: web.Application, parts: EdgeParts, link: GatewayLink) -> None:
    server = ObjectServer(parts)
    admin = EdgeAdmin(parts, link, server)

    async def livez(request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=parts.metrics.render(), headers={"Content-Type": METRICS_TYPE})

    app.router.add_get("/livez", livez)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/_edge/state", admin.state)
    app.router.add_put("/_edge/throttle", admin.put_throttle)
    app.router.add_put("/_edge/fault", admin.put_fault)
    app.router.add_put("/_edge/links/{session_id}", admin.put_link)
    app.router.add_get("/_edge/links/{session_id}", admin.link)
    app.router.add_get("/{content_id}/{path:.+}", server.handle)


def _keep_linked(link: GatewayLink) -> Callable[[web.Application], AsyncIterator[None]]:
    async def linked(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as client:
            tasks = (
                asyncio.create_task(link.follow_decisions(client)),
                asyncio.create_task(link.ship_logs(client)),
            )
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return linked


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    refused = refusal(request)
    if refused is not None:
        return refused
    if request.method == "OPTIONS":
        return web.Response(status=204, headers=preflight_headers(METHODS))
    return await handler(request)


async def _add_cors(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(object_headers(request.headers.get("Origin")))
