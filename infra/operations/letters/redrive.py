"""Which dead letters may go back to where they came from, and as what. Pure.

A record that is driven back is appended again, so every reader of its topic gets it once more. It
may go back where that does nothing twice: events have identities, requests a deadline, and what
only analytics reads it stores once. What an agent decided and others act on stays where it is: an
outdated ceiling or an ended session would count again (`playhead replay` brings it to ClickHouse).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from infra.operations.letters.letter import Letter
from schemas.envelope import Request
from schemas.errors import InvalidMessageError
from streams.partitions import GROWING
from streams.reader import RecordReader
from streams.topic import Topic
from streams.topics import BY_NAME

REDRIVES_MAX: Final = 5
ATTEMPT_HEADER: Final = "redrive-attempt"
_FRONT: Final = frozenset({"gateway", "packager"})
"""Their records are events with an identity or requests with a deadline."""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One letter, and why it stays; `refusal` is empty where it goes."""

    letter: Letter
    refusal: str = ""


class _Stored:
    """The letter's record as a reader takes it."""

    def __init__(self, letter: Letter) -> None:
        self.partition = letter.source_partition
        self.offset = letter.source_offset
        self.timestamp = letter.source_timestamp_ms
        self.key = letter.key
        self.value = letter.value
        self.headers = tuple(letter.headers.items())


def plan_redrive(letters: Iterable[Letter], now_ms: int) -> list[Planned]:
    """What becomes of each letter; one record that several agents buried goes back once."""
    plan: list[Planned] = []
    going: set[tuple[str, int, int]] = set()
    for letter in letters:
        refusal = "its record goes back by another letter" if letter.source in going else ""
        refusal = refusal or refuse(letter, now_ms)
        if not refusal:
            going.add(letter.source)
        plan.append(Planned(letter=letter, refusal=refusal))
    return plan


def refuse(letter: Letter, now_ms: int) -> str:
    """Why the letter must not go back; empty where it may."""
    topic = BY_NAME.get(letter.source_topic)
    if topic is None or not _is_place(topic, letter.source_partition):
        return "it does not say where it came from"
    if letter.attempt > REDRIVES_MAX:
        return f"it came back {letter.attempt - 1} times: mend its agent first"
    if is_acted_on(topic) or _is_forged(topic, letter):
        return _said(topic, letter)
    try:
        value = RecordReader(topic).read(_Stored(letter)).value
    except InvalidMessageError as error:
        return f"it would come back, this version cannot read it ({error.reason})"
    if isinstance(value, Request) and value.not_after_ms <= now_ms:
        return "its deadline is past, nobody waits for the answer"
    return ""


def _is_place(topic: Topic, partition: int) -> bool:
    return partition >= 0 and (topic in GROWING or partition < topic.partitions)


def is_acted_on(topic: Topic) -> bool:
    """Whether the topic is an agent's word that other components act on."""
    return topic.writer not in _FRONT and any(reader != "analytics" for reader in topic.readers)


def _is_forged(topic: Topic, letter: Letter) -> bool:
    return topic.is_authenticated and letter.reason == "forged"


def _said(topic: Topic, letter: Letter) -> str:
    if _is_forged(topic, letter):
        return "nobody who has the state key wrote it: find out who can write to Kafka"
    return f"others act on {topic.name}: playhead replay {topic.name} stores it"


def headers_back(letter: Letter) -> dict[str, bytes]:
    """The record's own headers, and how often it goes back now."""
    return {**letter.headers, ATTEMPT_HEADER: str(letter.attempt).encode()}
