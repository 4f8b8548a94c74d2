"""What packagers put into media and manifests for a DRM system: made of key ids alone.

Common (W3C) and ClearKey: a `pssh` box of version 1 with the key id (ISO/IEC 23001-7, 8.1; W3C
"cenc" Initialization Data Format). Widevine: WidevinePsshData with key_id (2) and protection_scheme
(9). PlayReady: a PlayReady Object with a PlayReady Header 4.0.0.0 (AES-CTR) or 4.3.0.0 (AES-CBC),
without its optional checksum, which takes the key. FairPlay: `skd://` and the key id, which comes
back with the license request.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Final, Literal, get_args
from uuid import UUID

import msgspec

from gateway.cpix.document import Element
from gateway.problems import ProblemError

Scheme = Literal["cenc", "cens", "cbc1", "cbcs"]
_HLS_METHODS: Final[dict[Scheme, str]] = {"cenc": "SAMPLE-AES-CTR", "cbcs": "SAMPLE-AES"}
"""HLS knows no others (draft-pantos-hls-rfc8216bis, 4.4.4.4)."""
_SCHEMES: Final[dict[str, Scheme]] = {scheme: scheme for scheme in get_args(Scheme)}


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """One key's signals of one system; None: there is none, or it cannot be made of a key id."""

    pssh: bytes | None = None
    """The whole box."""
    dash: str | None = None
    """The content of ContentProtection in an MPD."""
    uri: str | None = None
    """Of EXT-X-KEY."""
    hls: str | None = None
    """The attributes of EXT-X-KEY."""
    smooth: str | None = None
    """The content of ProtectionHeader in a Smooth Streaming manifest."""


class System(msgspec.Struct, frozen=True, kw_only=True):
    """One DRM system."""

    name: str
    system_id: UUID
    """As https://dashif.org/identifiers/content_protection/ registers it."""
    signals: Callable[[UUID, UUID, Scheme], Signals]
    """By system id, key id and scheme."""


def signal(element: Element, system: System, key_id: str, scheme: Scheme) -> str:
    """The text of one element of a DRMSystem. ProblemError 422 where it cannot be made."""
    signals = system.signals(system.system_id, UUID(key_id), scheme)
    made: str | None = None
    match element.name:
        case "cpix:PSSH" if signals.pssh is not None:
            made = _base64(signals.pssh)
        case "cpix:ContentProtectionData" if signals.dash is not None:
            made = _base64(signals.dash.encode())
        case "cpix:URIExtXKey" if signals.uri is not None:
            made = _base64(signals.uri.encode())
        case "cpix:HLSSignalingData" if signals.hls is not None:
            tag = _HLS_TAGS.get(element.attributes.get("playlist", "media"))
            made = None if tag is None else _base64(f"{tag}:{signals.hls}".encode())
        case "cpix:SmoothStreamingProtectionHeaderData":
            made = signals.smooth
    if made is None:
        raise ProblemError(
            422, "signaling", f"{element.name} cannot be made for {system.name} with {scheme}"
        )
    return made


_HLS_TAGS: Final = {"media": "#EXT-X-KEY", "master": "#EXT-X-SESSION-KEY"}


def read_system(text: str) -> System:
    """ProblemError 422 for a system that is not known."""
    try:
        return SYSTEMS[UUID(text)]
    except (ValueError, KeyError) as error:
        known = ", ".join(f"{system.system_id} ({system.name})" for system in SYSTEMS.values())
        raise ProblemError(422, "system", f"DRMSystem@systemId must be one of {known}") from error


def read_scheme(text: str) -> Scheme | None:
    """The scheme that ISO/IEC 23001-7 calls so."""
    return _SCHEMES.get(text)


def _listing_only(system_id: UUID, key_id: UUID, _: Scheme) -> Signals:
    box = _pssh(system_id, b"", (key_id,))
    return Signals(pssh=box, dash=_cenc_pssh(box))


