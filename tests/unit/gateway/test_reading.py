from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.problems import ProblemError, RefusedItem
from gateway.reading import Form, are_uuids, form_of, is_uuid, read_items
from gateway.wire import FIELDS, LENIENT_TYPES, STRICT_TYPES
from schemas import codec
from schemas.events import Event, PlaybackEvent
from tests.unit.gateway.wire_events import an_event

SESSION_ID = "01930000-0000-7000-8000-000000000001"
EVENT_BYTES_MAX = 2_000


def _read(body: bytes, form: Form = "json", items_max: int = 500) -> list[Any]:
    return read_items(body, form, items_max=items_max, item_bytes_max=EVENT_BYTES_MAX)


def _status(body: bytes, form: Form) -> int:
    """200 where there are items to judge one by one."""
    try:
        items = _read(body, form)
    except ProblemError as error:
        return error.problem.status
    assert items
    assert all(isinstance(item, Event | RefusedItem) for item in items)
    return 200 if any(isinstance(item, Event) for item in items) else 207


def _read_one(event: dict[str, Any]) -> Any:
    (item,) = _read(json.dumps(event).encode())
    return item


@given(
    body=st.one_of(
        st.binary(max_size=400),
        st.text(max_size=200).map(str.encode),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=12), inner),
            max_leaves=20,
        ).map(lambda value: json.dumps(value).encode()),
    ),
    form=st.sampled_from(get_args(Form)),
)
def test_no_bytes_crash_the_reader(body: bytes, form: Form) -> None:
    assert _status(body, form) in {200, 207, 400, 413}


@given(
    changes=st.dictionaries(
        st.sampled_from(sorted(FIELDS["bandwidth"] | {"more", "session_token"})),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9)
        ),
        max_size=4,
    )
)
def test_any_fields_give_an_event_that_every_reader_takes_or_a_refusal(
    changes: dict[str, Any],
) -> None:
    item = _read_one(an_event(SESSION_ID, type="bandwidth", from_ms=None, to_ms=None) | changes)
    if isinstance(item, RefusedItem):
        assert item.status == 400
    else:
        stored = codec.encode(msgspec.structs.replace(item, session_token=""))
        reader: codec.Decoder[PlaybackEvent] = codec.Decoder(PlaybackEvent)
        assert codec.encode(reader.decode(stored)) == stored


@pytest.mark.parametrize("form", ["json", "ndjson", "either"])
def test_one_event_is_read_in_every_form(form: Form) -> None:
    (item,) = _read(json.dumps(an_event(SESSION_ID)).encode(), form)
    assert item.from_ms == 61_200


def test_an_array_and_its_lines_are_read_alike() -> None:
    events = [an_event(SESSION_ID, sequence=number) for number in range(50)]
    lines = b"\n".join(json.dumps(event).encode() for event in events) + b"\n\n"
    array = _read(json.dumps(events).encode())
    assert [codec.encode(item) for item in array] == [
        codec.encode(item) for item in _read(lines, "ndjson")
    ]
    assert _read(lines, "either") == _read(lines, "ndjson")


def test_a_bad_item_is_told_by_its_place_and_the_others_are_read() -> None:
    bad = an_event(SESSION_ID, sequence=-1)
    items = _read(json.dumps([an_event(SESSION_ID), bad, an_event(SESSION_ID)]).encode())
    assert isinstance(items[1], RefusedItem)
    assert (items[1].index, items[1].id, items[1].reason) == (1, bad["id"], "schema")
    assert not any(isinstance(item, RefusedItem) for item in (items[0], items[2]))


def test_a_broken_line_costs_only_itself() -> None:
    good = json.dumps(an_event(SESSION_ID)).encode()
    items = _read(good + b"\n" + good[:40] + b"\n" + good, "ndjson")
    assert [isinstance(item, RefusedItem) for item in items] == [False, True, False]
    assert items[1].reason == "not-json"


