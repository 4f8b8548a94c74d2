"""Axinom DRM: what policy granted, as a signed license service message; pure.

Sources, docs.axinom.com/services/drm/license-service: license-service-message (envelope, HS256,
`com_key_id`, header X-AxDRM-Message), entitlement-message (version 2) with its pages
license-configuration, content-key-source and content-key-usage-policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import jwt

from gateway.drm.upstreams import Axinom
from schemas.licenses import Entitlement, Protection

HEADER: Final = "X-AxDRM-Message"
MESSAGE_S: Final = 60
"""A message is posted at once; nobody needs it later."""
RENEWAL_RECOVERY_S: Final = 60
RENEWAL_RETRY_S: Final = 10
HDCP_TYPE: Final = "ABB2C6F1-E663-4625-A945-972D17B231E7"
"""PlayReady's explicit digital video output protection: HDCP type restriction."""
HDCP_TYPE_1: Final = "AAAAAQ=="

_WIDEVINE_LEVELS: Final = {"software": "SW_SECURE_CRYPTO", "hardware": "HW_SECURE_ALL"}
_WIDEVINE_HDCP: Final = {"1.4": "1.0", "2.2": "2.2"}
"""Widevine has one level for HDCP 1."""
_PLAYREADY_LEVELS: Final = {"software": 2000, "hardware": 3000}
_FAIRPLAY_HDCP: Final = {"": "NONE", "1.4": "TYPE0", "2.2": "TYPE1"}


def license_service_token(upstream: Axinom, entitlement: Entitlement) -> str:
    """The signed message (JWT, HS256) for the header X-AxDRM-Message."""
    return jwt.encode(
        license_service_message(upstream, entitlement),
        upstream.signing_key(),
        algorithm="HS256",
    )


def license_service_message(upstream: Axinom, entitlement: Entitlement) -> dict[str, Any]:
    """The envelope; its id is the decision's, so that both audits meet."""
    return {
        "version": 1,
        "id": entitlement.decision_id,
        "expiration_date": _instant(entitlement.granted_at_ms + MESSAGE_S * 1000),
        "com_key_id": upstream.communication_key_id,
        "message": entitlement_message(entitlement),
    }


def entitlement_message(entitlement: Entitlement) -> dict[str, Any]:
    """Version 2. Key ids only: a request for any other is denied whole."""
    protections = {key.tier: key.protection for key in entitlement.keys}
    return {
        "type": "entitlement_message",
        "version": 2,
        "license": _license(entitlement),
        "content_keys_source": {
            "inline": [
                {"id": str(UUID(key.key_id)), "usage_policy": key.tier} for key in entitlement.keys
            ]
        },
        "content_key_usage_policies": [
            {"name": tier, **_usage_policy(entitlement.system, protection)}
            for tier, protection in protections.items()
        ],
    }


def _license(entitlement: Entitlement) -> dict[str, Any]:
    return {
        "start_datetime": _instant(entitlement.granted_at_ms),
        "expiration_datetime": _instant(entitlement.expires_at_ms),
        "allow_persistence": entitlement.is_persistent,
        entitlement.system: _system_license(entitlement),
    }


def _system_license(entitlement: Entitlement) -> dict[str, Any]:
    """The end is meant as one: playback under way stops there too."""
    if entitlement.system != "widevine":
        return {"real_time_expiration": True}
    ends = {"real_time_duration_expiration": True}
    if not entitlement.renewal_ms:
        return ends
    return {
        **ends,
        "allow_renewal": True,
        "renewal_delay": entitlement.renewal_ms // 1000,
        "renewal_recovery": RENEWAL_RECOVERY_S,
        "renewal_retry_interval": RENEWAL_RETRY_S,
    }


def _usage_policy(system: str, protection: Protection) -> dict[str, Any]:
    match system:
        case "widevine":
            return {"widevine": dict(_widevine(protection))}
        case "playready":
            return {"playready": dict(_playready(protection))}
        case _:
            return {"fairplay": {"hdcp": _FAIRPLAY_HDCP[protection.hdcp]}}


def _widevine(protection: Protection) -> Iterable[tuple[str, str]]:
    yield "device_security_level", _WIDEVINE_LEVELS[protection.robustness]
    if protection.hdcp:
        yield "hdcp", _WIDEVINE_HDCP[protection.hdcp]


def _playready(protection: Protection) -> Iterable[tuple[str, Any]]:
    yield "min_device_security_level", _PLAYREADY_LEVELS[protection.robustness]
    if protection.hdcp:
        yield "uncompressed_digital_video_opl", 300  # HDCP, or no picture
    if protection.hdcp == "2.2":
        type_1: Mapping[str, str] = {"id": HDCP_TYPE, "config_data": HDCP_TYPE_1}
        yield "digital_video_output_protections", [type_1]


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat()
