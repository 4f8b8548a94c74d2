"""Content keys: made once per content and tier, kept only wrapped, unwrapped only here.

`wrapped` = nonce (12 bytes) + AES-256-GCM under a key-encryption key (`key_encryption.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from agents.license.key_encryption import KeyEncryptionKeys, name_of
from schemas.catalog import Tier
from schemas.errors import PlayheadError
from schemas.licenses import ClearKey, KeyEncryptionKey, TierKey, WrappedKey
from schemas.secrets import SecretBytes
from streams.records import Record

KEY_BYTES = 16
STORED_PERIOD = 0
"""Titles that are stored have one key per tier; periods above it are live content's."""


class KeyIdTakenError(PlayheadError):
    """A key id that was asked for is that of another key; the packager must choose another."""


def wrapping_context(
    content_id: str, key_id: str, tier: Tier, version: int, period: int = STORED_PERIOD
) -> bytes:
    """The associated data: a wrapped key counts for nothing else."""
    said = f"playhead content key v1\x1f{content_id}\x1f{key_id}\x1f{tier}\x1f{version}"
    return (f"{said}\x1f{period}" if period else said).encode()


class KeyRing:
    """Every content key, wrapped, as `content.keys.v1` has them."""

    def __init__(self, keks: KeyEncryptionKeys) -> None:
        self._keks = keks
        self._by_id: dict[str, WrappedKey] = {}
        self._before: dict[str, WrappedKey] = {}
        """As a key was wrapped before, while its new key-encryption key is not at hand here."""
        self._by_tier: dict[tuple[str, Tier, int], str] = {}
        self._in_use: frozenset[str] | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def take(self, record: Record[WrappedKey | None]) -> None:
        """A record of `content.keys.v1`. The first key of a content's tier stays it: its media
        are encrypted with it."""
        if record.value is not None and record.value.key_id == record.key:
            self.keep(record.value)

    def keep(self, key: WrappedKey) -> None:
        """Remember the key; rewrapped under a newer version it replaces itself, once that version
        can be used here: the two topics are read one beside the other."""
        first = self._by_tier.setdefault((key.content_id, key.tier, key.period), key.key_id)
        known = self._by_id.get(key.key_id)
        if first != key.key_id or (known is not None and key.kek_version < known.kek_version):
            return
        if self._keks.holds(name_of(key)):
            self._before.pop(key.key_id, None)
        elif known is not None and self._keks.holds(name_of(known)):
            self._before[key.key_id] = known
        self._by_id[key.key_id] = key
        self._in_use = None

    def settle(self) -> None:
        """Let go of old wrappings whose new ones can be used by now."""
        for key_id in [k for k in self._before if self._keks.holds(name_of(self._by_id[k]))]:
            del self._before[key_id]
            self._in_use = None

    def in_use(self) -> frozenset[str]:
        """Ids of the key-encryption keys that keys lie under, as far as they have ids."""
        if self._in_use is None:
            keys = (*self._by_id.values(), *self._before.values())
            self._in_use = frozenset(key.kek_id for key in keys if key.kek_id)
        return self._in_use

    def all(self) -> Collection[WrappedKey]:
        """Every key as it lies in the log now."""
        return self._by_id.values()

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
        key_ids: Mapping[Tier, str] | None = None,
    ) -> tuple[WrappedKey, ...]:
        """New keys for those of the content's tiers that have none, remembered, to be published.

        `key_ids`: as a packager wants new ones to be called. Raises KeyIdTakenError where such an
        id is another key's, or KeyServiceError; then nothing was remembered.
        """
        kek = self._keks.current()
        made: list[WrappedKey] = []
        for tier in dict.fromkeys(tiers):
            if (content_id, tier, STORED_PERIOD) in self._by_tier:
                continue
            asked_id = (key_ids or {}).get(tier)
            if asked_id in self._by_id or any(key.key_id == asked_id for key in made):
                # What is published under an id replaces what was: the other's media were lost.
                raise KeyIdTakenError(f"key id {asked_id} is another key's")
            key_id = asked_id or randomness(KEY_BYTES).hex()
            context = wrapping_context(content_id, key_id, tier, kek.version)
            key = SecretBytes(randomness(KEY_BYTES))
            made.append(
                WrappedKey(
                    key_id=key_id,
                    content_id=content_id,
                    tier=tier,
                    kek_version=kek.version,
                    wrapped=self._keks.wrap(name_of(kek), key, context),
                    created_at_ms=now_ms,
                    kek_id=kek.kek_id,
                )
            )
        for wrapped_key in made:
            self.keep(wrapped_key)
        return tuple(made)

    def for_packager(self, content_id: str, tiers: tuple[Tier, ...]) -> tuple[TierKey, ...]:
        """The content's keys; every tier has one by now. Raises KeyServiceError."""
        key_ids = {tier: self._by_tier[content_id, tier, STORED_PERIOD] for tier in tiers}
        return tuple(
            TierKey(tier=tier, key_id=key_id, key=self._key(key_id).reveal())
            for tier, key_id in key_ids.items()
        )

    def for_player(self, key_ids: tuple[str, ...]) -> tuple[ClearKey, ...]:
        """Keys that a decision granted; raises KeyServiceError."""
        return tuple(ClearKey(key_id=key_id, key=self._key(key_id).reveal()) for key_id in key_ids)

    def rewrapped(self, key: WrappedKey, kek: KeyEncryptionKey) -> WrappedKey:
        """The same key under this one, to be published; raises KeyServiceError."""
        plain = self._key(key.key_id)
        context = wrapping_context(key.content_id, key.key_id, key.tier, kek.version, key.period)
        wrapped = self._keks.wrap(name_of(kek), plain, context)
        new = replace(key, kek_id=kek.kek_id, kek_version=kek.version, wrapped=wrapped)
        assert self._unwrap(new) == plain, "what replaces the only copy of a key opens to it"
        return new

    def _key(self, key_id: str) -> SecretBytes:
        key = self._by_id[key_id]
        if not self._keks.holds(name_of(key)):
            key = self._before.get(key_id, key)
        return self._unwrap(key)

    def _unwrap(self, key: WrappedKey) -> SecretBytes:
        context = wrapping_context(
            key.content_id, key.key_id, key.tier, key.kek_version, key.period
        )
        return self._keks.unwrap(name_of(key), key.wrapped, context)
