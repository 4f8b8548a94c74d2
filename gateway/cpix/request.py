"""A packager's request: every element of it understood, or refused with what to change.

CPIX 2.3, XSD Schema Definition, in the profile of SPEKE v2.0: lists of keys, DRM systems and usage
rules are all there, one rule per key, no signatures, no update history. Which tier a key is for is
the license agent's to judge.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.cpix.document import Element, read_document
from gateway.cpix.grammar import AUDIO_COUNTS, VIDEO_COUNTS, refusal, require_understood
from gateway.cpix.signaling import Scheme, System, read_scheme, read_system, signal
from schemas.packaging import (
    CERTIFICATE_BYTES_MAX,
    CERTIFICATES_MAX,
    KEYS_MAX,
    AskedKey,
    TrackFilter,
)

VERSION: Final = "2.3"
IV_BYTES: Final = 16
_CONTENT_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_KEY_ID: Final = re.compile(r"[A-Fa-f0-9]{8}(-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}")
_COUNT: Final = re.compile(r"[0-9]{1,10}")
_COUNT_MAX: Final = (1 << 32) - 1
_TRACK_TYPE: Final = re.compile(r"[\x21-\x7e]{1,64}")


@dataclass(frozen=True, slots=True)
class CpixRequest:
    """What is asked, and the document that the answer fills in."""

    root: Element
    content_id: str
    keys: tuple[AskedKey, ...]
    """In the document's order."""
    certificates: tuple[bytes, ...]
    """DER, one per DeliveryData."""
    scheme: Scheme


def read_request(body: bytes) -> CpixRequest:
    """Raises ProblemError: 400 for what is no XML, 422 for what cannot be answered as it is."""
    root = read_document(body)
    if root.name != "cpix:CPIX":
        raise refusal("cpix", "the root must be CPIX of urn:dashif:org:cpix")
    require_understood(root)
    if root.attributes.get("version") != VERSION:
        raise refusal("cpix-version", f"CPIX@version must be {VERSION}")
    content_id = root.attributes.get("contentId", "")
    if _CONTENT_ID.fullmatch(content_id) is None:
        raise refusal("content-id", "CPIX@contentId: 1 to 64 of a-z, 0-9 and -, the first one no -")
    key_elements = _list(root, "cpix:ContentKeyList")
    if len(key_elements) > KEYS_MAX:
        raise refusal("keys", f"at most {KEYS_MAX} keys")
    key_ids = [_key_id(element) for element in key_elements]
    _require_distinct("ContentKey@kid", key_ids)
    scheme = _scheme(key_elements)
    _check_systems(root, key_ids, scheme)
    rules = _rules(root, key_ids)
    return CpixRequest(
        root=root,
        content_id=content_id,
        keys=tuple(rules[key_id] for key_id in key_ids),
        certificates=_certificates(root),
        scheme=scheme,
    )


def key_id_of(element: Element) -> str:
    """The key id (32 hex digits) that a checked element names."""
    return UUID(element.attributes["kid"]).hex


def system_of(element: Element) -> System:
    """The system of a checked DRMSystem."""
    return read_system(element.attributes.get("systemId", ""))


def _list(root: Element, name: str) -> list[Element]:
    """The list's elements; there is one such list, and something in it."""
    lists = root.all(name)
    if len(lists) != 1 or not lists[0].children:
        raise refusal("cpix", f"there must be one {name} with something in it")
    return lists[0].children


def _key_id(element: Element) -> str:
    if _KEY_ID.fullmatch(element.attributes.get("kid", "")) is None:
        raise refusal("key-id", f"{element.name}@kid must be a UUID")
    return key_id_of(element)


def _scheme(key_elements: list[Element]) -> Scheme:
    for element in key_elements:
        iv = element.attributes.get("explicitIV")
        if iv is not None and len(_base64(iv) or b"") != IV_BYTES:
            raise refusal("explicit-iv", f"ContentKey@explicitIV must be {IV_BYTES} bytes, base64")
    schemes = {element.attributes.get("commonEncryptionScheme", "") for element in key_elements}
    if len(schemes) != 1:
        raise refusal("scheme", "all keys must have the same ContentKey@commonEncryptionScheme")
    scheme = read_scheme(schemes.pop())
    if scheme is None:
        raise refusal("scheme", "ContentKey@commonEncryptionScheme: cenc, cens, cbc1 or cbcs")
    return scheme