def _widevine(system_id: UUID, key_id: UUID, scheme: Scheme) -> Signals:
    # Protocol Buffers: field 2 is bytes of 16, field 9 a varint of the scheme's four characters.
    data = b"\x12\x10" + key_id.bytes + b"\x48" + _varint(int.from_bytes(scheme.encode(), "big"))
    box = _pssh(system_id, data)
    uri = f"data:text/plain;base64,{_base64(box)}"
    return Signals(
        pssh=box,
        dash=_cenc_pssh(box),
        uri=uri,
        hls=_hls(scheme, uri, f"urn:uuid:{system_id}", key_id=key_id),
    )


def _playready(system_id: UUID, key_id: UUID, scheme: Scheme) -> Signals:
    header = _playready_header(key_id, is_cbc=scheme.startswith("cbc")).encode("utf-16-le")
    record = struct.pack("<HH", 1, len(header)) + header
    playready_object = struct.pack("<IH", 6 + len(record), 1) + record
    box = _pssh(system_id, playready_object)
    text = _base64(playready_object)
    uri = f"data:text/plain;charset=UTF-16;base64,{text}"
    return Signals(
        pssh=box,
        dash=f'{_cenc_pssh(box)}<pro xmlns="urn:microsoft:playready">{text}</pro>',
        uri=uri,
        hls=_hls(scheme, uri, "com.microsoft.playready"),
        smooth=text,
    )


def _playready_header(key_id: UUID, *, is_cbc: bool) -> str:
    """PlayReady Header Specification, 3; PlayReady writes GUIDs with the first fields reversed."""
    kid = _base64(key_id.bytes_le)
    version, protection = (
        (
            "4.3.0.0",
            f'<PROTECTINFO><KIDS><KID ALGID="AESCBC" VALUE="{kid}"></KID></KIDS></PROTECTINFO>',
        )
        if is_cbc
        else (
            "4.0.0.0",
            f"<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO><KID>{kid}</KID>",
        )
    )
    return (
        '<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader"'
        f' version="{version}"><DATA>{protection}</DATA></WRMHEADER>'
    )


def _fairplay(system_id: UUID, key_id: UUID, scheme: Scheme) -> Signals:
    if scheme != "cbcs":
        return Signals()
    uri = f"skd://{key_id}"
    return Signals(
        pssh=_pssh(system_id, b"", (key_id,)),
        uri=uri,
        hls=_hls(scheme, uri, "com.apple.streamingkeydelivery"),
    )


def _hls(scheme: Scheme, uri: str, key_format: str, *, key_id: UUID | None = None) -> str | None:
    method = _HLS_METHODS.get(scheme)
    if method is None:
        return None
    told = f",KEYID=0x{key_id.hex}" if key_id is not None else ""
    return f'METHOD={method},URI="{uri}",KEYFORMAT="{key_format}",KEYFORMATVERSIONS="1"{told}'


def _pssh(system_id: UUID, data: bytes, key_ids: tuple[UUID, ...] = ()) -> bytes:
    """ISO/IEC 23001-7, 8.1: version 1 lists key ids, version 0 leaves them to the data."""
    listed = struct.pack(">I", len(key_ids)) + b"".join(key_id.bytes for key_id in key_ids)
    body = system_id.bytes + (listed if key_ids else b"") + struct.pack(">I", len(data)) + data
    return struct.pack(">I4sI", 12 + len(body), b"pssh", (1 << 24) if key_ids else 0) + body


def _cenc_pssh(box: bytes) -> str:
    return f'<pssh xmlns="urn:mpeg:cenc:2013">{_base64(box)}</pssh>'


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


SYSTEMS: Final[dict[UUID, System]] = {
    system.system_id: system
    for system in (
        System(
            name="common",
            system_id=UUID("1077efec-c0b2-4d02-ace3-3c1e52e2fb4b"),
            signals=_listing_only,
        ),
        System(
            name="ClearKey",
            system_id=UUID("e2719d58-a985-b3c9-781a-b030af78d30e"),
            signals=_listing_only,
        ),
        System(
            name="Widevine",
            system_id=UUID("edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"),
            signals=_widevine,
        ),
        System(
            name="PlayReady",
            system_id=UUID("9a04f079-9840-4286-ab92-e65be0885f95"),
            signals=_playready,
        ),
        System(
            name="FairPlay",
            system_id=UUID("94ce86fb-07ff-4f43-adb8-93d2fa968ca2"),
            signals=_fairplay,
        ),
    )
}
