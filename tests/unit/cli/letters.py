"""Records as Kafka gives them, and dead letters."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from infra.operations.letters.letter import Letter, letter_of
from schemas import codec
from tests.builders import a_bandwidth


@dataclass(frozen=True)
class Raw:
    key: bytes | None = b"session-1"
    value: bytes | None = b"{}"
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = 0
    offset: int = 17
    timestamp: int = 5_000


def a_letter(topic: str = "playback.events.v1", **changes: object) -> Letter:
    headers = {
        "source-partition": b"3",
        "source-offset": b"40",
        "reason": b"handler-failed",
        "agent": b"fold",
        "attempt": b"1",
        "failed-at-ms": b"6000",
    }
    letter = letter_of(
        topic, Raw(value=codec.encode(a_bandwidth(1)), headers=tuple(headers.items()))
    )
    return msgspec.structs.replace(letter, **changes)
