"""Content keys: made once per content and tier, kept only wrapped, unwrapped only here.

`wrapped` = nonce (12 bytes) + AES-256-GCM under a key-encryption key that stays with its provider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from schemas.catalog import Tier
from schemas.errors import PlayheadError
from schemas.licenses import ClearKey, TierKey, WrappedKey
from schemas.secrets import SecretBytes
from streams.records import Record

KEY_BYTES = 16


class KeyServiceError(PlayheadError):
    """A key cannot be wrapped or unwrapped: fail closed. Says nothing of the key itself."""


class KeyProvider(Protocol):
    """Who holds the key-encryption key."""

    def current_version(self) -> int:
        """The version that new keys are wrapped under; raises KeyServiceError."""

    def wrap(self, version: int, key: SecretBytes, context: bytes) -> bytes:
        """The key, wrapped for this context; raises KeyServiceError."""

    def unwrap(self, version: int, wrapped: bytes, context: bytes) -> SecretBytes:
        """The key; raises KeyServiceError where key, version or context is another."""


def wrapping_context(content_id: str, key_id: str, tier: Tier, version: int) -> bytes:
    """The associated data: a wrapped key counts for nothing else."""
    return f"playhead content key v1\x1f{content_id}\x1f{key_id}\x1f{tier}\x1f{version}".encode()


class KeyRing:
    """Every content key, wrapped, as `content.keys.v1` has them."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider
        self._by_id: dict[str, WrappedKey] = {}
        self._by_tier: dict[tuple[str, Tier], str] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def take(self, record: Record[WrappedKey | None]) -> None:
        """A record of `content.keys.v1`. The first key of a content's tier stays it: its media
        are encrypted with it."""
        if record.value is not None and record.value.key_id == record.key:
            self.keep(record.value)

    def keep(self, key: WrappedKey) -> None:
        """Remember the key; rewrapped under a newer version it replaces itself."""
        first = self._by_tier.setdefault((key.content_id, key.tier), key.key_id)
        known = self._by_id.get(key.key_id)
        if first == key.key_id and (known is None or key.kek_version >= known.kek_version):
            self._by_id[key.key_id] = key

    def places(self, key_ids: tuple[str, ...]) -> Mapping[str, tuple[str, Tier]]:
        """Content and tier of those key ids that exist."""
        found = (self._by_id.get(key_id) for key_id in key_ids)
        return {key.key_id: (key.content_id, key.tier) for key in found if key is not None}

    def make_missing(
        self,
        content_id: str,
        tiers: tuple[Tier, ...],
        *,
        now_ms: int,
        randomness: Callable[[int], bytes],
    ) -> tuple[WrappedKey, ...]:
        """New keys for those of the content's tiers that have none, remembered, to be published.

        Raises KeyServiceError; then nothing was remembered.
        """
        version = self._provider.current_version()
        made = []
        for tier in dict.fromkeys(tiers):
            if (content_id, tier) in self._by_tier:
                continue
            key_id = randomness(KEY_BYTES).hex()
            context = wrapping_context(content_id, key_id, tier, version)
            key = SecretBytes(randomness(KEY_BYTES))
            wrapped = self._provider.wrap(version, key, context)
            made.append(
                WrappedKey(
                    key_id=key_id,
                    content_id=content_id,
                    tier=tier,
                    kek_version=version,
                    wrapped=wrapped,
                    created_at_ms=now_ms,
                )
            )
        for wrapped_key in made:
            self.keep(wrapped_key)
        return tuple(made)

    def for_packager(self, content_id: str, tiers: tuple[Tier, ...]) -> tuple[TierKey, ...]:
        """The content's keys; every tier has one by now. Raises KeyServiceError."""
        keys = [self._by_id[self._by_tier[content_id, tier]] for tier in dict.fromkeys(tiers)]
        return tuple(
            TierKey(tier=key.tier, key_id=key.key_id, key=self._unwrap(key).reveal())
            for key in keys
        )

    def for_player(self, key_ids: tuple[str, ...]) -> tuple[ClearKey, ...]:
        """Keys that a decision granted; raises KeyServiceError."""
        return tuple(
            ClearKey(key_id=key_id, key=self._unwrap(self._by_id[key_id]).reveal())
            for key_id in key_ids
        )

    def _unwrap(self, key: WrappedKey) -> SecretBytes:
        context = wrapping_context(key.content_id, key.key_id, key.tier, key.kek_version)
        return self._provider.unwrap(key.kek_version, key.wrapped, context)
