"""What the billing system tells by itself: signed events, in whatever order they arrive.

200 says that an event is in the log or needs not be: `applied`, `repeated`, `outdated`, `ignored`.
Everything else may be sent again with the same id; 404 until the account has been made.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, get_args

from aiohttp import web

from gateway.answers import answer, read_as, require_json
from gateway.bodies import BillingAnswer, BillingEvent, BillingEventHead
from gateway.gateway import gateway_of
from gateway.problems import ProblemError, unavailable
from gateway.webhooks import TOLERANCE_S, require_signed
from schemas.accounts import ApplyBillingEvent, BillingOutcome
from schemas.subscriptions import BillingEventType
from streams.topics import ACCOUNT_REQUESTS

_TYPES: Final = frozenset(get_args(BillingEventType))


async def take_event(request: web.Request) -> web.Response:
    """What the event came to, once that is in the log."""
    gateway = gateway_of(request)
    secrets = gateway.ports.billing_secrets()
    if not secrets:
        raise unavailable("not_stored", "no-billing-secret", "the operator has named no secret yet")
    require_json(request)
    body = await gateway.intake.read(request, gateway.limits.body_bytes_max)
    event_id = require_signed(request.headers, body, secrets, gateway.now_ms())
    head: BillingEventHead = read_as(body, BillingEventHead)
    if head.type not in _TYPES:
        return answer(BillingAnswer(event_id=event_id, outcome="ignored"))
    event: BillingEvent = read_as(body, BillingEvent)
    command = _command(event, event_id, gateway.now_ms())
    told: BillingOutcome = await gateway.ask(
        ACCOUNT_REQUESTS, command.account_id, command, BillingOutcome
    )
    return answer(
        BillingAnswer(event_id=event_id, outcome=told.outcome, subscription=told.subscription)
    )


def _command(event: BillingEvent, event_id: str, now_ms: int) -> ApplyBillingEvent:
    """The event for the account agent; ProblemError 400 for moments that cannot be.

    One from the future would make every later event outdated.
    """
    occurred_at_ms = _unix_ms(event.timestamp)
    until_ms = None if event.data.until is None else _unix_ms(event.data.until)
    if occurred_at_ms > now_ms + TOLERANCE_S * 1000:
        raise ProblemError(400, "timestamp", "the event has not happened yet")
    if until_ms is not None and until_ms < occurred_at_ms:
        raise ProblemError(400, "until", "it ends before it happened")
    return ApplyBillingEvent(
        account_id=str(event.data.account_id),
        event_id=event_id,
        event_type=event.type,
        occurred_at_ms=occurred_at_ms,
        plan=event.data.plan,
        until_ms=until_ms,
    )


def _unix_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
