"""Events as a client writes them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4


def an_event(session_id: str, **changes: Any) -> dict[str, Any]:
    """A seek; a change to None takes the field away."""
    event: dict[str, Any] = {
        "id": str(uuid4()),
        "type": "seek",
        "session_id": session_id,
        "source": "player-1",
        "sequence": 17,
        "at": "2026-11-22T16:30:00.250Z",
        "playhead_ms": 61_200,
        "from_ms": 61_200,
        "to_ms": 300_000,
        **changes,
    }
    return {name: value for name, value in event.items() if value is not None}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
