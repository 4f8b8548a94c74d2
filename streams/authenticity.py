"""A MAC on records whose readers act on them, so that who can only write to Kafka forges none.

The state key lies with the agents (0600), not with the gateway and not in Kafka.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256

from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes

MAC_HEADER = "mac"


def record_mac(state_key: SecretBytes, topic: str, key: str, value: bytes | None) -> bytes:
    """HMAC-SHA256 over topic, key and value, each with its length before it."""
    digest = hmac.new(state_key.reveal(), digestmod=sha256)
    for part in (topic.encode(), key.encode(), value if value is not None else b"\x00tombstone"):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()


def require_mac(
    state_key: SecretBytes, topic: str, key: str, value: bytes | None, headers: Mapping[str, bytes]
) -> None:
    """Raise InvalidMessageError (reason `forged`) where the record does not carry its MAC."""
    expected = record_mac(state_key, topic, key, value)
    if not hmac.compare_digest(expected, headers.get(MAC_HEADER, b"")):
        raise InvalidMessageError("forged", f"a record of {topic} has no valid MAC")
