"""Which dead letters may go back, and as what."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.operations.letters.letter import LetterFilter, group_letters, letter_of
from infra.operations.letters.redrive import REDRIVES_MAX, headers_back, plan_redrive, refuse
from schemas import codec
from schemas.delivery import LedgerEntry
from schemas.envelope import Request
from schemas.errors import InvalidMessageError
from streams.dead_letters import attempt_of, dead_letter_headers
from streams.topics import BY_NAME, PLAYBACK_EVENTS
from tests.builders import a_bandwidth
from tests.unit.cli.letters import Raw, a_letter

NOW_MS = 1_000_000
REQUEST = Request(
    request_id="r",
    sender="gateway-1",
    not_after_ms=NOW_MS + 1,
    reply_partition=0,
    reply_key=b"k",
    body=msgspec.Raw(b"{}"),
)


def test_an_event_goes_back_as_it_came() -> None:
    assert refuse(a_letter(), NOW_MS) == ""


def test_what_a_record_carried_survives_the_way_there_and_back() -> None:
    first = Raw(headers=(("traceparent", b"00-1"), ("signature", b"s")))
    error = InvalidMessageError("handler-failed", "why")
    buried = dead_letter_headers(PLAYBACK_EVENTS, first, error, failed_at_ms=6, agent="fold")
    letter = letter_of(PLAYBACK_EVENTS.name, Raw(headers=tuple(buried.items())))
    back = headers_back(letter)
    assert back == {"traceparent": b"00-1", "signature": b"s", "redrive-attempt": b"1"}
    assert (letter.source_partition, letter.source_offset) == (first.partition, first.offset)
    assert attempt_of(back) == 1


def test_attempts_count_up_and_end() -> None:
    headers: dict[str, bytes] = {}
    for turn in range(1, REDRIVES_MAX + 2):
        error = InvalidMessageError("handler-failed")
        raw = Raw(value=codec.encode(a_bandwidth(1)), headers=tuple(headers.items()))
        buried = dead_letter_headers(PLAYBACK_EVENTS, raw, error, failed_at_ms=6, agent="fold")
        letter = letter_of(
            PLAYBACK_EVENTS.name, Raw(value=raw.value, headers=tuple(buried.items()))
        )
        assert letter.attempt == turn
        assert bool(refuse(letter, NOW_MS)) == (turn > REDRIVES_MAX)
        headers = headers_back(letter)


def test_a_record_that_two_agents_buried_goes_back_once() -> None:
    letters = [a_letter(agent="fold"), a_letter(agent="bitrate", offset=18)]
    plan = plan_redrive(letters, NOW_MS)
    assert [bool(planned.refusal) for planned in plan] == [False, True]


def test_a_request_goes_back_only_before_its_deadline() -> None:
    letter = a_letter("license.requests.v1", value=codec.encode(REQUEST))
    assert refuse(letter, NOW_MS) == ""
    assert "deadline" in refuse(letter, NOW_MS + 1)


@pytest.mark.parametrize(
    "topic",
    ["license.decisions.v1", "sessions.v1", "bitrate.decisions.v1", "steering.decisions.v1"],
)
def test_what_others_act_on_stays(topic: str) -> None:
    assert "playhead replay" in refuse(a_letter(topic, source_partition=0), NOW_MS)


def test_what_only_analytics_reads_may_go_back() -> None:
    entry = LedgerEntry(gateway="g", minute_ms=0, topic="playback.events.v1")
    letter = a_letter("gateway.ledger.v1", value=codec.encode(entry), source_partition=0)
    assert refuse(letter, NOW_MS) == ""


def test_what_was_forged_stays() -> None:
    letter = a_letter("account.events.v1", reason="forged", source_partition=0)
    assert "state key" in refuse(letter, NOW_MS)


def test_what_cannot_be_read_would_only_come_back() -> None:
    assert "cannot read" in refuse(a_letter(value=b"\xff"), NOW_MS)


def test_a_letter_without_its_place_stays() -> None:
    assert refuse(a_letter(source_partition=-1), NOW_MS)
    assert refuse(a_letter("account.requests.v1", source_partition=8), NOW_MS)
    assert refuse(a_letter(source_partition=8), NOW_MS) == ""  # the log may have more by now


headers_strategy = st.lists(
    st.tuples(
        st.sampled_from(["reason", "attempt", "source-partition", "failed-at-ms", "original-x"]),
        st.binary(max_size=40),
    ),
    max_size=8,
).map(tuple)


@given(headers=headers_strategy, value=st.none() | st.binary(max_size=200))
def test_no_letter_crashes_whoever_looks(
    headers: tuple[tuple[str, bytes], ...], value: bytes | None
) -> None:
    for topic in BY_NAME.values():
        if topic.has_dead_letters:
            letter = letter_of(topic.name, Raw(headers=headers, value=value))
            refuse(letter, NOW_MS)
            LetterFilter(reason="x", since_ms=1).takes(letter)


def test_filters_take_what_fits_all_of_them() -> None:
    letter = a_letter()
    assert LetterFilter().is_open
    assert LetterFilter(ids=frozenset({"playback.events.v1:17"})).takes(letter)
    assert LetterFilter(topic="playback.events.v1", reason="handler-failed").takes(letter)
    assert not LetterFilter(agent="bitrate").takes(letter)
    assert LetterFilter(since_ms=6000, until_ms=6001).takes(letter)
    assert not LetterFilter(until_ms=6000).takes(letter)


def test_counts_are_by_topic_agent_and_reason() -> None:
    letters = [a_letter(), a_letter(offset=18, failed_at_ms=9000), a_letter(agent="bitrate")]
    first, second = group_letters(letters)
    assert (first.agent, first.letters, first.oldest_at_ms, first.newest_at_ms) == (
        "fold",
        2,
        6000,
        9000,
    )
    assert second.letters == 1
