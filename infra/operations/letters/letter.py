"""A dead letter with its context, as its headers tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from streams.reader import RawRecord

SUFFIX: Final = ".dead-letter"
_ORIGINAL: Final = "original-"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a dead-letter topic."""

    source_topic: str
    offset: int
    """In the dead-letter topic, which has one partition."""
    source_partition: int
    source_offset: int
    source_timestamp_ms: int
    reason: str
    detail: str
    agent: str
    attempt: int
    """How often it was driven back before, plus one."""
    failed_at_ms: int
    key: bytes
    value: bytes | None
    headers: Mapping[str, bytes]
    """The record's own, as it came."""

    @property
    def letter_id(self) -> str:
        """What commands name it by."""
        return f"{self.source_topic}:{self.offset}"

    @property
    def letter_topic(self) -> str:
        """The topic that it lies in."""
        return self.source_topic + SUFFIX

    @property
    def source(self) -> tuple[str, int, int]:
        """Where the record stood: two agents may have buried the same one."""
        return self.source_topic, self.source_partition, self.source_offset


class LetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters are meant; what is None or empty does not matter."""

    ids: frozenset[str] = frozenset()
    topic: str = ""
    reason: str = ""
    agent: str = ""
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether every letter is meant."""
        return self == LetterFilter()

    def takes(self, letter: Letter) -> bool:
        """Whether the letter is meant; times are those of the failure, [since, until)."""
        return (
            (not self.ids or letter.letter_id in self.ids)
            and self.topic in ("", letter.source_topic)
            and self.reason in ("", letter.reason)
            and self.agent in ("", letter.agent)
            and (self.since_ms is None or letter.failed_at_ms >= self.since_ms)
            and (self.until_ms is None or letter.failed_at_ms < self.until_ms)
        )


class LetterGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Letters of one topic, agent and reason."""

    topic: str
    agent: str
    reason: str
    letters: int
    oldest_at_ms: int
    newest_at_ms: int


def letter_of(source_topic: str, raw: RawRecord) -> Letter:
    """The letter; no header or payload that somebody wrote can stop it."""
    headers = dict(raw.headers or ())

    def text(name: str) -> str:
        return headers.get(name, b"").decode(errors="replace")

    def number(name: str, otherwise: int) -> int:
        value = headers.get(name, b"")
        return int(value) if value.isdigit() and len(value) < 19 else otherwise

    return Letter(
        source_topic=source_topic,
        offset=raw.offset,
        source_partition=number("source-partition", -1),
        source_offset=number("source-offset", -1),
        source_timestamp_ms=number("source-timestamp-ms", raw.timestamp),
        reason=text("reason") or "unknown",
        detail=text("detail"),
        agent=text("agent"),
        attempt=number("attempt", 1),
        failed_at_ms=number("failed-at-ms", raw.timestamp),
        key=raw.key or b"",
        value=raw.value,
        headers={
            name.removeprefix(_ORIGINAL): value
            for name, value in headers.items()
            if name.startswith(_ORIGINAL)
        },
    )


def group_letters(letters: Sequence[Letter]) -> list[LetterGroup]:
    """Counts by topic, agent and reason, the largest first."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for letter in letters:
        place = (letter.source_topic, letter.agent, letter.reason)
        found.setdefault(place, []).append(letter.failed_at_ms)
    groups = [
        LetterGroup(
            topic=topic,
            agent=agent,
            reason=reason,
            letters=len(times),
            oldest_at_ms=min(times),
            newest_at_ms=max(times),
        )
        for (topic, agent, reason), times in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.letters, group.topic, group.reason))
