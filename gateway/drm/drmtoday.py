"""castLabs DRMtoday: what policy granted, as an upfront authorization token; pure.

Sources, DRMtoday's documentation: License Delivery Authorization (JWT of HS256 to HS512 with `kid`,
`jti`, `iat`, `exp`, and `optData` and `crt` as texts of JSON, header x-dt-auth-token) and Customer
Rights Token (`assetId`, `variantId`, `profile`, `outputProtection`, `storeLicense`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import jwt

from gateway.drm.upstreams import DRMtoday
from schemas import codec
from schemas.licenses import EntitledKey, Entitlement

HEADER: Final = "x-dt-auth-token"
TOKEN_S: Final = 60
"""A token is posted at once; nobody needs it later."""


def upfront_token(upstream: DRMtoday, entitlement: Entitlement) -> str:
    """The signed token; its `jti` is the decision's id, so that both audits meet."""
    return jwt.encode(
        upfront_claims(upstream, entitlement),
        upstream.signing_key(),
        algorithm=upstream.algorithm,
        headers={"kid": upstream.key_id},
    )


def upfront_claims(upstream: DRMtoday, entitlement: Entitlement) -> dict[str, Any]:
    """The user is the session: a service that makes licenses needs to know nobody."""
    issued_at_s = entitlement.granted_at_ms // 1000
    user = {"merchant": upstream.merchant, "userId": entitlement.session_id}
    return {
        "jti": entitlement.decision_id,
        "iat": issued_at_s,
        "exp": issued_at_s + TOKEN_S,
        "optData": codec.encode(user).decode(),
        "crt": codec.encode(rights(entitlement, has_variants=upstream.has_variants)).decode(),
    }


def rights(entitlement: Entitlement, *, has_variants: bool) -> list[dict[str, Any]]:
    """Customer rights tokens: one for the asset, or one for each tier's variant."""
    if not has_variants:
        return [_right(entitlement, entitlement.keys)]
    tiers = dict.fromkeys(key.tier for key in entitlement.keys)
    return [
        {
            **_right(entitlement, [key for key in entitlement.keys if key.tier == tier]),
            "variantId": tier,
        }
        for tier in tiers
    ]


def _right(entitlement: Entitlement, keys: Sequence[EntitledKey]) -> dict[str, Any]:
    """Robustness has no word here: DRMtoday takes it from its own asset configuration."""
    is_protected = any(key.protection.hdcp for key in keys)
    return {
        "assetId": entitlement.content_id,
        "profile": {
            "rental": {
                "absoluteExpiration": _instant(entitlement.expires_at_ms),
                "playDuration": entitlement.expires_at_ms - entitlement.granted_at_ms,
            }
        },
        "outputProtection": {
            "digital": is_protected,
            "analogue": is_protected,
            "enforce": is_protected,
        },
        "storeLicense": entitlement.is_persistent,
    }


def _instant(at_ms: int) -> str:
    """ISO 8601 in UTC, down to milliseconds."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
