"""Key-encryption keys: versions of what wraps content keys, each itself wrapped by a root.

The root stays with its key provider: a file, a hardware token, a key management service. It unwraps
the few key-encryption keys, which a license worker then holds in memory alone. So a license costs
no call to a device, and a provider that falls silent is noticed here, not by a viewer.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.errors import PlayheadError
from schemas.licenses import KeyEncryptionKey, WrappedKey
from schemas.secrets import SecretBytes
from streams.clock import Clock
from streams.records import Record

KEK_BYTES: Final = 32
KEK_ID_BYTES: Final = 16
NONCE_BYTES: Final = 12
PROVIDER_S_MAX: Final = 5.0
"""A provider that takes longer counts as silent."""

log = logging.getLogger(__name__)
KekName = tuple[str, int]
"""Id and version; the id is empty for those of `kek.json`."""


class KeyServiceError(PlayheadError):
    """A key cannot be wrapped or unwrapped: fail closed. Says the mend, nothing of the key."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A key as its root wrapped it, and the context that it was wrapped for."""

    wrapped: bytes
    context: bytes


class KeyProvider(Protocol):
    """Who holds a root key, which never leaves it. Calls may wait for a device or a network, so
    they do not block the event loop; none is made for a single license."""

    @property
    def root(self) -> str:
        """The root's name in the log; what it wrapped, it alone unwraps."""

    @property
    def grace_ms(self) -> int:
        """How long what it unwrapped may be used after it last answered."""

    async def wrap(self, key: SecretBytes, context: bytes) -> bytes:
        """The key, wrapped for this context; raises KeyServiceError."""

    async def unwrap(self, keys: Sequence[Wrapped]) -> Sequence[SecretBytes | KeyServiceError]:
        """All of them in one go, each its key or why not (another root, another context, damaged).

        Raises KeyServiceError where the root does not answer at all.
        """


def kek_context(kek_id: str, version: int, root: str) -> bytes:
    """The associated data under the root: a wrapped key-encryption key counts for nothing else."""
    return f"playhead key-encryption key v1\x1f{kek_id}\x1f{version}\x1f{root}".encode()


def name_of(key: KeyEncryptionKey | WrappedKey) -> KekName:
    """Which key-encryption key this is, or lies under."""
    if isinstance(key, KeyEncryptionKey):
        return (key.kek_id, key.version)
    return (key.kek_id, key.kek_version)


