"""Sessions as the agent follows them, and what others learn of them."""

from __future__ import annotations

from typing import Any

from agents.bitrate.ceilings import BEHIND_MS, SESSION_IDLE_MS_MAX, Ceilings
from agents.bitrate.population import Population
from agents.bitrate.tape import DOWNLOADS_MAX
from schemas.bitrate import BitrateDecision
from schemas.events import Bandwidth
from streams.records import Record
from streams.topics import PLAYBACK_BANDWIDTH
from tests.builders import NOW_MS, SESSION_ID, a_bandwidth, a_session, a_title

SEGMENT_MS = 4000


def a_download(number: int, kbps: int) -> Record[Bandwidth]:
    event = a_bandwidth(
        number,
        object_type="v",
        status=200,
        object_bytes=kbps * SEGMENT_MS // 8,
        transfer_ms=SEGMENT_MS,
        buffer_length_ms=12_000,
        bitrate_kbps=1000,
        url=f"http://cdn/tears/v480/{number + 1}.m4s",
    )
    return Record(
        topic=PLAYBACK_BANDWIDTH.name,
        partition=0,
        offset=number,
        timestamp_ms=NOW_MS + number * SEGMENT_MS,
        key=SESSION_ID,
        value=event,
        headers={},
    )


def a_worker() -> Ceilings:
    nothing: dict[str, BitrateDecision] = {}
    sessions = {SESSION_ID: a_session(asn=64_500)}
    return Ceilings(sessions, {"tears": a_title()}, nothing, {}, Population())


def take(ceilings: Ceilings, numbers: range) -> int:
    """The session goes on; returns when its last download was reported, Unix milliseconds."""
    records = [a_download(number, 3_000) for number in numbers]
    for record in records:
        ceilings.take(record, record.timestamp_ms)
    return records[-1].timestamp_ms


def test_a_session_is_learned_of_while_it_goes_on_and_when_it_is_forgotten() -> None:
    ceilings = a_worker()
    take(ceilings, range(DOWNLOADS_MAX))
    assert ceilings.situations_count == 0, "the newest may still be told of by somebody else"
    take(ceilings, range(DOWNLOADS_MAX, DOWNLOADS_MAX + 1))
    learned = ceilings.situations_count
    assert learned > 0
    last_ms = take(ceilings, range(DOWNLOADS_MAX + 1, DOWNLOADS_MAX + 20))
    assert ceilings.situations_count == learned
    assert list(ceilings.due(last_ms + SESSION_IDLE_MS_MAX + 1)) == []
    assert ceilings.situations_count > learned


def test_events_that_come_late_are_decided_on_by_the_cheaper_rule() -> None:
    rules = {}
    for late_ms in (0, BEHIND_MS + 1):
        ceilings = a_worker()
        decisions: list[Any] = []
        for number in range(3):
            record = a_download(number, 3_000)
            decisions.append(ceilings.take(record, record.timestamp_ms + late_ms))
        (decision,) = (each for each in decisions if each is not None)
        rules[late_ms] = decision.facts.rule
    assert rules == {0: "futures", BEHIND_MS + 1: "rate"}
