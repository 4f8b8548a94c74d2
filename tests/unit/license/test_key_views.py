"""A license worker's two views of keys: started amid a rotation, and when a root goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from agents.license import key_views
from agents.license.key_encryption import KeyEncryptionKeys, KeyServiceError
from agents.license.key_views import KeyViews
from agents.license.keys import KeyRing
from agents.shell import ShellPorts
from schemas.licenses import KeyEncryptionKey, WrappedKey
from streams.metrics import WorkerMetrics
from streams.records import Record
from streams.topic import Topic
from streams.topics import CONTENT_KEYS, KEY_ENCRYPTION_KEYS
from tests.gateway_fakes import MemoryClock
from tests.unit.license.key_service import MemoryRoot

KEY = b"c" * 16


class MemoryView:
    """`streams.view.View` of a list that others append to."""

    def __init__(self, topic: Topic, take: Callable[[Record[Any]], None], log: Log) -> None:
        self._topic, self._take, self._log = topic, take, log
        self._read = 0

    async def start(self) -> None:
        self.follow()
        after = self._log.after_start.pop(self._topic.name, None)
        if after is not None:
            await after()

    async def stop(self) -> None:
        self._log.stopped.append(self._topic.name)

    async def wait_until(self, condition: Callable[[], bool], timeout_ms: int) -> bool:
        assert timeout_ms > 0
        if not condition():
            self.follow()
        return condition()

    def follow(self) -> None:
        rows = self._log.rows.setdefault(self._topic.name, [])
        for key, value in rows[self._read :]:
            self._take(Record(self._topic.name, 0, 0, key, value, 0, {}))
        self._read = len(rows)


class Log:
    """What the topics hold, and what happens right after one was read to its end."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[str, Any]]] = {}
        self.after_start: dict[str, Any] = {}
        self.views: dict[str, MemoryView] = {}
        self.stopped: list[str] = []

    def put(self, value: KeyEncryptionKey | WrappedKey) -> None:
        topic = KEY_ENCRYPTION_KEYS if isinstance(value, KeyEncryptionKey) else CONTENT_KEYS
        key = value.kek_id if isinstance(value, KeyEncryptionKey) else value.key_id
        self.rows.setdefault(topic.name, []).append((key, value))

    def follow(self, _: Any, topic: Topic, take: Callable[[Record[Any]], None]) -> MemoryView:
        self.views[topic.name] = MemoryView(topic, take, self)
        return self.views[topic.name]


class Worker:
    """One that reads this log."""

    def __init__(self, log: Log, root: MemoryRoot) -> None:
        self.halted: list[BaseException] = []
        self.clock = MemoryClock()
        self.keks = KeyEncryptionKeys((root,), clock=self.clock)
        self.ring = KeyRing(self.keks)
        self.registry = CollectorRegistry()
        nobody: Any = None
        ports = ShellPorts(
            broker=nobody,
            publisher=nobody,
            clock=MemoryClock(),
            metrics=WorkerMetrics(self.registry),
            halt=self.halted.append,
        )
        self.views = KeyViews(ports, self.keks, self.ring)

    def silent_s(self) -> float:
        """What an operator's alert looks at."""
        value = self.registry.get_sample_value("playhead_root_silent_seconds", {"root": "memory"})
        assert value is not None
        return value

    def key(self) -> bytes:
        (key,) = self.ring.for_player(tuple(key.key_id for key in self.ring.all()))
        return key.key

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - the worker's own task decides
                await asyncio.sleep(0.001)

    def is_refused(self) -> bool:
        try:
            self.key()
        except KeyServiceError:
            return True
        return False


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(key_views, "follow", log.follow)
    monkeypatch.setattr(key_views, "REFRESH_S", 0.005)
    return log


@pytest.fixture
async def root(log: Log) -> MemoryRoot:
    """With one version and one key under it in the log."""
    root = MemoryRoot()
    worker = Worker(log, root)
    log.put(await worker.keks.make(0))
    await worker.views.start()
    (key,) = worker.ring.make_missing("tears", ("sd",), now_ms=1, randomness=lambda n: KEY[:n])
    log.put(key)
    await worker.views.stop()
    return root


async def rotated(log: Log, root: MemoryRoot) -> None:
    """Another worker makes a version, moves the key and retires the old."""
    worker = Worker(log, root)
    await worker.views.start()
    new = await worker.keks.make(0)
    log.put(new)
    assert await worker.views.until_held(new)
    (key,) = worker.ring.all()
    moved = worker.ring.rewrapped(key, new)
    log.rows[CONTENT_KEYS.name].clear()  # compacted at once
    log.put(moved)
    await worker.views.stop()


async def test_a_worker_serves_what_the_log_holds(log: Log, root: MemoryRoot) -> None:
    worker = Worker(log, root)
    await worker.views.start()
    assert worker.key() == KEY
    await worker.views.stop()
    assert log.stopped[-2:] == [CONTENT_KEYS.name, KEY_ENCRYPTION_KEYS.name]


async def test_one_that_starts_amid_a_rotation_waits_for_the_new_version(
    log: Log, root: MemoryRoot
) -> None:
    """It has read the versions; before it reads the keys, all of them are moved."""

    async def meanwhile() -> None:
        await rotated(log, root)

    log.after_start[KEY_ENCRYPTION_KEYS.name] = meanwhile
    worker = Worker(log, root)
    await worker.views.start()
    assert {key.kek_version for key in worker.ring.all()} == {2}
    assert worker.key() == KEY
    await worker.views.stop()


async def test_a_version_that_comes_is_unwrapped_at_once(
    log: Log, root: MemoryRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_views, "REFRESH_S", 60)
    worker = Worker(log, root)
    await worker.views.start()
    followed = log.views[KEY_ENCRYPTION_KEYS.name]
    new = await worker.keks.make(0)
    log.put(new)
    followed.follow()
    await worker.until(lambda: worker.keks.holds((new.kek_id, 2)))
    await worker.views.stop()


async def test_a_root_that_goes_away_is_noticed_and_so_is_its_return(
    log: Log, root: MemoryRoot
) -> None:
    worker = Worker(log, root)
    await worker.views.start()
    assert worker.silent_s() == 0
    root.away = "gone: restore it"
    await worker.until(worker.is_refused)
    worker.clock.now_ms += 7_000
    await worker.until(lambda: worker.silent_s() == 7)
    root.away = ""
    await worker.until(lambda: not worker.is_refused())
    await worker.until(lambda: worker.silent_s() == 0)
    assert worker.key() == KEY
    assert worker.halted == []
    await worker.views.stop()


async def test_a_worker_starts_without_its_root_and_refuses(log: Log, root: MemoryRoot) -> None:
    root.away = "gone: restore it"
    worker = Worker(log, root)
    await worker.views.start()
    with pytest.raises(KeyServiceError, match="restore it"):
        worker.key()
    root.away = ""
    await worker.until(lambda: not worker.is_refused())
    await worker.views.stop()


async def test_a_worker_that_cannot_look_any_more_halts(log: Log, root: MemoryRoot) -> None:
    worker = Worker(log, root)
    await worker.views.start()
    worker.keks.refresh = None  # type: ignore[method-assign,assignment]  # a mistake of ours
    await worker.until(lambda: bool(worker.halted))
    assert isinstance(worker.halted[0], TypeError)
    await worker.views.stop()
