"""A rotation that is killed anywhere goes on, and no worker misses a key meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.license import rotation
from agents.license.key_encryption import KeyEncryptionKeys, KeyServiceError
from agents.license.keys import KeyRing, wrapping_context
from agents.license.rotation import Rotator, standing
from agents.shell import ShellPorts
from schemas.catalog import Tier
from schemas.licenses import KeyRotation, RotateKeyEncryptionKey, WrappedKey
from schemas.secrets import SecretBytes
from streams.records import Record
from streams.topic import Topic
from streams.topics import CONTENT_KEYS, KEY_ENCRYPTION_KEYS
from tests.gateway_fakes import MemoryClock
from tests.unit.license.key_service import MemoryRoot

TIERS: tuple[Tier, ...] = ("audio", "sd", "hd")
CONTENTS = tuple(f"content-{n}" for n in range(7))
ROOT = MemoryRoot()


class KilledError(Exception):
    """kill -9."""


class Log:
    """Both topics; dies at a write, before or after it is in the log, and stays dead."""

    def __init__(self) -> None:
        self.rows: list[tuple[Topic, str, Any]] = []
        self.dies_at: int | None = None
        self.is_written = False

    async def publish(self, topic: Topic, key: str, value: Any) -> None:
        await asyncio.sleep(0)
        if self.dies_at is not None and len(self.rows) >= self.dies_at:
            if self.is_written:
                self.rows.append((topic, key, value))
                self.is_written = False
            raise KilledError
        self.rows.append((topic, key, value))

    def of(self, topic: Topic) -> list[tuple[Topic, str, Any]]:
        return [row for row in self.rows if row[0] is topic]


class Worker:
    """What a license worker knows of the log, as far as it has read."""

    def __init__(self, log: Log, *, inherited: dict[int, SecretBytes] | None = None) -> None:
        self.log = log
        clock = MemoryClock()
        self.keks = KeyEncryptionKeys((ROOT,), clock=clock, inherited=inherited)
        self.ring = KeyRing(self.keks)
        publisher: Any = log
        nobody: Any = None
        ports = ShellPorts(
            broker=nobody, publisher=publisher, clock=clock, metrics=nobody, halt=nobody
        )
        self.rotator = Rotator(ports, self.keks, self.ring, self._until_held)

    def read(self, row: tuple[Topic, str, Any]) -> None:
        topic, key, value = row
        record = Record(topic.name, 0, 0, key, value, 0, {})
        (self.keks if topic is KEY_ENCRYPTION_KEYS else self.ring).take(record)

    async def refresh(self) -> None:
        await self.keks.refresh(self.ring.in_use())
        self.ring.settle()

    async def start(self) -> Worker:
        """As it does it: versions, then keys, each to the end."""
        for row in (*self.log.of(KEY_ENCRYPTION_KEYS), *self.log.of(CONTENT_KEYS)):
            self.read(row)
        await self.refresh()
        for row in self.log.of(CONTENT_KEYS):
            self.read(row)
        return self

    async def _until_held(self, _: object) -> bool:
        for row in self.log.of(KEY_ENCRYPTION_KEYS):
            self.read(row)
        await self.refresh()
        return True

    async def rotate(self, from_kek_id: str, *, is_late: Callable[[], bool] = bool) -> KeyRotation:
        return await self.rotator.step(RotateKeyEncryptionKey(from_kek_id=from_kek_id), is_late)

    def keys(self) -> dict[str, bytes]:
        """Every key, open. Raises KeyServiceError."""
        return {key.key_id: key.key for key in self.ring.for_player(tuple(self.ring._by_id))}


async def a_log() -> tuple[Log, dict[str, bytes]]:
    """Of a deployment with keys of some titles under its first version."""
    log = Log()
    worker = await Worker(log).start()
    await worker.rotator.ensure()
    numbers = itertools.count(1)
    for content_id in CONTENTS:
        for key in worker.ring.make_missing(
            content_id, TIERS, now_ms=1, randomness=lambda n: next(numbers).to_bytes(n, "big")
        ):
            await log.publish(CONTENT_KEYS, key.key_id, key)
    return log, worker.keys()


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "PIECE_KEYS", 8)
    monkeypatch.setattr(rotation, "AT_ONCE_KEYS", 3)


async def rotated(log: Log) -> int:
    """As the command does it; the version that is current then."""
    where = await stands(log)
    from_kek_id = where.next_from
    while (piece := await (await Worker(log).start()).rotate(from_kek_id)).left:
        assert piece.rewrapped > 0
    return piece.version


async def stands(log: Log) -> rotation.Standing:
    reader = await Worker(log).start()
    return standing(reader.keks.known, reader.ring.all())


async def test_a_rotation_moves_every_key_and_retires_the_old() -> None:
    log, keys = await a_log()
    assert (await stands(log)).is_done
    assert await rotated(log) == 2
    where = await stands(log)
    assert where.is_done
    assert where.current is not None
    worker = await Worker(log).start()
    assert {key.kek_version for key in worker.ring.all()} == {2}
    assert [kek.retired_at_ms is None for kek in worker.keks.known] == [False, True]
    assert worker.keys() == keys
    assert await rotated(log) == 3


async def kills() -> list[tuple[int, bool]]:
    log, _ = await a_log()
    before = len(log.rows)
    await rotated(log)
    return [(place, late) for place in range(before, len(log.rows)) for late in (False, True)]


async def test_killed_at_any_write_it_goes_on_and_no_key_is_ever_out_of_reach() -> None:
    places = await kills()
    assert len(places) == 2 * (1 + len(CONTENTS) * len(TIERS) + 1)
    for dies_at, is_written in places:
        log, keys = await a_log()
        log.dies_at, log.is_written = dies_at, is_written
        with pytest.raises(KilledError):
            await rotated(log)
        log.dies_at = None
        assert (await Worker(log).start()).keys() == keys
        resumed = await rotated(log)
        # Killed before its first write nothing was begun; after its last, nothing was under way.
        assert resumed == (3 if (dies_at, is_written) == places[-1] else 2)
        assert (await stands(log)).is_done
        assert (await Worker(log).start()).keys() == keys
        versions = [key.kek_version for key in (await Worker(log).start()).ring.all()]
        assert set(versions) == {resumed}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_workers_that_follow_never_miss_a_key(data: st.DataObject) -> None:
    """The two topics reach a worker one beside the other, in any order between them."""

    async def follow() -> None:
        log, keys = await a_log()
        worker = await Worker(log).start()
        await worker.refresh()
        begun = len(log.rows)
        await rotated(log)
        await rotated(log)
        news = log.rows[begun:]
        waiting = {t: [row for row in news if row[0] is t] for t in {row[0] for row in news}}
        while any(waiting.values()):
            topics = [topic for topic, rows in waiting.items() if rows]
            topic = topics[data.draw(st.integers(0, len(topics) - 1))]
            for _ in range(data.draw(st.integers(1, 12))):
                if waiting[topic]:
                    worker.read(waiting[topic].pop(0))
                    assert worker.keys() == keys
            if data.draw(st.booleans()):
                await worker.refresh()
                assert worker.keys() == keys
        for _ in range(2):  # once for what is new, once for what is settled by it
            await worker.refresh()
            assert worker.keys() == keys
        assert len(worker.keks._held) == 1, "what is retired is forgotten"

    asyncio.run(follow())


async def test_a_worker_that_starts_amid_it_knows_that_it_must_wait() -> None:
    """It has read the versions, then one was made, then it reads the keys."""
    log, keys = await a_log()
    worker = Worker(log)
    for row in log.of(KEY_ENCRYPTION_KEYS):
        worker.read(row)
    await worker.refresh()
    await rotated(log)
    for row in log.of(CONTENT_KEYS)[-21:]:  # compacted: only the newest are left
        worker.read(row)
    assert not worker.ring.in_use() <= {kek.kek_id for kek in worker.keks.known}
    with pytest.raises(KeyServiceError):
        worker.keys()
    for row in log.of(KEY_ENCRYPTION_KEYS):
        worker.read(row)
    assert worker.ring.in_use() <= {kek.kek_id for kek in worker.keks.known}
    await worker.refresh()
    assert worker.keys() == keys


async def test_asked_twice_it_rotates_once() -> None:
    log, _ = await a_log()
    worker = await Worker(log).start()
    first = worker.keks.current().kek_id
    assert (await worker.rotate(first)).version == 2
    while (piece := await worker.rotate(first)).left:
        pass
    assert piece.version == 2
    assert (await worker.rotate(first)).version == 2
    assert len(log.of(KEY_ENCRYPTION_KEYS)) == 3  # made, made, retired


async def test_a_piece_ends_when_nobody_waits_for_it() -> None:
    log, _ = await a_log()
    worker = await Worker(log).start()
    late = iter((False, True))
    piece = await worker.rotate(worker.keks.current().kek_id, is_late=lambda: next(late))
    assert (piece.rewrapped, piece.left, piece.retired) == (3, 18, ())


async def test_a_key_that_cannot_be_unwrapped_stops_nothing_but_the_retirement() -> None:
    log, keys = await a_log()
    topic, key_id, key = log.rows[5]
    damaged = (topic, key_id, replace(key, wrapped=bytes(44)))
    log.rows[5] = damaged
    worker = await Worker(log).start()
    from_kek_id = worker.keks.current().kek_id
    while (piece := await worker.rotate(from_kek_id)).rewrapped:
        pass
    assert (piece.left, piece.stuck, piece.retired) == (1, (key_id,), ())
    fresh = await Worker(log).start()
    assert {k.kek_version for k in fresh.ring.all() if k.key_id != key_id} == {2}
    assert fresh.keks.holds((from_kek_id, 1)), "a backup's key may still come back under it"
    readable = fresh.ring.for_player(tuple(keys.keys() - {key_id}))
    assert {each.key_id: each.key for each in readable} == {
        k: v for k, v in keys.items() if k != key_id
    }


async def test_keys_of_the_old_file_move_into_the_log() -> None:
    log, inherited = Log(), {1: SecretBytes(b"k" * 32)}
    worker = await Worker(log, inherited=inherited).start()
    context = wrapping_context("tears", "e" * 32, "sd", 1)
    old = WrappedKey(
        key_id="e" * 32,
        content_id="tears",
        tier="sd",
        kek_version=1,
        wrapped=worker.keks.wrap(("", 1), SecretBytes(b"c" * 16), context),
        created_at_ms=0,
    )
    await log.publish(CONTENT_KEYS, old.key_id, old)
    worker = await Worker(log, inherited=inherited).start()
    assert worker.keys() == {old.key_id: b"c" * 16}
    piece = await worker.rotate((await stands(log)).next_from)
    assert (piece.version, piece.rewrapped, piece.left) == (2, 1, 0)
    assert (await Worker(log).start()).keys() == {old.key_id: b"c" * 16}