def _check_systems(root: Element, key_ids: list[str], scheme: Scheme) -> None:
    """Everything asked of a DRM system can be given: SPEKE wants a value in each element."""
    elements = _list(root, "cpix:DRMSystemList")
    places = []
    for element in elements:
        key_id = _key_id(element)
        if key_id not in key_ids:
            raise refusal("key-id", f"DRMSystem@kid {UUID(key_id)} is no key of the document")
        system = system_of(element)
        places.append((key_id, system.name))
        _require_distinct(
            f"what is asked of {system.name}",
            ((child.name, child.attributes.get("playlist", "media")) for child in element.children),
        )
        for child in element.children:
            signal(child, system, key_id, scheme)
    _require_distinct("DRMSystem", places)


def _rules(root: Element, key_ids: list[str]) -> dict[str, AskedKey]:
    rules: dict[str, AskedKey] = {}
    for element in _list(root, "cpix:ContentKeyUsageRuleList"):
        key_id = _key_id(element)
        if key_id in rules or key_id not in key_ids:
            raise refusal("usage-rule", f"key {UUID(key_id)} must have one usage rule")
        rules[key_id] = _rule(key_id, element)
    _require_distinct("intendedTrackType", (rule.track_type for rule in rules.values()))
    if len(rules) < len(key_ids):
        raise refusal("usage-rule", "each key must have a usage rule")
    return rules


def _rule(key_id: str, element: Element) -> AskedKey:
    track_type = element.attributes.get("intendedTrackType", "")
    if _TRACK_TYPE.fullmatch(track_type) is None:
        raise refusal("usage-rule", "intendedTrackType must be 1 to 64 printable characters")
    if not 1 <= len(element.children) <= KEYS_MAX:
        raise refusal("usage-rule", f"{track_type} must have 1 to {KEYS_MAX} filters")
    filters = []
    for child in element.children:
        is_video = child.name == "cpix:VideoFilter"
        counts = _counts(child, VIDEO_COUNTS if is_video else AUDIO_COUNTS)
        filters.append(
            TrackFilter(
                kind="video" if is_video else "audio",
                min_pixels=counts.get("minPixels"),
                max_pixels=counts.get("maxPixels"),
            )
        )
    return AskedKey(key_id=key_id, track_type=track_type, filters=tuple(filters))


def _counts(element: Element, names: tuple[str, ...]) -> dict[str, int]:
    counts = {}
    for name in names:
        text = element.attributes.get(name)
        if text is None:
            continue
        if _COUNT.fullmatch(text) is None or int(text) > _COUNT_MAX:
            raise refusal("usage-rule", f"{element.name}@{name} must be 0 to {_COUNT_MAX}")
        counts[name] = int(text)
    return counts


def _certificates(root: Element) -> tuple[bytes, ...]:
    deliveries = [each for one in root.all("cpix:DeliveryDataList") for each in one.children]
    if len(root.all("cpix:DeliveryDataList")) > 1 or len(deliveries) > CERTIFICATES_MAX:
        raise refusal("certificate", f"one DeliveryDataList of at most {CERTIFICATES_MAX}")
    found = []
    for delivery in deliveries:
        certificates = [
            certificate
            for key in delivery.all("cpix:DeliveryKey")
            for data in key.children
            for certificate in data.children
        ]
        one = _base64(certificates[0].text) if len(certificates) == 1 else None
        if not one or len(one) > CERTIFICATE_BYTES_MAX:
            raise refusal("certificate", "each DeliveryData must hold one X509Certificate, base64")
        found.append(one)
    _require_distinct("X509Certificate", found)
    return tuple(found)


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _require_distinct(what: str, values: Iterable[object]) -> None:
    values = list(values)
    if len(set(values)) < len(values):
        raise refusal("duplicate", f"{what} is said twice")
