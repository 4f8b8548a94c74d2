"""Health, metrics and this API's own description."""

from __future__ import annotations

from typing import Final

from gateway import health, operations, overview, pages
from gateway.bodies import HealthAnswer
from gateway.operations import OperationAnswer, OperationBody
from gateway.overview import OverviewAnswer
from gateway.routing.route import Route, json_body

OPERATIONS_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="getLivez",
        method="GET",
        path="/livez",
        handler=health.get_livez,
        says="The loop turns",
        traffic="health",
        answers={200: HealthAnswer},
    ),
    Route(
        name="getReadyz",
        method="GET",
        path="/readyz",
        handler=health.get_readyz,
        says="The broker has acknowledged lately",
        traffic="health",
        answers={200: HealthAnswer, 503: HealthAnswer},
    ),
    Route(
        name="getMetrics",
        method="GET",
        path="/metrics",
        handler=health.get_metrics,
        says="Prometheus' text format",
        traffic="health",
        answers={200: "text/plain"},
    ),
    Route(
        name="getOverview",
        method="GET",
        path="/v1/admin/overview",
        handler=overview.get_overview,
        says="The last hour as analytics has it, for the console",
        traffic="stream",
        access="admin",
        roles=("operator",),
        answers={200: OverviewAnswer},
        problems=(404,),
    ),
    Route(
        name="getOperationsReport",
        method="GET",
        path="/v1/admin/operations/{report}",
        handler=operations.get_report,
        says="What an operator's command reports: doctor, lag, ledger, letters, replays, status",
        traffic="stream",
        access="admin",
        roles=("operator",),
        answers={200: OperationAnswer},
        problems=(404,),
    ),
    Route(
        name="postOperation",
        method="POST",
        path="/v1/admin/operations",
        handler=operations.post_operation,
        says="A dry run of an operator's command; with the plan that it gave, the command itself",
        traffic="stream",
        access="admin",
        roles=("operator",),
        body=json_body(OperationBody),
        answers={200: OperationAnswer},
        problems=(404, 409),
    ),
    Route(
        name="getOpenAPI",
        method="GET",
        path="/openapi.json",
        handler=pages.get_openapi,
        says="This document",
        traffic="health",
        answers={200: "application/json"},
    ),
)
