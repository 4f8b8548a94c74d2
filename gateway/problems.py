"""Errors as RFC 9457 problems: one exception, one body, one place that writes both."""

from __future__ import annotations

import random
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from schemas import codec
from schemas.errors import PlayheadError

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:playhead:problem:"
RETRY_AFTER_S = 1.0


class RefusedItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a POST that was not taken."""

    index: int
    id: str = ""
    status: int
    reason: str
    detail: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457. `reason` is stable; `detail` is for people and may change."""

    type: str
    title: str
    status: int
    reason: str
    detail: str = ""
    outcome: str = ""
    """Of a 503: `not_stored`, or `unknown`. Either way the same request may be sent again."""
    error: str = ""
    """RFC 6749, section 5.2, on the token endpoint."""
    error_description: str = ""
    facts: Mapping[str, Any] | None = None
    """What the viewer may do about it, such as the sessions that one may stop."""
    refused: tuple[RefusedItem, ...] = ()


class ProblemError(PlayheadError):
    """Answer the request with this problem; raised anywhere below the middleware."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(f"{status} {reason}: {detail}" if detail else f"{status} {reason}")
        self.headers = dict(headers or {})
        self.problem = Problem(
            type=TYPE_PREFIX + reason,
            title=HTTPStatus(status).phrase,
            status=status,
            reason=reason,
            detail=detail,
            **members,
        )


def unauthorized(error: str = "invalid_token") -> ProblemError:
    """The one answer to a missing, broken, foreign or expired token (RFC 6750, section 3)."""
    return ProblemError(
        401,
        "token",
        "a valid bearer token is needed",
        headers={"WWW-Authenticate": f'Bearer error="{error}"'},
    )


def unavailable(outcome: str, reason: str = "unavailable", detail: str = "") -> ProblemError:
    """503: the same request may be sent again, with the same identity."""
    return ProblemError(503, reason, detail, headers=retry_after(), outcome=outcome)


def retry_after(base_s: float = RETRY_AFTER_S) -> dict[str, str]:
    """Whole seconds between once and thrice the base, so that clients do not return in one wave."""
    return {"Retry-After": str(round(base_s + random.random() * 2 * base_s))}  # noqa: S311 - spread, no secret


def problem_response(error: ProblemError) -> web.Response:
    """The answer that says it."""
    headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", **error.headers}
    return web.Response(
        status=error.problem.status, body=codec.encode(error.problem), headers=headers
    )
