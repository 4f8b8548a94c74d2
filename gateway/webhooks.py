"""Signatures of webhooks, as the Standard Webhooks specification 1.0.0 has them.

HMAC-SHA256 over id, timestamp and body, in the headers `webhook-id`, `webhook-timestamp` (Unix
seconds) and `webhook-signature` (`v1,` and base64, several by blanks). While a secret is rotated
several count, on either side.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.problems import ProblemError
from schemas.secrets import SecretBytes

TOLERANCE_S: Final = 300
"""A signature of more than this before or after now does not count: nobody replays it later."""
SIGNATURES_MAX: Final = 16
_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")


def require_signed(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[SecretBytes], now_ms: int
) -> str:
    """The event's id; ProblemError 401 where nobody who has one of the secrets signed it just now.

    Every signature is compared with every secret, each in constant time, whichever fits.
    """
    event_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not _ID.fullmatch(event_id) or not _SECONDS.fullmatch(timestamp):
        raise _unsigned()
    signed = b".".join((event_id.encode(), timestamp.encode(), body))
    given = _signatures(headers.get("webhook-signature", ""))
    expected = [hmac.digest(secret.reveal(), signed, "sha256") for secret in secrets]
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    if not any(matches) or abs(now_ms // 1000 - int(timestamp)) > TOLERANCE_S:
        raise _unsigned()
    return event_id


def _signatures(header: str) -> list[bytes]:
    """Of the versions that are known; one that is not canonical base64 is none."""
    found = []
    for part in header.split(" ")[:SIGNATURES_MAX]:
        version, _, text = part.partition(",")
        try:
            signature = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if version == "v1" and base64.b64encode(signature).decode() == text:
            found.append(signature)
    return found


def _unsigned() -> ProblemError:
    return ProblemError(401, "signature", "a signature of a known secret over a recent event")
