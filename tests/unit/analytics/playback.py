"""Builders of a session's events on a readable time line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from schemas.events import Event, Stamp, Via

SESSION_ID = "01980000-0000-7000-8000-000000000001"
START_MS = 1_790_000_000_000

E = TypeVar("E", bound=Event)


class TimeLine:
    """Numbers the events of one source; `at_s` is the time since the start."""

    def __init__(self, *, via: Via = "sdk", source: str = "one") -> None:
        self._via: Via = via
        self._source = source
        self._sequence = 0

    def at(self, at_s: float, kind: type[E], **fields: Any) -> E:
        at_ms = START_MS + round(at_s * 1000)
        event = kind(
            session_id=SESSION_ID,
            source=self._source,
            sequence=self._sequence,
            at=datetime.fromtimestamp(at_ms / 1000, UTC),
            stamp=Stamp(
                received_at_ms=at_ms + 20,
                via=self._via,
                account_id="account",
                profile_id="profile",
                content_id="content",
                plan="standard",
            ),
            **fields,
        )
        self._sequence += 1
        return event
