"""Records as rows: what is kept, what is told apart, what is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.analytics.dead_letter_rows import DeadLetterReader
from agents.analytics.decision_rows import DecisionReader
from agents.analytics.intakes import stored_topics
from agents.analytics.summary_rows import SummaryReader
from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.events import Play, PlaybackEvent
from schemas.ids import uuid7
from schemas.watching import SessionSummary, Watch
from streams.topics import CATALOG_TITLES, WATCHES
from tests.unit.analytics.playback import START_MS, TimeLine
from tests.unit.analytics.tables import TOPIC, Raw, rows_of, table_of


def row_of(event: Any) -> dict[str, Any]:
    return rows_of(codec.encode(event))[0]


def test_the_hash_tells_a_re_send_from_a_conflict() -> None:
    event = TimeLine().at(1, Play, id="a", playhead_ms=5)
    stamp = event.stamp
    assert stamp is not None
    again = msgspec.structs.replace(
        event, id="b", stamp=msgspec.structs.replace(stamp, received_at_ms=9)
    )
    other = msgspec.structs.replace(event, playhead_ms=6)
    hashes = [row_of(each)["payload_hash"] for each in (event, again, other)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("kind", get_args(PlaybackEvent))
def test_every_field_of_every_event_has_its_column(kind: type[Any]) -> None:
    given_values: dict[str, Any] = {"name": "n"} if kind.__name__ == "Interaction" else {}
    given_values |= {"bitrate_kbps": 1} if kind.__name__ == "BitrateChanged" else {}
    event = TimeLine().at(1, kind, **given_values)
    columns = row_of(event)
    assert columns["type"] == event.__struct_config__.tag
    for name, value in given_values.items():
        assert columns[name] == value


def test_a_broken_clock_makes_no_partition_of_its_own() -> None:
    began_ms = 1_780_000_000_000
    session = str(uuid7(began_ms, b"0123456789"))
    event = TimeLine().at(1, Play)
    for year in (1, 1999, 9998):
        odd = msgspec.structs.replace(
            event, session_id=session, at=datetime(year, 1, 1, tzinfo=UTC)
        )
        columns = row_of(odd)
        assert columns["at"] == began_ms
        assert columns["clock_error_ms"] == odd.at_ms - began_ms


def test_what_a_newer_writer_adds_is_kept_in_extra() -> None:
    value = codec.encode(TimeLine().at(1, Play, extra={"old": 1}))
    newer = value.replace(b'"type"', b'"mood":"calm","type"')
    columns = rows_of(newer)[0]
    assert columns["extra"] == '{"old":1,"mood":"calm"}'
    assert "mood" not in columns


def test_cmcd_keeps_no_id_for_it_is_derived() -> None:
    cmcd = codec.encode(TimeLine(via="cmcd").at(1, Play, id="a"))
    sdk = codec.encode(TimeLine().at(1, Play, id="a"))
    assert [row["id"] for row in rows_of(cmcd, sdk)] == ["", "a"]
    assert "id" not in rows_of(cmcd)[0]


@settings(deadline=None)  # a loaded machine is no counterexample
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_readers(value: bytes) -> None:
    raw = Raw(value, key=value, headers=(("attempt", value), ("source-offset", value)))
    DeadLetterReader("t.dead-letter", "t").read(raw)
    for read in (
        lambda: table_of(raw.value),
        lambda: DecisionReader(WATCHES, state_key=None).read(raw),
        lambda: SummaryReader().read(raw),
    ):
        with suppress(InvalidMessageError):
            read()


def a_watch(**changes: Any) -> Watch:
    fields: dict[str, Any] = {
        "profile_id": "p",
        "account_id": "a",
        "content_id": "c",
        "session_id": "s",
        "step": "started",
        "playhead_ms": 0,
        "completion_ratio": 0.0,
        "at_ms": START_MS,
    }
    return Watch(**(fields | changes))


def test_a_decision_is_known_again_by_what_its_type_says() -> None:
    reader = DecisionReader(WATCHES, state_key=None)

    def identity(watch: Watch) -> str:
        return reader.read(Raw(codec.encode(watch))).identity

    assert identity(a_watch()) == identity(a_watch(playhead_ms=9))
    assert identity(a_watch(step="progressed", bucket=1)) != identity(
        a_watch(step="progressed", bucket=2)
    )


def test_a_decision_of_a_newer_writer_and_a_removal_are_rows() -> None:
    newer = Raw(b'{"type":"forecast","session_id":"s","at_ms":1,"reason":"r"}')
    columns = DecisionReader(WATCHES, state_key=None).read(newer).columns
    assert (columns["type"], columns["session_id"], columns["reason"]) == ("forecast", "s", "r")
    removed = DecisionReader(CATALOG_TITLES, state_key=None).read(Raw(None)).columns
    assert (removed["type"], removed["key"], removed["payload"]) == ("removed", "k", "")


def test_times_that_never_were_are_null() -> None:
    summary = SessionSummary(
        session_id="s", version=1, started_at_ms=START_MS, last_event_at_ms=START_MS
    )
    columns = SummaryReader().read(Raw(codec.encode(summary))).columns
    assert "ended_at" not in columns
    assert "time_to_first_frame_ms" not in columns
    assert columns["started_at"] == START_MS / 1000


def test_every_recorded_topic_and_every_dead_letter_is_stored() -> None:
    stored = stored_topics()
    assert stored[TOPIC] == 8
    assert f"{TOPIC}.dead-letter" in stored
    assert "license.decisions.v1" in stored
    assert "license.requests.v1.dead-letter" in stored
    assert "content.keys.v1" not in stored
    assert "accounts.v1" not in stored
