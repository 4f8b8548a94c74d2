"""Which elements and attributes of CPIX 2.3 are understood in a request: those of SPEKE v2.0.

What would be passed over could say that a key is for less than it is used for.
"""

from __future__ import annotations

from typing import Final

from gateway.cpix.document import Element
from gateway.problems import ProblemError

DETAIL_CHARS_MAX: Final = 300
VIDEO_COUNTS: Final = ("minPixels", "maxPixels", "minFps", "maxFps")
AUDIO_COUNTS: Final = ("minChannels", "maxChannels")
_LEAF: Final[tuple[str, ...]] = ()
_ELEMENTS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "cpix:CPIX": (
        ("id", "contentId", "name", "version"),
        (
            "cpix:DeliveryDataList",
            "cpix:ContentKeyList",
            "cpix:DRMSystemList",
            "cpix:ContentKeyUsageRuleList",
        ),
    ),
    "cpix:DeliveryDataList": (("id",), ("cpix:DeliveryData",)),
    "cpix:DeliveryData": (
        ("id", "name"),
        (
            "cpix:DeliveryKey",
            "cpix:Description",
            "cpix:SendingEntity",
            "cpix:SenderPointOfContact",
            "cpix:ReceivingEntity",
        ),
    ),
    "cpix:DeliveryKey": ((), ("ds:X509Data",)),
    "ds:X509Data": ((), ("ds:X509Certificate",)),
    "ds:X509Certificate": ((), _LEAF),
    "cpix:Description": ((), _LEAF),
    "cpix:SendingEntity": ((), _LEAF),
    "cpix:SenderPointOfContact": ((), _LEAF),
    "cpix:ReceivingEntity": ((), _LEAF),
    "cpix:ContentKeyList": (("id",), ("cpix:ContentKey",)),
    "cpix:ContentKey": (("id", "kid", "explicitIV", "commonEncryptionScheme"), _LEAF),
    "cpix:DRMSystemList": (("id",), ("cpix:DRMSystem",)),
    "cpix:DRMSystem": (
        ("id", "systemId", "kid", "name"),
        (
            "cpix:PSSH",
            "cpix:ContentProtectionData",
            "cpix:URIExtXKey",
            "cpix:HLSSignalingData",
            "cpix:SmoothStreamingProtectionHeaderData",
        ),
    ),
    "cpix:PSSH": ((), _LEAF),
    "cpix:ContentProtectionData": ((), _LEAF),
    "cpix:URIExtXKey": ((), _LEAF),
    "cpix:HLSSignalingData": (("playlist",), _LEAF),
    "cpix:SmoothStreamingProtectionHeaderData": ((), _LEAF),
    "cpix:ContentKeyUsageRuleList": (("id",), ("cpix:ContentKeyUsageRule",)),
    "cpix:ContentKeyUsageRule": (
        ("id", "kid", "intendedTrackType"),
        ("cpix:VideoFilter", "cpix:AudioFilter"),
    ),
    "cpix:VideoFilter": ((*VIDEO_COUNTS, "hdr", "wcg"), _LEAF),
    "cpix:AudioFilter": (AUDIO_COUNTS, _LEAF),
}
"""What is understood: an element's attributes and children."""
_REASONS: Final = {
    "cpix:Data": "keys are made here, not taken",
    "cpix:DocumentKey": "the document key is made here",
    "cpix:MACMethod": "the MAC key is made here",
    "cpix:ContentKeyPeriodList": "a content's keys do not rotate",
    "cpix:KeyPeriodFilter": "a content's keys do not rotate",
    "cpix:LabelFilter": "say VideoFilter or AudioFilter",
    "cpix:BitrateFilter": "say VideoFilter or AudioFilter",
    "ds:Signature": "signatures are not checked",
    "dependsOnKey": "there are no hierarchies of keys",
}


def require_understood(element: Element) -> None:
    """ProblemError 422 for what is not understood in a known element or below it."""
    attributes, children = _ELEMENTS[element.name]
    for name in element.attributes:
        if name not in attributes:
            raise _not_understood(f"{element.name}@{name}", name)
    if children and element.text.strip():
        raise refusal("not-understood", f"text in {element.name}")
    for child in element.children:
        if child.name not in children:
            raise _not_understood(f"{child.name} in {element.name}", child.name)
        require_understood(child)


def _not_understood(what: str, name: str) -> ProblemError:
    why = _REASONS.get(name)
    return refusal("not-understood", f"{what}: {why}" if why else what)


def refusal(reason: str, detail: str) -> ProblemError:
    """422: the document cannot be answered as it is."""
    return ProblemError(422, reason, detail[:DETAIL_CHARS_MAX])
