"""How a request crosses the log signed, and its answer comes back sealed."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["gateway", "packager", "account", "license", "recommendation", "catalog", "operator"]
"""`operator` signs admin tokens; the others ask, answer, or sign viewers' tokens."""


class Enrollment(msgspec.Struct, frozen=True, kw_only=True):
    """A component's public keys, signed by the deployment's root: `signing.keys.v1`.

    `signature` (Ed25519 by the root) covers the encoding of this Struct with `signature` empty,
    so that whoever can only write to Kafka enrolls nobody.
    """

    key_id: str
    role: Role
    signing_key: bytes
    """Ed25519 public key, 32 bytes: signs requests, replies or tokens."""
    sealing_key: bytes
    """X25519 public key, 32 bytes: what only this component may read is sealed to it."""
    enrolled_at_ms: int
    not_after_ms: int
    signature: bytes = b""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A signed question: the record's value. The header `signature` covers topic, key and value."""

    request_id: str
    sender: str
    """key_id of the sender's enrollment."""
    not_after_ms: int
    """An agent that reads it later than this does nothing: a replay can issue nothing."""
    reply_partition: int
    reply_key: bytes
    """X25519 public key of the sender's memory; the answer is sealed to it."""
    body: msgspec.Raw


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="refused"):
    """The answer to a request that cannot be granted, whatever it was."""

    status: int
    """HTTP status that says the same."""
    reason: str
    """Stable word, as `api.md` lists them."""
    detail: str = ""
    facts: dict[str, str | int | list[str]] = {}
