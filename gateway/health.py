"""Health that tells the truth, and metrics."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.answers import NO_STORE, answer
from gateway.bodies import HealthAnswer
from gateway.gateway import gateway_of


async def get_livez(_request: web.Request) -> web.Response:
    """The loop turns; Kafka has no say here, or its outage would restart every gateway."""
    return answer(HealthAnswer(status="ok"), headers=NO_STORE)


async def get_readyz(request: web.Request) -> web.Response:
    """200 while the broker has acknowledged lately and the gateway does not drain; else 503."""
    gateway = gateway_of(request)
    is_ready = gateway.readiness.is_ready and not gateway.is_draining
    body = HealthAnswer(
        status="ok" if is_ready else "unavailable",
        broker_acknowledged_ms_ago=gateway.readiness.heard_ms_ago(),
    )
    return answer(body, 200 if is_ready else 503, NO_STORE)


async def get_metrics(request: web.Request) -> web.Response:
    """Prometheus' text format."""
    body = gateway_of(request).metrics.render()
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
