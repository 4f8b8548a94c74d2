"""EPAS events as an SDK posts them."""

from __future__ import annotations

from typing import Any

from tests.gateway_fakes import NOW_MS


def a_report(event: str = "heartbeat", **changes: Any) -> dict[str, Any]:
    """A change to None takes the member away."""
    report: dict[str, Any] = {
        "event": event,
        "sessionId": "sdk-1",
        "timestamp": NOW_MS,
        "playhead": 12.5,
        "duration": 60.25,
        **changes,
    }
    return {name: value for name, value in report.items() if value is not None}
