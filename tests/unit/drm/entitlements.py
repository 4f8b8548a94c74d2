"""An entitlement and upstreams to tell it to."""

from __future__ import annotations

import base64
import json
from typing import Any

from msgspec.structs import replace

from gateway.drm.upstreams import Axinom, DRMtoday, ReverseProxy
from schemas.licenses import EntitledKey, Entitlement, Protection
from schemas.secrets import SecretBytes
from tests.gateway_fakes import NOW_MS

COMMUNICATION_KEY = b"communication key of 32 bytes or"
SHARED_SECRET = bytes(range(64))
SD, HD = "0" * 31 + "1", "0" * 31 + "2"
URL = "https://license.example/AcquireLicense"


def an_entitlement(**changes: Any) -> Entitlement:
    """SD without conditions and HD with all of them, for an hour."""
    entitlement = Entitlement(
        decision_id="0199a1f0-6c02-7000-8000-000000000004",
        system="widevine",
        session_id="session-1",
        content_id="tears",
        keys=(
            EntitledKey(key_id=SD, tier="sd"),
            EntitledKey(
                key_id=HD, tier="hd", protection=Protection(robustness="hardware", hdcp="2.2")
            ),
        ),
        granted_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + 3_600_000,
        renewal_ms=300_000,
    )
    return replace(entitlement, **changes)


def an_axinom(**changes: Any) -> Axinom:
    given: dict[str, Any] = {
        "url": URL,
        "communication_key_id": "12196546-a312-4a4e-ab65-c19bccce1adf",
        "communication_key": SecretBytes(base64.b64encode(COMMUNICATION_KEY) + b"\n"),
    }
    return Axinom(**(given | changes))


def a_drmtoday(**changes: Any) -> DRMtoday:
    given: dict[str, Any] = {
        "url": URL,
        "merchant": "merchant-1",
        "key_id": "secret-1",
        "secret": SecretBytes(SHARED_SECRET.hex().encode()),
    }
    return DRMtoday(**(given | changes))


def a_proxy(headers: Any = None, **changes: Any) -> ReverseProxy:
    file = None if headers is None else SecretBytes(json.dumps(headers).encode())
    return ReverseProxy(**({"url": URL, "headers": file} | changes))
