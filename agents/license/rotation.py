"""Rotation of the key-encryption key: a new version, every content key under it, the old retired.

A rotation has no state of its own. Where it stands follows from the two topics alone, so whoever is
asked for the next piece goes on where the last one was killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from agents.license.key_encryption import KeyEncryptionKeys, KeyServiceError, newest_of
from agents.license.keys import KeyRing
from agents.shell import ShellPorts
from schemas.licenses import KeyEncryptionKey, KeyRotation, RotateKeyEncryptionKey, WrappedKey
from streams.topics import CONTENT_KEYS, KEY_ENCRYPTION_KEYS

PIECE_KEYS: Final = 500
"""So many keys of one request: it is answered well within its deadline."""
AT_ONCE_KEYS: Final = 50
"""Between two of them the worker serves licenses; some 2 ms of work."""
STUCK_TOLD_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a rotation stands."""

    current: KeyEncryptionKey | None
    left: tuple[WrappedKey, ...]
    """Keys under any other version."""
    replaced: tuple[KeyEncryptionKey, ...]
    """Other versions that are not retired."""

    @property
    def is_done(self) -> bool:
        """Nothing is under way: the next rotation makes a new version."""
        return not self.left and not self.replaced

    @property
    def next_from(self) -> str:
        """What to rotate from: the current version, or nothing where one is to be finished."""
        return self.current.kek_id if self.current is not None and self.is_done else ""


def standing(keks: Iterable[KeyEncryptionKey], keys: Iterable[WrappedKey]) -> Standing:
    """From what the log holds."""
    every = tuple(keks)
    current = newest_of(every)
    current_id = "" if current is None else current.kek_id
    return Standing(
        current=current,
        left=tuple(key for key in keys if current is None or key.kek_id != current_id),
        replaced=tuple(
            kek for kek in every if kek.retired_at_ms is None and kek.kek_id != current_id
        ),
    )


class Rotator:
    """Makes versions and moves keys. Only the worker that takes `key.requests.v1` uses it, one
    request at a time: it writes the same topics as who makes content keys."""

    def __init__(
        self,
        ports: ShellPorts,
        keks: KeyEncryptionKeys,
        keys: KeyRing,
        until_held: Callable[[KeyEncryptionKey], Awaitable[bool]],
    ) -> None:
        self._ports = ports
        self._keks = keks
        self._keys = keys
        self._until_held = until_held

    async def ensure(self) -> None:
        """Make the first version where there is none. Raises KeyServiceError."""
        if self._keks.newest() is None:
            await self._make()

    async def step(
        self, request: RotateKeyEncryptionKey, is_late: Callable[[], bool]
    ) -> KeyRotation:
        """The next piece. Raises KeyServiceError; then what was done stays done."""
        newest = self._keks.newest()
        if newest is None or newest.kek_id == request.from_kek_id:
            newest = await self._make()
        current = self._keks.current()
        if current.kek_id != newest.kek_id:
            raise KeyServiceError(
                f"key-encryption key version {newest.version} cannot be used here: see the license"
                " worker's log"
            )
        rewrapped, stuck = await self._rewrap(current, is_late)
        after = standing(self._keks.known, self._keys.all())
        retired = await self._retire(after) if not after.left else ()
        return KeyRotation(
            kek_id=current.kek_id,
            version=current.version,
            rewrapped=rewrapped,
            left=len(after.left),
            stuck=tuple(stuck[:STUCK_TOLD_MAX]),
            retired=retired,
        )

    async def _make(self) -> KeyEncryptionKey:
        """Nothing is wrapped by it before the log has given it back: it cannot be lost then."""
        made = await self._keks.make(self._ports.clock())
        await self._ports.publisher.publish(KEY_ENCRYPTION_KEYS, made.kek_id, made)
        if not await self._until_held(made):
            raise KeyServiceError(
                f"key-encryption key version {made.version} is in the log, and cannot be used here"
                " yet: give the command again"
            )
        return made

    async def _rewrap(
        self, current: KeyEncryptionKey, is_late: Callable[[], bool]
    ) -> tuple[int, list[str]]:
        """How many were, and which cannot be unwrapped."""
        left = standing(self._keks.known, self._keys.all()).left
        done, stuck = 0, list[str]()
        for start in range(0, len(left), AT_ONCE_KEYS):
            if done >= PIECE_KEYS or is_late():
                break
            new: list[WrappedKey] = []
            for key in left[start : start + AT_ONCE_KEYS]:
                try:
                    new.append(self._keys.rewrapped(key, current))
                except KeyServiceError:
                    stuck.append(key.key_id)
            publish = self._ports.publisher.publish
            await asyncio.gather(*(publish(CONTENT_KEYS, key.key_id, key) for key in new))
            for key in new:
                self._keys.keep(key)
            done += len(new)
        return done, stuck

    async def _retire(self, after: Standing) -> tuple[int, ...]:
        for kek in after.replaced:
            retired = replace(kek, retired_at_ms=self._ports.clock())
            await self._ports.publisher.publish(KEY_ENCRYPTION_KEYS, kek.kek_id, retired)
            self._keks.keep(retired)
        return tuple(kek.version for kek in after.replaced)
