"""What a CDM's message asks for, as far as it says so in the clear; any bytes are survived.

A message that one reader takes otherwise than another could ask for more than was judged: so every
key id counts that stands anywhere, and whatever is odd says nothing, which is judged strictly.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final, assert_never
from uuid import UUID

import msgspec
from lxml import etree

from schemas.ids import KEY_ID_BYTES
from schemas.sessions import DRMSystem

KEY_IDS_MAX: Final = 64
WIDEVINE: Final = UUID("edef8ba9-79d6-4ace-a3c8-27dcd51d21ed").bytes
CERTIFICATE_REQUEST: Final = b"\x08\x04"
"""Widevine's SignedMessage of type SERVICE_CERTIFICATE_REQUEST, and nothing else."""
_PSSH_HEADER_BYTES: Final = 28


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    key_ids: tuple[str, ...] = ()
    """In hex, sorted; empty: it does not say."""
    is_for_certificate: bool = False
    """It asks for the service's certificate, and for no key."""


def read_challenge(system: DRMSystem, message: bytes) -> Challenge:
    """FairPlay's SPC is encrypted for the service, so it never says."""
    match system:
        case "widevine":
            if message == CERTIFICATE_REQUEST:
                return Challenge(is_for_certificate=True)
            found = _tried(_widevine_key_ids(message))
        case "playready":
            found = _tried(_playready_key_ids(message))
        case "fairplay":
            found = []
        case _:
            assert_never(system)
    key_ids = sorted({key_id for key_id in found if key_id is not None})
    if None in found or len(key_ids) > KEY_IDS_MAX:
        return Challenge()
    return Challenge(key_ids=tuple(key_ids))


def _tried(found: Iterator[str | None]) -> list[str | None]:
    """Everything, or one None: it cannot be read."""
    try:
        return list(found)
    except (ValueError, etree.LxmlError, RecursionError):
        return [None]


# -- Widevine -------------------------------------------------------------------------------------
# Field numbers of license_protocol.proto: SignedMessage.msg 2, LicenseRequest.content_id 2,
# ContentIdentification: widevine_pssh_data 1 (pssh_data 1), init_data 4 (init_data 2).
# WidevinePsshData.key_ids 2.


def _widevine_key_ids(message: bytes) -> Iterator[str | None]:
    """None stands for what asks for keys without naming them: WebM, renewals."""
    for number, request in _fields(message):
        if number != 2:
            continue
        for place, content in _fields(request):
            if place == 2:
                yield from _content_key_ids(content)


def _content_key_ids(content: bytes) -> Iterator[str | None]:
    for kind, identified in _fields(content):
        if kind == 1:
            for number, pssh in _fields(identified):
                if number == 1:
                    yield from _pssh_key_ids(pssh)
        elif kind == 4:
            for number, init_data in _fields(identified):
                if number == 2:
                    yield from _box_key_ids(init_data)
        else:
            yield None


def _pssh_key_ids(pssh: bytes) -> Iterator[str | None]:
    key_ids = [value for number, value in _fields(pssh) if number == 2]
    yield from map(_hex, key_ids) if key_ids else [None]


def _box_key_ids(boxes: bytes) -> Iterator[str | None]:
    """PSSH boxes (ISO/IEC 23001-7, section 8.1), one behind the other."""
    while boxes:
        size = int.from_bytes(boxes[:4], "big")
        box, boxes = boxes[:size], boxes[size:]
        if len(box) != size or size < _PSSH_HEADER_BYTES or box[4:8] != b"pssh":
            raise ValueError("not a PSSH box")
        version, system, rest = box[8], box[12:28], box[28:]
        if system != WIDEVINE:
            raise ValueError("another system's PSSH box")
        if version:
            count, rest = int.from_bytes(rest[:4], "big"), rest[4:]
            if count > KEY_IDS_MAX:
                raise ValueError("too many key ids")
            for _ in range(count):
                yield _hex(rest[:KEY_ID_BYTES])
                rest = rest[KEY_ID_BYTES:]
        yield from _pssh_key_ids(rest[4:])


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """A Protocol Buffers message's length-delimited fields; ValueError where it is none."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                _, at = _varint(data, at)
            case 1:
                at += 8
            case 2:
                length, at = _varint(data, at)
                if at + length > len(data):
                    raise ValueError("a field is cut off")
                yield tag >> 3, data[at : at + length]
                at += length
            case 5:
                at += 4
            case _:
                raise ValueError("an unknown wire type")
    if at > len(data):
        raise ValueError("a field is cut off")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is cut off")


# -- PlayReady ------------------------------------------------------------------------------------


def _playready_key_ids(message: bytes) -> Iterator[str | None]:
    """The KIDs of WRMHEADER 4.0 (as text) to 4.3 (as VALUE): GUIDs in little-endian, base64."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    root = etree.fromstring(message, parser)
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("a document type may mean anything")
    for element in root.iter():
        if isinstance(element.tag, str) and etree.QName(element).localname == "KID":
            text = element.get("VALUE") or element.text or ""
            value = base64.b64decode(text.strip(), validate=True)
            yield _hex(UUID(bytes_le=value).bytes)


def _hex(key_id: bytes) -> str:
    if len(key_id) != KEY_ID_BYTES:
        raise ValueError("a key id has 16 bytes")
    return key_id.hex()
