"""The only interface of a CDN edge: what it is told, and what it tells."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class EdgeDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `GET /v1/edge/decisions`."""

    session_id: str
    ceiling_kbps: int | None = None
    is_refused: bool = False


class EdgeLog(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of `POST /v1/edge/logs`: one response of an edge to a session."""

    session_id: Annotated[str, Meta(min_length=36, max_length=36)]
    edge: Annotated[str, Meta(max_length=64)]
    source: Annotated[str, Meta(max_length=128)]
    """New for every start of the edge; `sequence` counts up in it."""
    sequence: Annotated[int, Meta(ge=0)]
    at_ms: Annotated[int, Meta(ge=0)]
    path: Annotated[str, Meta(max_length=1024)]
    status: int
    bytes_sent: Annotated[int, Meta(ge=0)]
    duration_ms: Annotated[int, Meta(ge=0)]
    cmcd: Annotated[str, Meta(max_length=4096)] = ""
    """CMCD request keys as they came (query form)."""


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ledger_entry"):
    """What one gateway process did in one minute with one topic: `gateway.ledger.v1`."""

    gateway: str
    minute_ms: int
    topic: str
    accepted: int = 0
    refused: int = 0
    """4xx."""
    unavailable: int = 0
    """503: not stored, or unknown."""
    shed: int = 0
    """CMCD lines answered 204 and not stored."""
    unauthenticated: int = 0
    """Requests with events whose token did not count; how many events is not looked at."""
    in_log: int = 0
    """Records of the topic in the log, by the broker's minute; the canary tells them."""
