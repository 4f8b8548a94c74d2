"""What an operator takes back at once, whatever was granted before: `revocations.v1`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

RevokedKind = Literal["account", "device", "model", "key", "session", "token"]
"""An account; a device or a model of devices; a content key; a session; a token by its `jti`."""
REASON_CHARS_MAX: Final = 500


class Revocation(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="revocation",
):
    """It counts until its record is removed."""

    kind: RevokedKind
    subject: Annotated[str, Meta(min_length=1, max_length=256)]
    """The id; of a model its name as devices say it."""
    by: str
    """The operator."""
    at_ms: int
    reason: Annotated[str, Meta(max_length=REASON_CHARS_MAX)] = ""
    """For other operators; viewers are not told."""


def revocation_key(kind: RevokedKind, subject: str) -> str:
    """The record's key."""
    return f"{kind}:{subject}"
