"""Checkpoints: how far the record of decisions reached, signed, to be kept somewhere else.

A hash chain shows what was changed inside it; that its end was cut off, or that all of it was
written anew by somebody with the agents' keys, shows only against a word that was given before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec.structs import replace

from infra.operations.audit.entries import Break, Entry, Kind, Where, break_at
from schemas import codec
from schemas.envelope import Enrollment
from schemas.errors import InvalidMessageError, PlayheadError
from streams.identity import Identity, enroll, is_signature, is_signed_by

FORMAT: Final = 1
_LABEL: Final = b"playhead audit checkpoint v1\x1f"


class CheckpointError(PlayheadError):
    """The file is no checkpoint of this deployment; the message says why."""


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """The last decision of a partition, as of then."""

    partition: int
    offset: int
    hash: str
    """SHA-256 of the record's bytes, hexadecimal."""
    at_ms: int
    """When it was decided."""
    first_offset: int
    """Of the oldest that was kept."""
    count: int
    """Decisions from there to here."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator keeps. The signature (Ed25519, the operator's key) covers all of the rest;
    the enrollment, signed by the deployment's root, says whose it is.
    """

    format: int
    namespace: str
    at_ms: int
    anchors: tuple[Anchor, ...]
    enrollment: Enrollment
    signature: bytes = b""


_checkpoints: Final[codec.Decoder[Checkpoint]] = codec.Decoder(Checkpoint)


def sign_checkpoint(
    root: Ed25519PrivateKey,
    operator: Identity,
    anchors: tuple[Anchor, ...],
    *,
    namespace: str,
    now_ms: int,
) -> Checkpoint:
    """A checkpoint of what was found just now."""
    unsigned = Checkpoint(
        format=FORMAT,
        namespace=namespace,
        at_ms=now_ms,
        anchors=anchors,
        enrollment=enroll(root, operator, now_ms),
    )
    return replace(unsigned, signature=operator.sign(_signed(unsigned)))


def read_checkpoint(path: Path, root: Ed25519PublicKey, *, namespace: str) -> Checkpoint:
    """The file's checkpoint. Raises CheckpointError where this deployment did not sign it."""
    try:
        return open_checkpoint(path.read_bytes(), root, namespace=namespace)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error


def open_checkpoint(content: bytes, root: Ed25519PublicKey, *, namespace: str) -> Checkpoint:
    """Raises CheckpointError."""
    try:
        checkpoint = _checkpoints.decode(content)
    except InvalidMessageError as error:
        raise CheckpointError(f"not a checkpoint: {error}") from error
    enrollment = checkpoint.enrollment
    is_ours = enrollment.role == "operator" and is_signed_by(root, enrollment)
    if not is_ours or not _is_signed(checkpoint):
        raise CheckpointError(
            "the checkpoint was changed, or another deployment signed it: use the copy that was"
            " kept elsewhere"
        )
    if checkpoint.format != FORMAT or checkpoint.namespace != namespace:
        raise CheckpointError(
            f"the checkpoint is of namespace {checkpoint.namespace!r}, format {checkpoint.format}"
        )
    return checkpoint


def _is_signed(checkpoint: Checkpoint) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(checkpoint.enrollment.signing_key)
    except ValueError:
        return False
    return is_signature(key, checkpoint.signature, _signed(checkpoint))


def _signed(checkpoint: Checkpoint) -> bytes:
    return _LABEL + codec.encode(replace(checkpoint, signature=b""))


class AnchorCheck:
    """Whether one place still has what a checkpoint says of one partition."""

    def __init__(self, where: Where, anchor: Anchor, *, told_at: str) -> None:
        self._where: Where = where
        self._anchor = anchor
        self._told_at = told_at
        self._is_met = False

    def look(self, entry: Entry, *, first_offset: int, count: int) -> list[Break]:
        """Called for every entry; `count` of them were taken since `first_offset`."""
        anchor = self._anchor
        if entry.offset != anchor.offset:
            return []
        self._is_met = True
        if entry.hash != anchor.hash:
            return [self._break("changed", f"the checkpoint of {self._told_at} has another hash")]
        if first_offset == anchor.first_offset and count != anchor.count:
            detail = (
                f"{count} decisions lead to it, and the checkpoint of {self._told_at} counted"
                f" {anchor.count}"
            )
            return [self._break("missing" if count < anchor.count else "added", detail)]
        return []

    def end(self, *, kept_from_ms: int, stored_until: int | None = None) -> list[Break]:
        """When all was read: missing where the anchor is not there and was not to expire."""
        anchor = self._anchor
        is_waiting = stored_until is not None and anchor.offset >= stored_until
        if self._is_met or is_waiting or anchor.at_ms < kept_from_ms:
            return []
        return [
            self._break(
                "missing",
                f"the checkpoint of {self._told_at} reaches to it: the end was cut off since",
            )
        ]

    def has_expired(self, *, kept_from_ms: int) -> bool:
        """Whether only retention explains that it is not there."""
        return not self._is_met and self._anchor.at_ms < kept_from_ms

    def _break(self, kind: Kind, detail: str) -> Break:
        anchor = self._anchor
        return break_at(self._where, anchor.partition, anchor.offset, kind, detail)