class KeyEncryptionKeys:
    """Those that `key.encryption.keys.v1` has, and of them unwrapped in memory what is needed.

    `providers`: the first one's root wraps new versions; the others still unwrap what theirs did.
    `clock`: for durations alone, as `steady_clock`: what is set back must not lengthen a grace.
    `inherited`: versions of `kek.json`, from before they lay in the log; they only unwrap.
    """

    def __init__(
        self,
        providers: Sequence[KeyProvider],
        *,
        clock: Clock,
        inherited: Mapping[int, SecretBytes] | None = None,
        randomness: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._providers = {provider.root: provider for provider in providers}
        self._clock = clock
        self._randomness = randomness
        self._records: dict[str, KeyEncryptionKey] = {}
        self._inherited: dict[KekName, AESGCM] = {
            ("", version): AESGCM(key.reveal()) for version, key in (inherited or {}).items()
        }
        self._held: dict[KekName, AESGCM] = {}
        self._answered_at_ms: dict[str, int] = {}
        self._silent_since_ms: dict[str, int] = {}
        self._trouble: dict[KekName, str] = {}

    def take(self, record: Record[KeyEncryptionKey | None]) -> None:
        """A record of `key.encryption.keys.v1`; it counts once `refresh` has unwrapped it."""
        if record.value is not None and record.value.kek_id == record.key:
            self.keep(record.value)

    def keep(self, kek: KeyEncryptionKey) -> None:
        """Remember it. Retired stays retired, whatever is copied behind it."""
        known = self._records.get(kek.kek_id)
        if known is None or known.retired_at_ms is None:
            self._records[kek.kek_id] = kek

    @property
    def known(self) -> Collection[KeyEncryptionKey]:
        """All of the log, unwrapped or not."""
        return self._records.values()

    def newest(self) -> KeyEncryptionKey | None:
        """The one that new keys shall lie under, whether it can be used here or not."""
        return newest_of(self._records.values())

    def current(self) -> KeyEncryptionKey:
        """The newest that can be used here: new keys are wrapped by it. Raises KeyServiceError."""
        usable = newest_of(kek for kek in self._records.values() if name_of(kek) in self._held)
        if usable is not None:
            return usable
        newest = self.newest()
        if newest is None:
            raise KeyServiceError("there is no key-encryption key yet")
        raise self._why_not(name_of(newest))

    def silences_ms(self) -> Mapping[str, int]:
        """How long each root has not answered; 0 where it did, or was not needed."""
        now_ms = self._clock()
        return {root: now_ms - self._silent_since_ms.get(root, now_ms) for root in self._providers}

    def holds(self, name: KekName) -> bool:
        """Whether it can be used here and now."""
        return name in self._held or name in self._inherited

    def wrap(self, name: KekName, key: SecretBytes, context: bytes) -> bytes:
        """Nonce and ciphertext (AES-256-GCM); raises KeyServiceError."""
        nonce = self._randomness(NONCE_BYTES)
        return nonce + self._cipher(name).encrypt(nonce, key.reveal(), context)

    def unwrap(self, name: KekName, wrapped: bytes, context: bytes) -> SecretBytes:
        """The key; raises KeyServiceError where key, version or context is another."""
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return SecretBytes(self._cipher(name).decrypt(nonce, sealed, context))
        except (InvalidTag, ValueError) as error:
            raise KeyServiceError(
                "a content key was wrapped by another key or for another content: restore"
                " content.keys.v1 from a backup"
            ) from error

    async def make(self, now_ms: int) -> KeyEncryptionKey:
        """A new version, to be published; it is not kept here. Raises KeyServiceError.

        Its bytes come from this process, not from the root's device: they are needed in this
        memory anyway, and so that every kind of root can wrap them.
        """
        provider = next(iter(self._providers.values()), None)
        if provider is None:
            raise KeyServiceError("no root key is configured: set PLAYHEAD_KEY_PROVIDER")
        versions = [version for _, version in self._inherited]
        version = 1 + max([kek.version for kek in self._records.values()] + versions, default=0)
        kek_id = self._randomness(KEK_ID_BYTES).hex()
        key = SecretBytes(self._randomness(KEK_BYTES))
        try:
            async with asyncio.timeout(PROVIDER_S_MAX):
                wrapped = await provider.wrap(key, kek_context(kek_id, version, provider.root))
        except TimeoutError as error:
            raise _silent(provider) from error
        return KeyEncryptionKey(
            kek_id=kek_id,
            version=version,
            root=provider.root,
            wrapped=wrapped,
            created_at_ms=now_ms,
        )

    async def refresh(self, in_use: Collection[str]) -> None:
        """Ask every root again: unwrap what is new, let go of what no root answers for.

        `in_use`: ids that content keys lie under; of the others the retired ones are forgotten.
        Raises nothing: what cannot be used says so when it is used.
        """
        wanted: dict[str, list[KeyEncryptionKey]] = {}
        for kek in self._records.values():
            if kek.retired_at_ms is None or kek.kek_id in in_use:
                wanted.setdefault(kek.root, []).append(kek)
        names = {name_of(kek) for keks in wanted.values() for kek in keks}
        self._held = {name: cipher for name, cipher in self._held.items() if name in names}
        await asyncio.gather(*(self._ask(root, keks) for root, keks in wanted.items()))

    async def _ask(self, root: str, keks: Sequence[KeyEncryptionKey]) -> None:
        provider = self._providers.get(root)
        if provider is None:
            why = f"its root {root} is not configured here: set PLAYHEAD_KEY_PROVIDER as it was"
            self._lose(keks, why)
            return
        try:
            async with asyncio.timeout(PROVIDER_S_MAX):
                answers = await provider.unwrap(
                    [Wrapped(k.wrapped, kek_context(k.kek_id, k.version, root)) for k in keks]
                )
        except (KeyServiceError, TimeoutError) as error:
            why = str(_silent(provider) if isinstance(error, TimeoutError) else error)
            self._miss(provider, keks, why)
            return
        self._answered_at_ms[root] = self._clock()
        if self._silent_since_ms.pop(root, None) is not None:
            log.info("the root %s answers again", root)
        for kek, answer in zip(keks, answers, strict=True):
            self._hold(kek, answer)

    def _miss(self, provider: KeyProvider, keks: Sequence[KeyEncryptionKey], why: str) -> None:
        """It did not answer: what it unwrapped before is used for its grace."""
        now_ms = self._clock()
        answered_at_ms = self._answered_at_ms.get(provider.root)
        if answered_at_ms is None or now_ms - answered_at_ms >= provider.grace_ms:
            self._lose(keks, why)
        elif provider.root not in self._silent_since_ms:
            log.error("licenses go on without it for %d s: %s", provider.grace_ms // 1000, why)
        self._silent_since_ms.setdefault(provider.root, now_ms)

    def _hold(self, kek: KeyEncryptionKey, answer: SecretBytes | KeyServiceError) -> None:
        if isinstance(answer, KeyServiceError):
            self._lose((kek,), str(answer))
        elif len(answer.reveal()) != KEK_BYTES:
            self._lose((kek,), f"{len(answer.reveal())} bytes are no key-encryption key")
        elif (name := name_of(kek)) not in self._held:
            self._held[name] = AESGCM(answer.reveal())
            self._trouble.pop(name, None)

    def _lose(self, keks: Sequence[KeyEncryptionKey], why: str) -> None:
        for name in map(name_of, keks):
            self._held.pop(name, None)
            if self._trouble.get(name) != why:
                log.error("key-encryption key version %d cannot be used: %s", name[1], why)
            self._trouble[name] = why

    def _cipher(self, name: KekName) -> AESGCM:
        cipher = self._held.get(name) or self._inherited.get(name)
        if cipher is None:
            raise self._why_not(name)
        return cipher

    def _why_not(self, name: KekName) -> KeyServiceError:
        kek_id, version = name
        missing = f"the log has none ({kek_id})" if kek_id else "kek.json is gone: restore it"
        unread = "its root has not been asked yet" if kek_id in self._records else missing
        why = self._trouble.get(name, unread)
        return KeyServiceError(f"key-encryption key version {version} cannot be used: {why}")


def newest_of(keks: Iterable[KeyEncryptionKey]) -> KeyEncryptionKey | None:
    """The highest version that is not retired; of two with one number always the same."""
    running = (kek for kek in keks if kek.retired_at_ms is None)
    return max(running, key=lambda kek: (kek.version, kek.kek_id), default=None)


def _silent(provider: KeyProvider) -> KeyServiceError:
    return KeyServiceError(f"the root {provider.root} did not answer within {PROVIDER_S_MAX:g} s")
