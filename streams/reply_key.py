"""The key that answers are sealed to: in this process's memory alone, another one every hour."""

from __future__ import annotations

import asyncio
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

LIFETIME_S: Final = 3_600.0


class ReplyKey:
    """Replaced by the time alone, also where nothing is asked.

    Only requests under way still hold the one before, until their answer or their deadline. After
    that, and after the process, nobody can open what was sealed to it.
    """

    def __init__(self, lifetime_s: float = LIFETIME_S) -> None:
        self._lifetime_s = lifetime_s
        self._make()
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return "ReplyKey(***)"

    @property
    def current(self) -> X25519PrivateKey:
        """What a new request is answered to."""
        return self._current

    def start(self) -> None:
        """Let its time run."""
        self._timer = asyncio.get_running_loop().call_later(self._lifetime_s, self._replace)

    def stop(self) -> None:
        """Forget it."""
        if self._timer is not None:
            self._timer.cancel()
        self._make()

    def _replace(self) -> None:
        self._make()
        self.start()

    def _make(self) -> None:
        self._current = X25519PrivateKey.generate()
        self.public = self._current.public_key().public_bytes_raw()
        """Of the current one: what requests name."""