def test_unknown_fields_are_kept_under_extra() -> None:
    item = _read_one(an_event(SESSION_ID, extra={"a": 1}, mood="good", nested={"deep": [1]}))
    assert item.extra == {"a": 1, "mood": "good", "nested": {"deep": [1]}}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "teleport"}, "unknown-type"),
        ({"type": None}, "schema"),
        ({"type": 3}, "schema"),
        ({"session_id": None}, "schema"),
        ({"sequence": None}, "schema"),
        ({"sequence": "17"}, "schema"),
        ({"sequence": 2**60}, "schema"),
        ({"at": 1_800_000_000}, "schema"),
        ({"at": "2026-11-22T16:30:00"}, "schema"),
        ({"playhead_ms": 61.2}, "schema"),
        ({"playhead_ms": None, "playhead_s": 61.2}, "unit"),
        ({"playhead_seconds": 61}, "unit"),
        ({"type": "bitrate_changed", "from_ms": None, "to_ms": None, "bitrate_bps": 9}, "schema"),
        ({"id": None}, "schema"),
        ({"id": "7"}, "schema"),
        ({"id": "x" * 36}, "schema"),
        ({"mood": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}}}, "too-deep"),
        ({f"field{number}": 1 for number in range(65)}, "extra"),
        ({"mood": "x" * EVENT_BYTES_MAX}, "too-large"),
    ],
)
def test_what_is_wrong_has_a_stable_reason(changes: dict[str, Any], reason: str) -> None:
    event = {k: v for k, v in (an_event(SESSION_ID) | changes).items() if v is not None}
    item = _read_one(event)
    assert isinstance(item, RefusedItem)
    assert item.reason == reason


@pytest.mark.parametrize("form", ["json", "ndjson", "either"])
def test_ten_megabytes_of_nesting_are_refused(form: Form) -> None:
    for body in (b"[" * 10_000_000, b'{"a":' * 2_000_000, b'[{"a":' + b"[" * 1_000_000):
        assert _status(body, form) in {207, 400, 413}


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_too_many_events_are_refused_whole(form: Form) -> None:
    events = [an_event(SESSION_ID) for _ in range(4)]
    lines = b"\n".join(json.dumps(event).encode() for event in events)
    body = json.dumps(events).encode() if form == "json" else lines
    with pytest.raises(ProblemError) as caught:
        _read(body, form, items_max=3)
    assert caught.value.problem.status == 413
    assert len(_read(body, form, items_max=4)) == 4


@pytest.mark.parametrize("body", [b"", b"[]", b"  \n ", b"[1,2", b"null", b'"text"', b"3"])
def test_what_holds_no_event_is_a_problem_or_refused(body: bytes) -> None:
    assert _status(body, "json") in {207, 400}


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("application/json; charset=utf-8", "json"),
        ("application/x-ndjson", "ndjson"),
        ("text/plain;charset=UTF-8", "either"),
        ("", "either"),
    ],
)
def test_media_types_say_the_form(content_type: str, form: str) -> None:
    assert form_of(content_type) == form


@pytest.mark.parametrize("content_type", ["text/html", "application/xml", "multipart/form-data"])
def test_other_media_types_are_415(content_type: str) -> None:
    with pytest.raises(ProblemError) as caught:
        form_of(content_type)
    assert caught.value.problem.status == 415


def test_the_wire_has_every_type_of_the_log_and_encodes_alike() -> None:
    """Given an item whose session token is taken off, when encoded, then it is the log's own."""
    assert len(STRICT_TYPES) == len(LENIENT_TYPES) == len(get_args(PlaybackEvent))
    item = _read_one(an_event(SESSION_ID, session_token="secret"))
    stored = codec.encode(msgspec.structs.replace(item, session_token=""))
    reader: codec.Decoder[PlaybackEvent] = codec.Decoder(PlaybackEvent)
    assert codec.encode(reader.decode(stored)) == stored


_UUIDS = st.uuids().map(str) | st.uuids().map(lambda uuid: str(uuid).upper())
_NEARLY = st.builds(
    lambda text, place, inserted, left_out: text[:place] + inserted + text[place + left_out :],
    _UUIDS,
    st.integers(0, 36),
    st.text("0aF-g \u0665\n", max_size=2),
    st.integers(0, 2),
)


@given(st.lists(_UUIDS | _NEARLY, max_size=4))
def test_ids_are_judged_together_as_they_are_one_by_one(texts: list[str]) -> None:
    assert are_uuids(texts) == all(map(is_uuid, texts))


def test_ids_of_wrong_lengths_do_not_make_up_for_each_other() -> None:
    joined = SESSION_ID * 2
    assert not are_uuids([joined[:35], joined[35:]])
