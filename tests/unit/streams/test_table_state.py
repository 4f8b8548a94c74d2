"""A record that comes again changes nothing, wherever its process died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import RetryableError, StopWorkerError
from streams.tables.state import PartitionState, Rowing
from streams.tables.stores import MemoryStore, PartitionStore, RocksStore

Rows = Mapping[bytes, bytes | None]


class Log:
    """A changelog that takes so many batches, of two rows each, and then dies."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes | None]] = []
        self.batches_left = 1_000_000

    async def write(self, partition: int, rows: Rows, whole: Rows) -> tuple[int, int]:
        first = len(self.records)
        items = list(rows.items())
        batches = [items[i : i + 2] for i in range(0, len(items), 2)] + [list(whole.items())]
        for batch in batches:
            if self.batches_left == 0:
                raise RetryableError("dead")
            self.batches_left -= 1
            self.records += batch
        return first, len(self.records) - 1


def one_more(value: int | None) -> int:
    return (value or 0) + 1


def a_state(log: Log, store: PartitionStore | None = None) -> PartitionState[int]:
    state = PartitionState(0, store or MemoryStore(), log, Rowing[int](int, 2))
    recover(state, log)
    return state


def recover(state: PartitionState[int], log: Log) -> None:
    begin = 0 if state.changelog_offset is None else state.changelog_offset + 1
    if begin < len(log.records):
        state.recover(log.records[begin:], len(log.records) - 1)
    state.reset()


async def test_a_record_that_comes_again_counts_once() -> None:
    log = Log()
    state = a_state(log)
    assert state.apply(0, 5, "a", one_more)
    assert not state.apply(0, 5, "a", one_more)
    await state.flush()
    again = a_state(log)
    assert not again.apply(0, 5, "a", one_more)
    assert again.apply(0, 6, "a", one_more)
    assert again.get("a") == 2


async def test_sources_are_told_apart() -> None:
    log = Log()
    state = a_state(log)
    assert state.apply(0, 5, "a", one_more)
    assert state.apply(1, 5, "a", one_more)
    await state.flush()
    again = a_state(log)
    assert not again.apply(1, 5, "a", one_more)
    assert again.get("a") == 2


async def test_what_was_deleted_is_not_revived_by_its_own_record() -> None:
    log = Log()
    state = a_state(log)
    state.apply(0, 1, "a", one_more)
    state.apply(0, 2, "a", lambda _: None)
    await state.flush()
    assert (b"a", None) in log.records
    again = a_state(log)
    for offset in (1, 2):
        assert not again.apply(0, offset, "a", one_more)
    assert again.get("a") is None


async def test_nothing_is_written_twice() -> None:
    log = Log()
    state = a_state(log)
    state.apply(0, 1, "a", one_more)
    await state.flush()
    written = len(log.records)
    await state.flush()
    assert len(log.records) == written


async def test_a_changelog_that_another_worker_goes_on_with_halts() -> None:
    log = Log()
    state = a_state(log)
    state.apply(0, 1, "a", one_more)
    await state.flush()
    log.records.append((b"b", b"[[9,-1],1]"))
    state.apply(0, 2, "a", one_more)
    with pytest.raises(StopWorkerError):
        await state.flush()


async def test_a_row_written_late_by_who_had_the_partition_before_is_not_taken() -> None:
    log = Log()
    log.records = [(b"a", b"[[9,-1],10]"), (b"a", b"[[4,-1],5]")]
    assert a_state(log).get("a") == 10
    split = a_state(Log())
    split.recover([log.records[0]], 0)
    split.reset()
    split.recover([log.records[1]], 1)
    split.reset()
    assert split.get("a") == 10


@pytest.fixture(params=["memory", "rocksdb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], PartitionStore]:
    if request.param == "memory":
        return MemoryStore
    numbers = count()
    return lambda: RocksStore(tmp_path / str(next(numbers)))


def test_a_store_keeps_rows_and_offset_and_forgets_what_is_deleted(
    open_store: Callable[[], PartitionStore],
) -> None:
    store = open_store()
    store.write({b"a": b"1", b"b": b"2"}, 7)
    store.write({b"a": None}, 9)
    assert [store.get(key) for key in (b"a", b"b")] == [None, b"2"]
    assert store.changelog_offset == 9
    assert store.get_many([b"a", b"b", b"c"]) == {b"b": b"2"}
    store.close()


async def test_a_disk_goes_on_where_it_was(tmp_path: Path) -> None:
    log = Log()
    state = a_state(log, RocksStore(tmp_path / "0"))
    state.apply(0, 1, "a", one_more)
    await state.flush()
    state.apply(0, 2, "a", one_more)  # not flushed: the process is killed
    state.close()
    again = a_state(log, RocksStore(tmp_path / "0"))
    assert again.changelog_offset == len(log.records) - 1
    assert again.get("a") == 1
    assert again.apply(0, 2, "a", one_more)
    again.close()


@settings(max_examples=200, deadline=None)
@given(
    keys=st.lists(st.sampled_from("abcde"), min_size=1, max_size=60),
    chunk=st.integers(1, 9),
    lives=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9), st.booleans()), max_size=8),
)
async def test_every_schedule_of_deaths_counts_every_record_once(
    keys: list[str], chunk: int, lives: list[tuple[int, int, bool]]
) -> None:
    """Each life has so many batches, goes back so many records, and may keep its disk."""
    log, store, committed = Log(), MemoryStore(), 0
    for batches, back, keeps_disk in [*lives, (1_000_000, 0, False)]:
        log.batches_left = batches
        store = store if keeps_disk else MemoryStore()
        state = a_state(log, store)
        position = max(0, committed - back)
        try:
            while position < len(keys):
                end = min(len(keys), position + chunk)
                for offset in range(position, end):
                    state.apply(0, offset, keys[offset], one_more)
                await state.flush()
                position = committed = end
        except RetryableError:
            continue
    state = a_state(log)
    assert {key: state.get(key) for key in set(keys)} == dict(Counter(keys))
