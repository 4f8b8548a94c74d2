"""Rotates a component's signing key on disk, in steps that can be taken again after any stop.

1. `prepare`: the next identity lies beside the current one, which still signs.
2. The caller enrolls it, and waits until everybody knows it.
3. `retire`: the current public key is kept with the end of what it signed; then the next file takes
   the place of the current one, and running components follow it.

The sealing key stays: what was sealed to the component on its way is still readable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.keys.files import KeyFileError, read_private, sync_folder, write_private
from schemas import codec
from schemas.envelope import Enrollment, Role
from schemas.errors import InvalidMessageError
from schemas.tokens import ADMIN_TOKEN_S_MAX, PROFILE_TOKEN_S, SESSION_TOKEN_S_MAX
from streams.identity import Identity, load_or_create_identity, save_identity, sign_enrollment

_MARGIN_MS: Final = 3_600_000
_LATE_EVENTS_MS: Final = 7 * 86_400_000
SIGNED_MS_MAX: Final[dict[Role, int]] = {
    "gateway": _MARGIN_MS,
    "packager": _MARGIN_MS,
    "account": PROFILE_TOKEN_S * 1000 + _MARGIN_MS,
    "license": SESSION_TOKEN_S_MAX * 1000 + _LATE_EVENTS_MS + _MARGIN_MS,
    "recommendation": _MARGIN_MS,
    "catalog": _MARGIN_MS,
    "operator": ADMIN_TOKEN_S_MAX * 1000 + _MARGIN_MS,
}
"""How long what the role signed may count: tokens to their end (a session's for events a week
more), requests and replies for seconds."""


class RetiredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key that signs no more, while what it signed still counts."""

    key_id: str
    role: Role
    signing_key: bytes
    sealing_key: bytes
    retired_at_ms: int
    ends_at_ms: int


_retired: Final[codec.Decoder[tuple[RetiredKey, ...]]] = codec.Decoder(tuple[RetiredKey, ...])


class SigningKeys:
    """The files of a key folder that a rotation touches; one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_under_way(self, role: Role) -> bool:
        """Whether a rotation was begun and not ended."""
        return self._next(role).exists()

    def prepare(self, role: Role) -> Identity:
        """The next identity: that of a rotation that was begun, else a new one."""
        path = self._next(role)
        if not path.exists():
            current = load_or_create_identity(self._current(role), role)
            save_identity(path, current.renewed())
        return load_or_create_identity(path, role)

    def retire(self, role: Role, now_ms: int, *, at_once: bool = False) -> None:
        """Let the next identity sign. `at_once`: what the last one signed counts no more."""
        assert self._next(role).exists(), "prepare comes first"
        old = load_or_create_identity(self._current(role), role)
        entry = RetiredKey(
            key_id=old.key_id,
            role=role,
            signing_key=old.signing.public_key().public_bytes_raw(),
            sealing_key=old.sealing.public_key().public_bytes_raw(),
            retired_at_ms=now_ms,
            ends_at_ms=now_ms if at_once else now_ms + SIGNED_MS_MAX[role],
        )
        # First: were it lost, nobody would know how long the old key counts.
        others = [each for each in self._read() if each.key_id != old.key_id]
        self._write([*others, entry])
        self._next(role).replace(self._current(role))
        sync_folder(self._folder)

    def retired(self, root: Ed25519PrivateKey, now_ms: int) -> tuple[Enrollment, ...]:
        """The keys that were retired, to be enrolled until their end; those over are left out."""
        return tuple(
            sign_enrollment(
                root,
                Enrollment(
                    key_id=each.key_id,
                    role=each.role,
                    signing_key=each.signing_key,
                    sealing_key=each.sealing_key,
                    enrolled_at_ms=each.retired_at_ms,
                    not_after_ms=each.ends_at_ms,
                ),
            )
            for each in self._read()
            # One that ended just now has to be told, too: it is known with a later end.
            if each.ends_at_ms > now_ms - SIGNED_MS_MAX["operator"] and not self._signs_again(each)
        )

    def _signs_again(self, retired: RetiredKey) -> bool:
        """A stop between both steps of `retire`: the old key is still the current one."""
        return load_or_create_identity(self._current(retired.role), retired.role).key_id == (
            retired.key_id
        )

    def _read(self) -> tuple[RetiredKey, ...]:
        path = self._folder / "retired.json"
        if not path.exists():
            return ()
        try:
            return _retired.decode(read_private(path))
        except InvalidMessageError as error:
            raise KeyFileError(f"{path} is damaged: restore it") from error

    def _write(self, keys: list[RetiredKey]) -> None:
        write_private(self._folder / "retired.json", codec.encode(keys))

    def _current(self, role: Role) -> Path:
        return self._folder / f"{role}.json"

    def _next(self, role: Role) -> Path:
        return self._folder / f"{role}.next.json"
