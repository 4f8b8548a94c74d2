"""What could not be read or handled: the raw record, where it came from, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from schemas.errors import InvalidMessageError
from streams.producer import Publisher
from streams.reader import RawRecord
from streams.topic import Topic

DETAIL_BYTES_MAX = 512
_REASON = re.compile(r"[a-z][a-z0-9-]{0,40}")


def dead_letter_headers(
    topic: Topic,
    raw: RawRecord,
    error: InvalidMessageError,
    *,
    failed_at_ms: int,
    agent: str,
) -> dict[str, bytes]:
    """The headers of a dead letter: its own ones stay, under `original-`."""
    assert _REASON.fullmatch(error.reason), error.reason
    headers = {f"original-{name}": value for name, value in _headers(raw.headers)}
    headers.update(
        {
            "source-topic": topic.name.encode(),
            "source-partition": str(raw.partition).encode(),
            "source-offset": str(raw.offset).encode(),
            "source-timestamp-ms": str(raw.timestamp).encode(),
            "reason": error.reason.encode(),
            "detail": error.detail.encode()[:DETAIL_BYTES_MAX],
            "agent": agent.encode(),
            "failed-at-ms": str(failed_at_ms).encode(),
            "attempt": str(attempt_of(dict(_headers(raw.headers))) + 1).encode(),
        }
    )
    return headers


def attempt_of(headers: Mapping[str, bytes]) -> int:
    """How often the record was already a dead letter and driven back."""
    text = headers.get("redrive-attempt", b"0")
    return int(text) if text.isdigit() else 0


async def publish_dead_letter(
    publisher: Publisher,
    topic: Topic,
    raw: RawRecord,
    error: InvalidMessageError,
    *,
    failed_at_ms: int,
    agent: str,
) -> None:
    """Write the record to its topic's dead-letter topic under its own key, and wait."""
    await publisher.publish_raw(
        topic.dead_letters.name,
        raw.key or b"",
        raw.value,
        dead_letter_headers(topic, raw, error, failed_at_ms=failed_at_ms, agent=agent),
        0,
    )


def _headers(headers: Sequence[tuple[str, bytes]] | None) -> Sequence[tuple[str, bytes]]:
    return headers or ()
