"""CDM messages that ask for keys, as far as anybody but the license service can read them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from uuid import UUID

from gateway.drm.challenges import WIDEVINE


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field of a Protocol Buffers message."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def number(field_number: int, value: int) -> bytes:
    return _varint(field_number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    head = b""
    while value > 0x7F:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])


def pssh_data(key_ids: Sequence[str]) -> bytes:
    """WidevinePsshData."""
    return b"".join(field(2, bytes.fromhex(key_id)) for key_id in key_ids)


def pssh_box(data: bytes, key_ids: Sequence[str] | None = None, system: bytes = WIDEVINE) -> bytes:
    """A PSSH box; with key ids of version 1."""
    body = bytes([0 if key_ids is None else 1, 0, 0, 0]) + system
    if key_ids is not None:
        body += len(key_ids).to_bytes(4, "big") + b"".join(map(bytes.fromhex, key_ids))
    body += len(data).to_bytes(4, "big") + data
    return (len(body) + 8).to_bytes(4, "big") + b"pssh" + body


def widevine_of(content_id: bytes) -> bytes:
    """A SignedMessage with a LicenseRequest about this ContentIdentification."""
    request = field(1, b"client") + field(2, content_id) + number(3, 1) + number(4, 1_800_000_000)
    return number(1, 1) + field(2, request) + field(3, b"signature")


def widevine(*key_ids: str) -> bytes:
    """A license request that names these keys."""
    return widevine_of(field(1, field(1, pssh_data(key_ids)) + number(2, 1) + field(3, b"r" * 16)))


def widevine_renewal() -> bytes:
    """Of a license that the service knows."""
    return widevine_of(field(3, field(1, b"license")))


def playready(*key_ids: str, header: str = "4.2.0.0") -> bytes:
    """A license challenge that names these keys."""
    values = [base64.b64encode(UUID(key_id).bytes_le).decode() for key_id in key_ids]
    if header == "4.0.0.0":
        kids = "".join(f"<KID>{value}</KID>" for value in values)
    else:
        kids = "".join(f'<KID ALGID="AESCTR" VALUE="{value}"></KID>' for value in values)
        kids = f"<PROTECTINFO><KIDS>{kids}</KIDS></PROTECTINFO>"
    return f"""<?xml version="1.0" encoding="utf-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>
<AcquireLicense xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols"><challenge><Challenge
 xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols/messages"><LA
 xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols"><Version>1</Version><ContentHeader>
<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader" version="{header}">
<DATA>{kids}</DATA></WRMHEADER></ContentHeader></LA></Challenge></challenge></AcquireLicense>
</soap:Body></soap:Envelope>""".encode()
