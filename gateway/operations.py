"""The operator's console: the commands of `playhead`, each shown as a dry run before it may run.

A command runs in a process of its own, with the options that are listed here and no others; what
reads much (a replay) goes on there when the page is closed.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway.answers import NO_STORE, answer
from gateway.gateway import Gateway, gateway_of
from gateway.plans import Operation, arguments_of
from gateway.ports import Operating, Said
from gateway.problems import ProblemError

REPORTS: Final[dict[str, tuple[str, ...]]] = {
    "doctor": ("doctor", "--json"),
    "lag": ("lag", "--json"),
    "ledger": ("ledger", "--minutes=60", "--json"),
    "letters": ("dead-letters", "list", "--json"),
    "replays": ("replay", "--list", "--json"),
    "status": ("status", "--json"),
}


class OperationBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/admin/operations`: without `plan` a dry run, with it the operation itself."""

    operation: Operation
    plan: Annotated[str, Meta(max_length=64)] = ""
    """Of the dry run that was looked at."""


class OperationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the command said."""

    command: str
    """As an operator types it."""
    exit_code: int | None
    """None: it goes on; the report `replays` tells how far it is."""
    said: Any = None
    """Its JSON."""
    error: str = ""
    plan: str = ""
    """Of a dry run that succeeded: allows the operation for ten minutes."""


async def get_report(request: web.Request) -> web.Response:
    """One of the reports, as its command prints it."""
    _, operating = _allowed(request)
    name = request.match_info["report"]
    arguments = REPORTS.get(name)
    if arguments is None:
        raise ProblemError(404, "no-such-report")
    said = await operating.run(arguments)
    return answer(_answered(arguments, said), headers=NO_STORE)


async def post_operation(request: web.Request) -> web.Response:
    """A dry run, or what a dry run has shown."""
    gateway, operating = _allowed(request)
    body: OperationBody = await gateway.read_json(request, OperationBody)
    now_ms = gateway.now_ms()
    if body.plan:
        gateway.plans.take(body.operation, body.plan, now_ms)
    arguments = arguments_of(body.operation, dry_run=not body.plan)
    said = await operating.run(arguments, goes_on=bool(body.plan))
    answered = _answered(arguments, said)
    if not body.plan and said.code == 0:
        plan = gateway.plans.show(body.operation, now_ms)
        answered = msgspec.structs.replace(answered, plan=plan)
    return answer(answered, headers=NO_STORE)


def _allowed(request: web.Request) -> tuple[Gateway, Operating]:
    gateway = gateway_of(request)
    gateway.auth.admin(request, "operator")
    if gateway.ports.operating is None:
        raise ProblemError(404, "no-operations", "this gateway has no keys to operate with")
    return gateway, gateway.ports.operating


def _answered(arguments: tuple[str, ...], said: Said) -> OperationAnswer:
    try:
        told = msgspec.json.decode(said.out) if said.out.strip() else None
    except msgspec.DecodeError:
        told = None
    return OperationAnswer(
        command=" ".join(("playhead", *(a for a in arguments if a != "--json"))),
        exit_code=said.code,
        said=told,
        error=said.err.strip()[-2000:],
    )
