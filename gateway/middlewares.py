"""Around every request: slots, hygiene, and whatever went wrong told as a problem.

The only place of the gateway that catches every exception.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.cmcd.redaction import redact_url
from gateway.cors import is_preflight, preflight_response
from gateway.express import offer_of
from gateway.forwarding import note_address
from gateway.gateway import GATEWAY, Gateway
from gateway.intake import require_single_headers
from gateway.problems import ProblemError, problem_response, retry_after, unauthorized, unavailable
from gateway.routes import route_of
from gateway.routing.route import Route
from schemas.envelope import Refused
from schemas.errors import RetryableError
from streams.producer import UnavailableError
from streams.requests import NoAnswerError, RefusedError

log = logging.getLogger(__name__)

CLIENT_GONE: Final = 499
"""For the metrics alone: there is nobody left to answer."""


@web.middleware
async def serve_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Runs the handler in its class's slots; answers for it where it raised."""
    gateway = request.app[GATEWAY]
    route = route_of(request)
    started_s = time.monotonic()
    status = CLIENT_GONE
    response: web.StreamResponse | None = None
    if gateway.connections is not None:
        gateway.connections.start(request.protocol)
    try:
        response = await _answered(gateway, route, request, handler, started_s)
        status = response.status
        offer = offer_of(request, route, response)
        if offer is not None and gateway.connections is not None:
            gateway.connections.offer(request.protocol, offer)
        return response
    finally:
        gateway.intake.close(request)
        if (
            gateway.connections is not None
            and not gateway.connections.finish(request.protocol)
            and response is not None
            and not response.prepared
        ):
            response.force_close()
        took_s = time.monotonic() - started_s
        gateway.metrics.count_request(route.name, status, took_s)
        log.debug("%s %s %d %.1f ms", request.method, route.path, status, took_s * 1000)


async def _answered(
    gateway: Gateway, route: Route, request: web.Request, handler: Handler, started_s: float
) -> web.StreamResponse:
    try:
        require_single_headers(request)
        note_address(request, gateway.config.trusted_proxies)
        if is_preflight(request):
            return preflight_response()
        gateway.slots.enter(route.traffic)
        try:
            return await handler(request)
        finally:
            gateway.slots.leave(route.traffic)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return problem_response(_of_aiohttp(error))
    except Exception as error:
        if route.traffic == "license" and isinstance(error, ProblemError):
            gateway.license_pace.leave()
        problem = as_problem(error)
        if problem.problem.status >= 500 or route.traffic == "license":
            _log(route, request, error, problem)
        if problem.problem.status == 503 and route.is_delayed:
            # Players ask again at once, dozens of times: the pause is ours to make.
            least_s = gateway.limits.unavailable_license_delay_ms / 1000
            await asyncio.sleep(max(0.0, started_s + least_s - time.monotonic()))
        return problem_response(problem)


def as_problem(error: Exception) -> ProblemError:
    """What the client is told; nothing of the inside shows."""
    match error:
        case ProblemError():
            return error
        case RefusedError():
            return _of_refusal(error.refused)
        case UnavailableError():
            return unavailable(error.outcome)
        case NoAnswerError():
            return unavailable("unknown", "no-answer", "the deadline passed")
        case RetryableError():
            return unavailable("unknown")
        case _:
            return ProblemError(500, "internal", "something is wrong on this side")


def _of_refusal(refused: Refused) -> ProblemError:
    if refused.status == 401:
        return unauthorized()
    if refused.status == 404:
        # Said alike of what is not there and of what is another's.
        return ProblemError(404, refused.reason)
    headers = retry_after() if refused.status in {429, 503} else {}
    return ProblemError(
        refused.status,
        refused.reason,
        refused.detail,
        headers=headers,
        facts=refused.facts or None,
        outcome="not_stored" if refused.status == 503 else "",
    )


def _of_aiohttp(error: web.HTTPException) -> ProblemError:
    reasons = {404: "no-such-path", 405: "method", 413: "too-large"}
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return ProblemError(error.status, reasons.get(error.status, "http"), headers=headers)


def _log(route: Route, request: web.Request, error: Exception, problem: ProblemError) -> None:
    if problem.problem.reason == "internal":
        log.error("%s %s failed", request.method, route.path, exc_info=_scrubbed(error))
    elif problem is error and problem.problem.outcome == "not_stored":
        # A decision, and counted: an overload must not become one of the log.
        log.debug("%s %s refused: %s", request.method, route.path, problem.problem.reason)
    elif problem.problem.status == 503:
        log.warning("%s %s is unavailable: %s", request.method, route.path, redact_url(str(error)))
    else:
        log.info("%s %s refused: %s", request.method, route.path, problem.problem.reason)


def _scrubbed(error: Exception) -> Exception:
    """The error with no token in its message; its traceback stays."""
    error.args = tuple(redact_url(str(each)) for each in error.args)
    return error
