"""The key that answers are sealed to: in this process's memory alone, another one every hour."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas.errors import InvalidMessageError
from streams.identity import is_signature
from streams.sealing import OpeningContext

LIFETIME_S: Final = 3_600.0
CONTEXTS_MAX: Final = 256
"""Of one key. An agent makes one a minute; one that was forgotten is only checked anew."""


def context_info(agent_key_id: str) -> bytes:
    """What a context of answers is made for."""
    return f"playhead replies v2 {agent_key_id}".encode()


def context_signed(info: bytes, reply_key: bytes, encapsulated: bytes) -> bytes:
    """What an agent signs of a context: that it made this one, for this reply key."""
    return info + reply_key + encapsulated


class HeldKey:
    """One key, and the contexts that agents made for it; they are forgotten together."""

    def __init__(self) -> None:
        self.private: Final = X25519PrivateKey.generate()
        self.public: Final = self.private.public_key().public_bytes_raw()
        """What requests name."""
        self._contexts: OrderedDict[tuple[bytes, ...], OpeningContext] = OrderedDict()

    def __repr__(self) -> str:
        return "HeldKey(***)"

    def context(
        self, agent_key_id: str, agent: Ed25519PublicKey, encapsulated: bytes, signature: bytes
    ) -> OpeningContext:
        """The agent's context, its signature checked once.

        Raises InvalidMessageError (`forged`, `sealed`) where the agent did not make it.
        """
        info = context_info(agent_key_id)
        name = (info, encapsulated, signature)
        known = self._contexts.get(name)
        if known is None:
            if not is_signature(agent, signature, context_signed(info, self.public, encapsulated)):
                raise InvalidMessageError(
                    "forged", "the signature of the answer's context is wrong"
                )
            known = self._contexts[name] = OpeningContext(self.private, encapsulated, info)
            if len(self._contexts) > CONTEXTS_MAX:
                self._contexts.popitem(last=False)
        return known


class ReplyKey:
    """Replaced by the time alone, also where nothing is asked.

    Only requests under way still hold the one before, until their answer or their deadline. After
    that, and after the process, nobody can open what was sealed to it.
    """

    def __init__(self, lifetime_s: float = LIFETIME_S) -> None:
        self._lifetime_s = lifetime_s
        self._current = HeldKey()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def current(self) -> HeldKey:
        """What a new request is answered to."""
        return self._current

    def start(self) -> None:
        """Let its time run."""
        self._timer = asyncio.get_running_loop().call_later(self._lifetime_s, self._replace)

    def stop(self) -> None:
        """Forget it."""
        if self._timer is not None:
            self._timer.cancel()
        self._current = HeldKey()

    def _replace(self) -> None:
        self._current = HeldKey()
        self.start()
