"""Instants that are read many at once are what they are one by one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.analytics.moments import instants_ms
from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.events import Instant

ODD = (
    "2026-02-28T01:02:03Z",
    "2026-02-28T01:02:03.5+05:00",
    "2026-02-28t01:02:03.123456z",
    "2026-02-28T01:02:03.1235004Z",
    "2026-02-28 01:02:03.000500Z",
    "0001-01-01T01:02:03.000500+05:00",
    "1960-01-01T23:59:59.999500Z",
    "2400-01-01T23:59:59.999500Z",
    "9999-12-31T23:59:59.999500Z",
)
NONE = (
    "",
    "soon",
    "2026-02-30T01:02:03.000000Z",
    "2026-02-20T01:02:60.000000Z",
    "2026-02-28T01:02:03.000500",
    "0000-02-28T01:02:03.000500Z",
    "2026-02-28T01:02:03.\u0662\u0663\u0664\u0665\u0666\u0667Z",
)


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=1, max_size=5))
def test_what_is_encoded_is_read_as_it_was(moments: list[datetime]) -> None:
    texts = [codec.encode(moment).decode().strip('"') for moment in moments]
    assert instants_ms(texts).tolist() == [round(m.timestamp() * 1000) for m in moments]


@pytest.mark.parametrize("text", ODD)
def test_an_instant_may_be_written_otherwise(text: str) -> None:
    usual = "2026-11-23T03:10:49.123456Z"
    one_by_one = [
        round(codec.Decoder[datetime](Instant).decode(codec.encode(each)).timestamp() * 1000)
        for each in (usual, text)
    ]
    assert instants_ms([usual, text]).tolist() == one_by_one


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessageError):
        instants_ms(["2026-11-23T03:10:49.123456Z", text])


def test_two_halves_are_no_instants() -> None:
    """Put together they look like two."""
    with pytest.raises(InvalidMessageError):
        instants_ms(["2026-11-23T03:10:49.123456", "Z2026-11-23T03:10:49.123456Z"])
