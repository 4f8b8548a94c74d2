"""Content keys and what wraps them, followed to the end of their topics; roots asked anew."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from agents.license.key_encryption import KeyEncryptionKeys, name_of
from agents.license.keys import KeyRing
from agents.license.knowledge import follow
from agents.shell import ShellPorts
from schemas.licenses import KeyEncryptionKey
from streams.records import Record
from streams.topics import CONTENT_KEYS, KEY_ENCRYPTION_KEYS

REFRESH_S: Final = 2.0
"""How soon it is noticed that a root does not answer any more."""
READ_MS_MAX: Final = 10_000
"""How long a version may take from the log into memory."""


class KeyViews:
    """Feeds the two and keeps them fresh.

    The topics are read one beside the other. Whoever starts amid a rotation may read a key under a
    version that came later than those it had read: it waits for that version before it serves.
    """

    def __init__(self, ports: ShellPorts, keks: KeyEncryptionKeys, keys: KeyRing) -> None:
        self._keks = keks
        self._keys = keys
        self._halt = ports.halt
        self._metrics = ports.metrics
        self._has_news = asyncio.Event()
        self._keks_view = follow(ports, KEY_ENCRYPTION_KEYS, self._take_kek)
        self._keys_view = follow(ports, CONTENT_KEYS, keys.take)
        self._refreshing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read all of them, and unwrap what can be: a root that is away does not stop the rest."""
        await self._keks_view.start()
        await self._refresh()
        await self._keys_view.start()
        await self._keks_view.wait_until(self._knows_all, READ_MS_MAX)
        await self._refresh()
        self._task = asyncio.create_task(self._keep_fresh(), name="key-encryption keys")
        self._task.add_done_callback(self._end)

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)  # `_end` has told of its error
        for view in (self._keys_view, self._keks_view):
            await view.stop()

    async def until_held(self, kek: KeyEncryptionKey) -> bool:
        """Whether the log has given this one back and its root has unwrapped it."""

        def is_known() -> bool:
            return any(known.kek_id == kek.kek_id for known in self._keks.known)

        if await self._keks_view.wait_until(is_known, READ_MS_MAX):
            await self._refresh()
        return self._keks.holds(name_of(kek))

    def _take_kek(self, record: Record[Any]) -> None:
        self._keks.take(record)
        self._has_news.set()

    def _knows_all(self) -> bool:
        return self._keys.in_use() <= {kek.kek_id for kek in self._keks.known}

    async def _refresh(self) -> None:
        async with self._refreshing:
            await self._keks.refresh(self._keys.in_use())
            self._keys.settle()
        for root, silent_ms in self._keks.silences_ms().items():
            self._metrics.root_silent_seconds.labels(root).set(silent_ms / 1000)

    async def _keep_fresh(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_S):
                    await self._has_news.wait()
            self._has_news.clear()
            await self._refresh()

    def _end(self, task: asyncio.Task[None]) -> None:
        """Without it a root that is gone would not be noticed: so the worker does not go on."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._halt(error)
