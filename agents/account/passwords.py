"""Password hashing off the event loop, bounded, and equally slow whether there is a hash or not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from schemas.errors import PlayheadError

T = TypeVar("T")


class BusyError(PlayheadError):
    """More passwords wait than may wait: answer 503."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether the password is right, and a new hash where the old one is too cheap by now."""

    matches: bool
    new_hash: str = ""


class Passwords(Protocol):
    """Makes and checks password hashes."""

    async def hash(self, password: str) -> str:
        """A hash to keep; raises BusyError."""

    async def check(self, password: str, password_hash: str) -> Checked:
        """Against a kept hash, or an empty one, in the same time; raises BusyError."""


class Argon2Passwords:
    """Argon2id (RFC 9106) with OWASP's second choice: 19 MiB, two passes, one lane: some 30 ms."""

    def __init__(
        self,
        *,
        threads: int = 2,
        waiting_max: int = 64,
        memory_kib: int = 19_456,
        passes: int = 2,
    ) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._waiting_max = waiting_max
        self._waiting = 0
        # What unknown accounts are checked against, so that time tells nothing about them.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        """A hash to keep; raises BusyError."""
        return await self._run(lambda: str(self._hasher.hash(password)))

    async def check(self, password: str, password_hash: str) -> Checked:
        """Against a kept hash, or an empty one, in the same time; raises BusyError."""
        return await self._run(lambda: self._check(password, password_hash))

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _check(self, password: str, password_hash: str) -> Checked:
        try:
            self._hasher.verify(password_hash or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return Checked(matches=False)
        if not password_hash:
            return Checked(matches=False)
        is_cheap = self._hasher.check_needs_rehash(password_hash)
        return Checked(matches=True, new_hash=str(self._hasher.hash(password)) if is_cheap else "")

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._waiting_max:
            raise BusyError("too many passwords wait to be checked")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
