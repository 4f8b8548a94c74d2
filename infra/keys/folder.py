"""`PLAYHEAD_HOME/keys`: every key of the deployment, each in its own private file.

| file | holds | read by |
|---|---|---|
| `root.key`, `root.pub` | Ed25519: signs enrollments | operator; everybody (`root.pub`) |
| `deployment.secret` | account ids are derived with it | gateway |
| `state.key` | MAC of authenticated topics | agents |
| `account.key` | seals the private part of accounts | account agent |
| `kek-root.key` | wraps what wraps content keys; with a token it is not needed | license agent |
| `kek.json` | wrapped content keys before; none in a new folder | license agent |
| `<role>.json` | a component's signing and sealing key | that component |
| `<role>.next.json`, `retired.json` | a rotation; old public keys | operator |

Secrets are made once, in a new folder. In an old one a missing secret is an error, never made
anew: what it sealed would be lost without a word. Identities may be added at any time.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, get_args

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infra.keys.files import KeyFileError, make_private_folder, read_private, write_private
from infra.keys.inherited import read_inherited
from infra.keys.signing_keys import SigningKeys
from schemas.envelope import Enrollment, Role
from schemas.secrets import SecretBytes
from streams.identity import Identity, enroll, load_or_create_identity

ROLES: Final[tuple[Role, ...]] = get_args(Role)
SECRET_BYTES: Final = 32
_ROOT: Final = "root.key"
_ROOT_PUBLIC: Final = "root.pub"
_SECRETS: Final = ("deployment.secret", "state.key", "account.key")
KEK_ROOT: Final = "kek-root.key"
INHERITED_KEKS: Final = "kek.json"


class KeyFolder:
    """The folder; each key is read only when a component asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"KeyFolder({self._folder})"

    def create(self, *, with_kek_root: bool = True) -> None:
        """Make what a new folder needs; in an old one only identities of new roles.

        `with_kek_root`: False where a token has the root of content keys. Idempotent, also when
        several processes do it at once. Raises KeyFileError.
        """
        make_private_folder(self._folder)
        with self._locked():
            is_new = not (self._folder / _ROOT).exists()
            # In a folder of before there was a root of content keys it has wrapped nothing yet.
            is_of_before = (self._folder / INHERITED_KEKS).exists() and not self.kek_root.exists()
            if with_kek_root and (is_new or is_of_before):
                self._write_secret(KEK_ROOT)
            if is_new:
                self._create_secrets()
            for role in ROLES:
                self.identity(role)

    def _create_secrets(self) -> None:
        for name in _SECRETS:
            self._write_secret(name)
        root = Ed25519PrivateKey.generate()
        write_private(self._folder / _ROOT_PUBLIC, root.public_key().public_bytes_raw())
        # The root comes last: a start that was cut short before it begins again.
        write_private(self._folder / _ROOT, root.private_bytes_raw())

    def _write_secret(self, name: str) -> None:
        write_private(self._folder / name, secrets.token_bytes(SECRET_BYTES))

    def make_kek_root(self) -> None:
        """For a deployment that leaves its token; raises KeyFileError where there is one."""
        with self._locked():
            if self.kek_root.exists():
                raise KeyFileError(f"{self.kek_root} is there already, and is never made anew")
            self._write_secret(KEK_ROOT)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def root(self) -> Ed25519PrivateKey:
        """The deployment's root; only the operator's commands need it."""
        return Ed25519PrivateKey.from_private_bytes(self._read(_ROOT))

    def root_public(self) -> Ed25519PublicKey:
        """What checks enrollments."""
        return Ed25519PublicKey.from_public_bytes(self._read(_ROOT_PUBLIC))

    def deployment_secret(self) -> SecretBytes:
        """For `schemas.ids.derive_account_id`."""
        return SecretBytes(self._read("deployment.secret"))

    def state_key(self) -> SecretBytes:
        """For records of authenticated topics."""
        return SecretBytes(self._read("state.key"))

    def account_key(self) -> SecretBytes:
        """For `agents.account.vault.Vault`."""
        return SecretBytes(self._read("account.key"))

    @property
    def kek_root(self) -> Path:
        """The file of `infra.keys.file_root`. One that is missing shows at its use: licenses are
        refused."""
        return self._folder / KEK_ROOT

    def inherited_keks(self) -> dict[int, SecretBytes]:
        """Key-encryption keys of before they lay in the log, by version; raises KeyFileError."""
        return read_inherited(self._folder / INHERITED_KEKS)

    def identity(self, role: Role) -> Identity:
        """The component's keys, made where there are none."""
        path = self._folder / f"{role}.json"
        if path.exists():
            read_private(path)  # says the mend where others may read it
        return load_or_create_identity(path, role)

    def enrollments(self, now_ms: int) -> tuple[Enrollment, ...]:
        """Every component's public keys under the root's signature, for `signing.keys.v1`."""
        root = self.root()
        current = (enroll(root, self.identity(role), now_ms) for role in ROLES)
        return (*self.signing_keys().retired(root, now_ms), *current)

    def signing_keys(self) -> SigningKeys:
        """The components' signing keys, for rotation."""
        return SigningKeys(self._folder)

    def _read(self, name: str) -> bytes:
        content = read_private(self._folder / name)
        if len(content) != SECRET_BYTES:
            raise KeyFileError(f"{self._folder / name} is damaged: restore it")
        return content
