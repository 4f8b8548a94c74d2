"""Who a component is: its keys, its enrollment by the deployment's root, and the directory of all.

Enrollments lie in `signing.keys.v1`; only those that the root signed count, so that whoever can
only write to Kafka enrolls nobody.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from schemas import codec
from schemas.envelope import Enrollment, Role
from streams.clock import Clock
from streams.view import View

ENROLLMENT_MS = 400 * 86_400_000
PRIVATE_MODE = 0o600


class Identity:
    """A component's private keys; they show nowhere."""

    __slots__ = ("_signing", "key_id", "role", "sealing")

    def __init__(
        self, key_id: str, role: Role, signing: Ed25519PrivateKey, sealing: X25519PrivateKey
    ) -> None:
        self.key_id = key_id
        self.role = role
        self._signing = signing
        self.sealing = sealing

    def __repr__(self) -> str:
        return f"Identity({self.role}, {self.key_id}, ***)"

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature (RFC 8032)."""
        return self._signing.sign(data)

    def become(self, newer: Identity) -> None:
        """Sign as this one from now on: its keys were rotated while the component runs."""
        assert newer.role == self.role, "a component keeps its role"
        self.key_id, self._signing, self.sealing = newer.key_id, newer.signing, newer.sealing

    def renewed(self) -> Identity:
        """The same component with a new signing key; what is sealed to it stays readable."""
        signing = Ed25519PrivateKey.generate()
        return Identity(_new_key_id(self.role), self.role, signing, self.sealing)

    @property
    def signing(self) -> Ed25519PrivateKey:
        """The private key itself, for tokens."""
        return self._signing


def load_or_create_identity(path: Path, role: Role) -> Identity:
    """The identity in this file (0600), made where there is none.

    Raises PermissionError where others may read the file.
    """
    if not path.exists():
        signing, sealing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        save_identity(path, Identity(_new_key_id(role), role, signing, sealing))
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} must be readable by its owner only: chmod 600 {path}")
    stored: dict[str, Any] = json.loads(path.read_text())
    return Identity(
        stored["key_id"],
        stored["role"],
        Ed25519PrivateKey.from_private_bytes(bytes.fromhex(stored["signing"])),
        X25519PrivateKey.from_private_bytes(bytes.fromhex(stored["sealing"])),
    )


def save_identity(path: Path, identity: Identity) -> None:
    """Write the identity whole (0600); one that is there is replaced."""
    stored = {
        "key_id": identity.key_id,
        "role": identity.role,
        "signing": identity.signing.private_bytes_raw().hex(),
        "sealing": identity.sealing.private_bytes_raw().hex(),
    }
    _write_private(path, json.dumps(stored).encode())


def _new_key_id(role: Role) -> str:
    return f"{role}-{secrets.token_hex(8)}"


def _write_private(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def enroll(root: Ed25519PrivateKey, identity: Identity, now_ms: int) -> Enrollment:
    """The identity's public keys under the root's signature, valid for 400 days."""
    unsigned = Enrollment(
        key_id=identity.key_id,
        role=identity.role,
        signing_key=identity.signing.public_key().public_bytes_raw(),
        sealing_key=identity.sealing.public_key().public_bytes_raw(),
        enrolled_at_ms=now_ms,
        not_after_ms=now_ms + ENROLLMENT_MS,
    )
    return sign_enrollment(root, unsigned)


def sign_enrollment(root: Ed25519PrivateKey, unsigned: Enrollment) -> Enrollment:
    """The enrollment under the root's signature."""
    assert not unsigned.signature
    return msgspec.structs.replace(unsigned, signature=root.sign(codec.encode(unsigned)))


def is_signed_by(root: Ed25519PublicKey, enrollment: Enrollment) -> bool:
    """Whether the root signed exactly this enrollment."""
    unsigned = msgspec.structs.replace(enrollment, signature=b"")
    return is_signature(root, enrollment.signature, codec.encode(unsigned))


def is_signature(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether the signature is the key's over the data."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


class Directory:
    """Every enrolled component, as `signing.keys.v1` and the root's public key have it."""

    def __init__(self, view: View[Enrollment], root: Ed25519PublicKey, *, clock: Clock) -> None:
        self._view = view
        self._root = root
        self._clock = clock
        self._verified: dict[Enrollment, bool] = {}

    def by_id(self, key_id: str) -> Enrollment | None:
        """The enrollment, where the root signed it and it has not ended."""
        enrollment = self._view.get(key_id)
        if enrollment is None or enrollment.key_id != key_id or not self._is_valid(enrollment):
            return None
        return enrollment

    def all(self, role: Role) -> list[Enrollment]:
        """Every valid enrollment of a role, newest first."""
        found = [e for _, e in self._view.items() if e.role == role and self._is_valid(e)]
        return sorted(found, key=lambda e: e.enrolled_at_ms, reverse=True)

    def current(self, role: Role) -> Enrollment | None:
        """The newest valid enrollment of a role."""
        found = self.all(role)
        return found[0] if found else None

    def signing_key(self, key_id: str, role: Role) -> Ed25519PublicKey | None:
        """The public key that checks what this component of this role signs."""
        enrollment = self.by_id(key_id)
        if enrollment is None or enrollment.role != role:
            return None
        return Ed25519PublicKey.from_public_bytes(enrollment.signing_key)

    def is_enrolled(self, key_id: str, role: Role) -> bool:
        """Whether what this component signed still counts."""
        enrollment = self.by_id(key_id)
        return enrollment is not None and enrollment.role == role

    def _is_valid(self, enrollment: Enrollment) -> bool:
        if enrollment.not_after_ms <= self._clock():
            return False
        known = self._verified.get(enrollment)
        if known is None:
            known = self._verified[enrollment] = is_signed_by(self._root, enrollment)
        return known
