from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from hypothesis import given

from gateway.drm.drmtoday import rights, upfront_token
from schemas.licenses import Entitlement
from schemas.secrets import SecretBytes
from tests.gateway_fakes import NOW_MS
from tests.unit.drm.entitlements import SHARED_SECRET, a_drmtoday, an_entitlement
from tests.unit.drm.test_axinom import ENTITLEMENTS


def opened(token: str, key: bytes = SHARED_SECRET, algorithm: str = "HS512") -> Any:
    options: Any = {"verify_exp": False, "verify_iat": False}
    return jwt.decode(token, key, algorithms=[algorithm], options=options)


def test_a_token_says_what_was_granted_in_drmtodays_words() -> None:
    token = upfront_token(a_drmtoday(), an_entitlement())
    assert jwt.get_unverified_header(token) == {"alg": "HS512", "kid": "secret-1", "typ": "JWT"}
    claims = opened(token)
    assert json.loads(claims.pop("optData")) == {"merchant": "merchant-1", "userId": "session-1"}
    assert json.loads(claims.pop("crt")) == [
        {
            "assetId": "tears",
            "profile": {
                "rental": {
                    "absoluteExpiration": "2027-01-15T09:00:00.000Z",
                    "playDuration": 3_600_000,
                }
            },
            "outputProtection": {"digital": True, "analogue": True, "enforce": True},
            "storeLicense": False,
        }
    ]
    assert claims == {
        "jti": "0199a1f0-6c02-7000-8000-000000000004",
        "iat": NOW_MS // 1000,
        "exp": NOW_MS // 1000 + 60,
    }


def test_variants_are_named_one_by_one_and_protected_each_by_its_tier() -> None:
    granted = rights(an_entitlement(), has_variants=True)
    assert [right["variantId"] for right in granted] == ["sd", "hd"]
    assert [right["outputProtection"]["enforce"] for right in granted] == [False, True]


def test_the_algorithm_is_the_settings_and_the_secret_fits_it() -> None:
    short = SecretBytes(SHARED_SECRET[:32].hex().encode())
    token = upfront_token(a_drmtoday(algorithm="HS256", secret=short), an_entitlement())
    assert opened(token, SHARED_SECRET[:32], "HS256")["jti"]
    with pytest.raises(ValueError, match="64 bytes or more in hex"):
        a_drmtoday(secret=short)


@given(ENTITLEMENTS)
def test_only_the_secret_opens_it_and_no_tier_is_added(entitlement: Entitlement) -> None:
    token = upfront_token(a_drmtoday(has_variants=True), entitlement)
    with pytest.raises(jwt.InvalidSignatureError):
        opened(token, bytes(64))
    granted = json.loads(opened(token)["crt"])
    assert {right["variantId"] for right in granted} == {key.tier for key in entitlement.keys}
    assert all(right["assetId"] == entitlement.content_id for right in granted)
