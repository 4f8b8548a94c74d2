"""The events that the crowd posts: every one different, and known again by a digest."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from schemas.ids import uuid7

SOURCE: Final = "faults"
INVALID_FROM: Final = 1 << 40
"""Sequence numbers of events that the gateway must refuse: no valid one comes near."""
TYPES: Final = ("heartbeat", "bandwidth", "interaction", "seek", "bandwidth", "pause")
COLUMNS: Final = (
    "type",
    "id",
    "toString(toUnixTimestamp64Milli(at))",
    "toString(ifNull(playhead_ms, 0))",
    "toString(ifNull(measured_throughput_kbps, 0))",
    "toString(ifNull(to_ms, 0))",
    "value",
)
"""What the digest is of, as ClickHouse tells it."""
STORED_DIGEST: Final = "lower(hex(SHA256(concat(" + ", '|', ".join(COLUMNS) + "))))"


class Posted(msgspec.Struct, frozen=True, array_like=True):
    """One event as the ledger keeps it; `digest` is empty for what must be refused."""

    sequence: int
    id: str
    digest: str


class Made(msgspec.Struct, frozen=True):
    """One event as it is posted, and as it is remembered."""

    line: bytes
    posted: Posted


def make_event(session_id: str, sequence: int, now_ms: int, chance: random.Random) -> Made:
    """A valid event."""
    type_ = TYPES[sequence % len(TYPES)]
    event = _head(type_, session_id, sequence, now_ms, chance)
    playhead_ms, throughput_kbps, to_ms, value = chance.getrandbits(30), 0, 0, ""
    event["playhead_ms"] = playhead_ms
    if type_ == "bandwidth":
        event["measured_throughput_kbps"] = throughput_kbps = chance.randrange(1, 100_000)
    elif type_ == "seek":
        event["to_ms"] = to_ms = chance.getrandbits(30)
    elif type_ == "interaction":
        event |= {"name": "volume", "value": (value := f"{chance.getrandbits(64):x} „ü|\\'\"")}
    parts = (type_, event["id"], str(now_ms), str(playhead_ms), str(throughput_kbps), str(to_ms))
    digest = hashlib.sha256("|".join((*parts, value)).encode()).hexdigest()
    return Made(msgspec.json.encode(event), Posted(sequence, event["id"], digest))


def make_invalid(session_id: str, number: int, now_ms: int, chance: random.Random) -> Made:
    """An event that the gateway must refuse, each for another reason."""
    sequence = INVALID_FROM + number
    event = _head("heartbeat", session_id, sequence, now_ms, chance)
    match number % 4:
        case 0:
            event["playhead_ms"] = "a minute"
        case 1:
            del event["at"]
        case 2:
            event["type"] = "no-such-type"
        case _:
            event["session_id"] = "00000000-0000-7000-8000-000000000000"
    return Made(msgspec.json.encode(event), Posted(sequence, event["id"], ""))


def _head(
    type_: str, session_id: str, sequence: int, now_ms: int, chance: random.Random
) -> dict[str, Any]:
    return {
        "id": str(uuid7(now_ms, chance.randbytes(10))),
        "type": type_,
        "session_id": session_id,
        "source": SOURCE,
        "sequence": sequence,
        "at": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds"),
    }
