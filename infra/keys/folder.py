"""`PLAYHEAD_HOME/keys`: every key of the deployment, each in its own private file.

| file | holds | read by |
|---|---|---|
| `root.key`, `root.pub` | Ed25519: signs enrollments | operator; everybody (`root.pub`) |
| `deployment.secret` | account ids are derived with it | gateway |
| `state.key` | MAC of authenticated topics | agents |
| `account.key` | seals the private part of accounts | account agent |
| `kek.json` | wraps content keys | license agent |
| `<role>.json` | a component's signing and sealing key | that component |

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
from infra.keys.kek import FileKeyProvider, create_kek
from schemas.envelope import Enrollment, Role
from schemas.secrets import SecretBytes
from streams.identity import Identity, enroll, load_or_create_identity

ROLES: Final[tuple[Role, ...]] = get_args(Role)
SECRET_BYTES: Final = 32
_ROOT: Final = "root.key"
_ROOT_PUBLIC: Final = "root.pub"
_SECRETS: Final = ("deployment.secret", "state.key", "account.key")
_KEK: Final = "kek.json"


class KeyFolder:
    """The folder; each key is read only when a component asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"KeyFolder({self._folder})"

    def create(self) -> None:
        """Make what a new folder needs; in an old one only identities of new roles.

        Idempotent, also when several processes do it at once. Raises KeyFileError.
        """
        make_private_folder(self._folder)
        with self._locked():
            if not (self._folder / _ROOT).exists():
                self._create_secrets()
            for role in ROLES:
                self.identity(role)

    def _create_secrets(self) -> None:
        for name in _SECRETS:
            write_private(self._folder / name, secrets.token_bytes(SECRET_BYTES))
        create_kek(self._folder / _KEK)
        root = Ed25519PrivateKey.generate()
        write_private(self._folder / _ROOT_PUBLIC, root.public_key().public_bytes_raw())
        # The root comes last: a start that was cut short before it begins again.
        write_private(self._folder / _ROOT, root.private_bytes_raw())

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

    def key_provider(self) -> FileKeyProvider:
        """Who wraps content keys. A missing file shows at its first use: licenses are refused."""
        return FileKeyProvider(self._folder / _KEK)

    @property
    def kek_path(self) -> Path:
        """The file of the key-encryption key, for rotation."""
        return self._folder / _KEK

    def identity(self, role: Role) -> Identity:
        """The component's keys, made where there are none."""
        path = self._folder / f"{role}.json"
        if path.exists():
            read_private(path)  # says the mend where others may read it
        return load_or_create_identity(path, role)

    def enrollments(self, now_ms: int) -> tuple[Enrollment, ...]:
        """Every component's public keys under the root's signature, for `signing.keys.v1`."""
        root = self.root()
        return tuple(enroll(root, self.identity(role), now_ms) for role in ROLES)

    def _read(self, name: str) -> bytes:
        content = read_private(self._folder / name)
        if len(content) != SECRET_BYTES:
            raise KeyFileError(f"{self._folder / name} is damaged: restore it")
        return content
