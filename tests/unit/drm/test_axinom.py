from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.drm.axinom import entitlement_message, license_service_token
from schemas.catalog import Tier
from schemas.licenses import EntitledKey, Entitlement, Protection
from schemas.sessions import DRMSystem
from tests.gateway_fakes import NOW_MS
from tests.unit.drm.entitlements import COMMUNICATION_KEY, HD, SD, an_axinom, an_entitlement

KEY_IDS = st.binary(min_size=16, max_size=16).map(bytes.hex)
PROTECTIONS = st.builds(
    Protection,
    robustness=st.sampled_from(["software", "hardware"]),
    hdcp=st.sampled_from(["", "1.4", "2.2"]),
)
KEYS = st.builds(
    EntitledKey,
    key_id=KEY_IDS,
    tier=st.sampled_from(get_args(Tier)),
    protection=PROTECTIONS,
)
ENTITLEMENTS = st.builds(
    Entitlement,
    decision_id=st.uuids().map(str),
    system=st.sampled_from(get_args(DRMSystem)),
    session_id=st.uuids().map(str),
    content_id=st.just("tears"),
    keys=st.lists(KEYS, min_size=1, max_size=8, unique_by=lambda key: key.key_id).map(tuple),
    granted_at_ms=st.integers(NOW_MS, NOW_MS + 10**9),
    expires_at_ms=st.integers(NOW_MS + 10**9, NOW_MS + 10**11),
    renewal_ms=st.sampled_from([0, 300_000]),
    is_persistent=st.booleans(),
)


def opened(token: str, key: bytes = COMMUNICATION_KEY) -> Any:
    return jwt.decode(token, key, algorithms=["HS256"])


def test_a_message_says_what_was_granted_in_axinoms_words() -> None:
    message = opened(license_service_token(an_axinom(), an_entitlement()))
    assert message == {
        "version": 1,
        "id": "0199a1f0-6c02-7000-8000-000000000004",
        "expiration_date": "2027-01-15T08:01:00+00:00",
        "com_key_id": "12196546-a312-4a4e-ab65-c19bccce1adf",
        "message": {
            "type": "entitlement_message",
            "version": 2,
            "license": {
                "start_datetime": "2027-01-15T08:00:00+00:00",
                "expiration_datetime": "2027-01-15T09:00:00+00:00",
                "allow_persistence": False,
                "widevine": {
                    "real_time_duration_expiration": True,
                    "allow_renewal": True,
                    "renewal_delay": 300,
                    "renewal_recovery": 60,
                    "renewal_retry_interval": 10,
                },
            },
            "content_keys_source": {
                "inline": [
                    {"id": str(UUID(SD)), "usage_policy": "sd"},
                    {"id": str(UUID(HD)), "usage_policy": "hd"},
                ]
            },
            "content_key_usage_policies": [
                {"name": "sd", "widevine": {"device_security_level": "SW_SECURE_CRYPTO"}},
                {
                    "name": "hd",
                    "widevine": {"device_security_level": "HW_SECURE_ALL", "hdcp": "2.2"},
                },
            ],
        },
    }


def test_playready_and_fairplay_have_their_own_words_for_protection() -> None:
    playready = entitlement_message(an_entitlement(system="playready"))
    assert playready["content_key_usage_policies"][1]["playready"] == {
        "min_device_security_level": 3000,
        "uncompressed_digital_video_opl": 300,
        "digital_video_output_protections": [
            {"id": "ABB2C6F1-E663-4625-A945-972D17B231E7", "config_data": "AAAAAQ=="}
        ],
    }
    assert playready["license"]["playready"] == {"real_time_expiration": True}
    fairplay = entitlement_message(an_entitlement(system="fairplay"))
    hdcp = [policy["fairplay"]["hdcp"] for policy in fairplay["content_key_usage_policies"]]
    assert hdcp == ["NONE", "TYPE1"]


def test_another_key_does_not_open_it() -> None:
    token = license_service_token(an_axinom(), an_entitlement())
    with pytest.raises(jwt.InvalidSignatureError):
        opened(token, b"another communication key of 32 b")


@given(ENTITLEMENTS)
def test_exactly_the_granted_keys_are_named_each_with_its_policy(entitlement: Entitlement) -> None:
    message = opened(license_service_token(an_axinom(), entitlement))["message"]
    named = message["content_keys_source"]["inline"]
    assert [UUID(key["id"]).hex for key in named] == [key.key_id for key in entitlement.keys]
    policies = [policy["name"] for policy in message["content_key_usage_policies"]]
    assert len(policies) == len(set(policies))
    assert {key["usage_policy"] for key in named} == set(policies)
    ends_at = datetime.fromisoformat(message["license"]["expiration_datetime"])
    assert ends_at <= datetime.fromtimestamp(entitlement.expires_at_ms / 1000, UTC)
    assert message["license"]["allow_persistence"] is entitlement.is_persistent


@given(ENTITLEMENTS, st.data())
def test_a_changed_byte_is_noticed(entitlement: Entitlement, data: st.DataObject) -> None:
    token = license_service_token(an_axinom(), entitlement)
    body_end = token.rindex(".")  # the signature's last character has bits that mean nothing
    place = data.draw(st.integers(0, body_end - 1))
    other = data.draw(st.sampled_from("ABCxyz059-_.").filter(lambda c: c != token[place]))
    with pytest.raises(jwt.InvalidTokenError):
        opened(token[:place] + other + token[place + 1 :])
