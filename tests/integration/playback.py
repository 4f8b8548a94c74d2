"""Events and decisions as the gateway and agents publish them, now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from schemas.events import (
    Bandwidth,
    Buffering,
    Event,
    Heartbeat,
    Play,
    Playing,
    Seek,
    Stamp,
    Stopped,
)
from schemas.steering import SteeringDecision
from streams.clock import system_clock

E = TypeVar("E", bound=Event)


def an_event(
    kind: type[E],
    session_id: str,
    sequence: int,
    *,
    at_ms: int | None = None,
    source: str = "one",
    content_id: str = "content",
    **fields: Any,
) -> E:
    at_ms = system_clock() if at_ms is None else at_ms
    return kind(
        session_id=session_id,
        source=source,
        sequence=sequence,
        at=datetime.fromtimestamp(at_ms / 1000, UTC),
        stamp=Stamp(
            received_at_ms=at_ms + 20,
            via="sdk",
            account_id="account",
            profile_id="profile",
            content_id=content_id,
            plan="standard",
            region="DE",
            device_model="tv",
            player="shaka",
        ),
        **fields,
    )


def play_session(session_id: str, *, began_ms: int | None = None) -> list[Any]:
    """0.5 s to the first frame, one stall of 2 s after 10 s, a seek, stopped after 40 s."""
    began_ms = system_clock() - 60_000 if began_ms is None else began_ms
    steps: list[tuple[type[Event], float, dict[str, Any]]] = [
        (Play, 0, {"playhead_ms": 0}),
        (Playing, 0.5, {"playhead_ms": 0, "bitrate_kbps": 2000}),
        (Bandwidth, 1, {"measured_throughput_kbps": 5000, "status": 200, "latency_ms": 30}),
        (Heartbeat, 10, {"playhead_ms": 9_500}),
        (Buffering, 10.5, {"playhead_ms": 10_000}),
        (Playing, 12.5, {"playhead_ms": 10_000}),
        (Seek, 20, {"from_ms": 17_500, "to_ms": 30_000}),
        (Playing, 20.5, {"playhead_ms": 30_000}),
        (Stopped, 40, {"playhead_ms": 49_500, "reason": "aborted"}),
    ]
    return [
        an_event(kind, session_id, number, at_ms=began_ms + round(at_s * 1000), **fields)
        for number, (kind, at_s, fields) in enumerate(steps)
    ]


def a_decision(version: int) -> SteeringDecision:
    return SteeringDecision(
        cohort="*",
        version=version,
        order=("alpha", "beta"),
        ttl_s=5,
        reason="initial",
        facts=(),
        policy_version="1",
        decided_at_ms=system_clock(),
    )
