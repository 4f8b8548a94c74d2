"""One chunk, exactly once, against every way in which ClickHouse may lie or be away."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.analytics.store import RowsRefusedError, StoreUnavailableError
from agents.analytics.writer import (
    REFUSED_ROWS_MAX,
    ChunkWriter,
    Lines,
    Place,
    encode_line,
)
from schemas.errors import StopWorkerError

PLACE = Place(table="events_raw", topic="t", partition=0, first=0, last=9)
TOKEN = "v1:t:0:0-9"


class FakeStore:
    """Keeps rows as ClickHouse does, tokens included; `troubles` is what happens to each insert."""

    def __init__(
        self, troubles: list[str] | None = None, *, poison: set[int] | None = None
    ) -> None:
        self.troubles = list(troubles or [])
        self.poison = poison or set()
        self.rows: list[int] = []
        self.tokens: list[str] = []

    async def insert(self, table: str, body: bytes, token: str, *, shape: str) -> None:
        trouble = self.troubles.pop(0) if self.troubles else "none"
        if trouble == "away":
            raise StoreUnavailableError("away")
        offsets = [msgspec.json.decode(line)["kafka_offset"] for line in body.split(b"\n")]
        if self.poison & set(offsets):
            raise RowsRefusedError("code 27")
        is_new = token not in self.tokens
        self.tokens.append(token)
        if is_new and trouble != "token survives, rows do not":
            half = len(offsets) // 2 if trouble == "half is kept" else len(offsets)
            self.rows += offsets[:half]
        if trouble != "none":
            raise StoreUnavailableError("no answer")

    async def stored_offsets(self, *_place: Any) -> set[int]:
        return set(self.rows)


async def no_sleep(_seconds: float) -> None:
    return None


def writer_to(store: FakeStore) -> ChunkWriter:
    return ChunkWriter(store, sleep=no_sleep)  # type: ignore[arg-type]  # the fake has what it uses


def lines(count: int = 10) -> Lines:
    return Lines([encode_line(at, {"kafka_offset": at}) for at in range(count)])


TROUBLES = ("away", "answer is lost", "token survives, rows do not", "half is kept")


@settings(deadline=None)  # a loaded machine is no counterexample
@given(
    st.lists(st.sampled_from(TROUBLES), max_size=6),
    st.sets(st.integers(0, 10)) | st.none(),
    st.booleans(),
)
async def test_every_row_is_stored_once_whatever_happens(
    troubles: list[str], stored: set[int] | None, knows_token: bool
) -> None:
    store = FakeStore(troubles)
    store.rows = sorted(stored or ())
    if knows_token or (stored and stored >= set(range(10))):
        store.tokens.append(TOKEN)
        stored = stored or set()
    assert await writer_to(store).write(PLACE, TOKEN, lines(), stored=stored) == []
    assert sorted(store.rows) == sorted({*range(10), *(stored or ())})


async def test_without_trouble_nothing_is_asked_and_one_insert_is_sent() -> None:
    store = FakeStore()
    await writer_to(store).write(PLACE, TOKEN, lines(), stored=None)
    assert store.tokens == [TOKEN]


async def test_what_an_earlier_life_inserted_is_not_sent_again() -> None:
    store = FakeStore()
    store.rows = [0, 1, 2]
    await writer_to(store).write(PLACE, TOKEN, lines(), stored={0, 1, 2})
    assert sorted(store.rows) == list(range(10))
    assert store.tokens == [f"{TOKEN}#r1"]


async def test_a_whole_chunk_is_sent_again_for_the_sake_of_materialized_views() -> None:
    """ClickHouse may have been killed between the rows and its views: the token heals them."""
    store = FakeStore()
    await writer_to(store).write(PLACE, TOKEN, lines(), stored=None)
    await writer_to(store).write(PLACE, TOKEN, lines(), stored=set(range(10)))
    assert store.tokens == [TOKEN, TOKEN]
    assert sorted(store.rows) == list(range(10))


async def test_a_chunk_that_was_cut_otherwise_is_not_sent_again() -> None:
    store = FakeStore()
    await writer_to(store).write(PLACE, TOKEN, lines(), stored=set(range(11)))
    assert store.tokens == []


async def test_a_token_that_lies_is_not_believed() -> None:
    store = FakeStore()
    store.tokens.append(TOKEN)  # of a life that was killed between token and rows
    await writer_to(store).write(PLACE, TOKEN, lines(), stored=set())
    assert sorted(store.rows) == list(range(10))


async def test_rows_that_cannot_be_read_are_found_and_the_rest_is_stored() -> None:
    store = FakeStore(poison={3, 8})
    refused = await writer_to(store).write(PLACE, TOKEN, lines(), stored=None)
    assert sorted(refused) == [3, 8]
    assert sorted(store.rows) == [0, 1, 2, 4, 5, 6, 7, 9]


async def test_a_table_that_refuses_everything_stops_the_worker() -> None:
    count = 4 * REFUSED_ROWS_MAX
    store = FakeStore(poison=set(range(count)))
    with pytest.raises(StopWorkerError):
        await writer_to(store).write(PLACE, TOKEN, lines(count), stored=None)
