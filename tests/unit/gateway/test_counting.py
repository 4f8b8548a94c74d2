from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.counting import split_count
from gateway.edge import read_logs
from gateway.problems import ProblemError
from gateway.reading import read_items
from streams.topics import PLAYBACK_EVENTS
from tests.gateway_fakes import World
from tests.unit.gateway.wire_events import an_event, bearer

SESSION_ID = "01930000-0000-7000-8000-000000000001"


def _lines(announced: Any, count: int) -> bytes:
    events = [an_event(SESSION_ID, sequence=number) for number in range(count)]
    return b"\n".join(json.dumps(line).encode() for line in ({"count": announced}, *events))


def _read(body: bytes, form: Any = "ndjson") -> list[Any]:
    return read_items(body, form, items_max=500, item_bytes_max=2_000)


@pytest.mark.parametrize("form", ["ndjson", "either"])
@pytest.mark.parametrize("count", [1, 2, 60])
def test_as_many_lines_as_announced_are_read(form: str, count: int) -> None:
    assert [item.sequence for item in _read(_lines(count, count), form)] == list(range(count))


@pytest.mark.parametrize(("announced", "came"), [(3, 2), (2, 3), (0, 1), (1, 0), (60, 59)])
def test_other_than_announced_is_400_as_a_whole(announced: int, came: int) -> None:
    with pytest.raises(ProblemError) as raised:
        _read(_lines(announced, came))
    assert (raised.value.problem.status, raised.value.problem.reason) == (400, "count")


@pytest.mark.parametrize("announced", [-1, 1.0, "1", None, True, 10**12])
def test_a_count_that_is_no_number_of_lines_is_400(announced: Any) -> None:
    with pytest.raises(ProblemError) as raised:
        _read(_lines(announced, 1))
    assert raised.value.problem.reason == "count"


def test_every_body_that_was_cut_is_400() -> None:
    """Also where it was cut between two lines, which is what the count is for."""
    body = _lines(3, 3)
    last_line = body.rindex(b"\n")
    for end in range(body.index(b"\n") + 1, last_line + 1):
        with pytest.raises(ProblemError):
            _read(body[:end])
    for end in range(last_line + 1, len(body)):
        with pytest.raises(ProblemError):
            _read_whole(body[:end])


def _read_whole(body: bytes) -> None:
    """As strict as a client may be that sends good events only: a refused item is a failure too."""
    for item in _read(body):
        if not hasattr(item, "sequence"):
            raise ProblemError(400, "refused")


def test_blank_lines_do_not_count_and_places_are_told_after_the_first_line() -> None:
    bad = json.dumps(an_event(SESSION_ID, type="teleport")).encode()
    good = json.dumps(an_event(SESSION_ID)).encode()
    items = _read(b'\n { "count" : 2 } \r\n\n' + good + b"\n\n" + bad + b"\n")
    assert [getattr(item, "index", None) for item in items] == [None, 1]


@given(st.binary(max_size=60) | st.from_regex(rb'\s?\{"count":.{0,9}\}\n?.{0,9}', fullmatch=True))
def test_any_bytes_are_split_or_refused(body: bytes) -> None:
    try:
        announced, rest = split_count(body)
    except ProblemError:
        return
    assert body.endswith(rest)
    assert announced is not None or rest == body


def test_logs_of_edges_may_be_counted_too() -> None:
    assert read_logs(b'{"count": 0}\n') == ([], [])
    with pytest.raises(ProblemError):
        read_logs(b'{"count": 2}\n{}\n')


async def test_nothing_of_a_cut_batch_is_stored(
    world: World, client: aiohttp.ClientSession
) -> None:
    claims = world.session_claims()
    lines = [json.dumps(an_event(claims.sid, sequence=number)) for number in range(3)]
    headers = bearer(world.session_token(claims)) | {"Content-Type": "application/x-ndjson"}
    body = "\n".join(['{"count":3}', *lines])
    cut = body[: body.rindex("\n")]
    async with client.post("/v1/events", data=cut, headers=headers) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (400, "count")
    assert world.publisher.rows[PLAYBACK_EVENTS.name] == []
    async with client.post("/v1/events", data=body, headers=headers) as answer:
        assert (answer.status, await answer.json()) == (202, {"accepted": 3})
