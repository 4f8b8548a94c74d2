"""A packager outside: what it asks, its certificate, and how it opens the answer."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

NAMES: Final = {
    "c": "urn:dashif:org:cpix",
    "p": "urn:ietf:params:xml:ns:keyprov:pskc",
    "d": "http://www.w3.org/2000/09/xmldsig#",
    "e": "http://www.w3.org/2001/04/xmlenc#",
}
COMMON: Final = "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b"
CLEAR_KEY: Final = "e2719d58-a985-b3c9-781a-b030af78d30e"
WIDEVINE: Final = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
PLAYREADY: Final = "9a04f079-9840-4286-ab92-e65be0885f95"
FAIRPLAY: Final = "94ce86fb-07ff-4f43-adb8-93d2fa968ca2"
TRACKS: Final = {
    "AUDIO": "<cpix:AudioFilter/>",
    "SD": '<cpix:VideoFilter maxPixels="589824"/>',
    "HD": '<cpix:VideoFilter minPixels="589825"/>',
}
MEDIA_AND_MASTER: Final = (
    '<cpix:HLSSignalingData playlist="media"/><cpix:HLSSignalingData playlist="master"/>'
)
SIGNALS: Final = {
    WIDEVINE: f"<cpix:PSSH/><cpix:ContentProtectionData/>{MEDIA_AND_MASTER}",
    PLAYREADY: f"<cpix:PSSH/><cpix:ContentProtectionData/>{MEDIA_AND_MASTER}",
}
_OAEP: Final = OAEP(mgf=MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303


def key_id(number: int) -> UUID:
    return UUID(int=(0xA << 124) + number)


def a_request(
    tracks: dict[str, str] | None = None,
    *,
    signals: dict[str, str] | None = None,
    certificates: tuple[bytes, ...] = (),
    scheme: str = "cenc",
    content_id: str = "tears",
    first_key: int = 1,
) -> bytes:
    """A document as packagers write it; the keys are numbered in the order of the tracks."""
    named = TRACKS if tracks is None else tracks
    ids = {track: key_id(number) for number, track in enumerate(named, start=first_key)}
    deliveries = "".join(
        f'<cpix:DeliveryData id="recipient-{number}"><cpix:DeliveryKey><ds:X509Data>'
        f"<ds:X509Certificate>{base64.b64encode(each).decode()}</ds:X509Certificate>"
        "</ds:X509Data></cpix:DeliveryKey></cpix:DeliveryData>"
        for number, each in enumerate(certificates, start=1)
    )
    keys = "".join(
        f'<cpix:ContentKey kid="{kid}" commonEncryptionScheme="{scheme}"/>' for kid in ids.values()
    )
    systems = "".join(
        f'<cpix:DRMSystem kid="{kid}" systemId="{system}">{asked}</cpix:DRMSystem>'
        for system, asked in (SIGNALS if signals is None else signals).items()
        for kid in ids.values()
    )
    rules = "".join(
        f'<cpix:ContentKeyUsageRule kid="{kid}" intendedTrackType="{track}">{named[track]}'
        "</cpix:ContentKeyUsageRule>"
        for track, kid in ids.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<cpix:CPIX contentId="{content_id}" version="2.3" xmlns:cpix="{NAMES["c"]}"'
        f' xmlns:pskc="{NAMES["p"]}" xmlns:ds="{NAMES["d"]}">'
        + (f"<cpix:DeliveryDataList>{deliveries}</cpix:DeliveryDataList>" if deliveries else "")
        + f"<cpix:ContentKeyList>{keys}</cpix:ContentKeyList>"
        f"<cpix:DRMSystemList>{systems}</cpix:DRMSystemList>"
        f"<cpix:ContentKeyUsageRuleList>{rules}</cpix:ContentKeyUsageRuleList></cpix:CPIX>"
    ).encode()


@dataclass(frozen=True, slots=True)
class OutsidePackager:
    """Its own RSA key and the certificate that it sends along."""

    key: rsa.RSAPrivateKey
    x509: x509.Certificate

    @property
    def certificate(self) -> bytes:
        return self.x509.public_bytes(Encoding.DER)

    def open(self, answer: bytes) -> dict[UUID, bytes]:
        """The keys by id. Every MAC is checked before anything is decrypted, as CPIX says."""
        root = etree.fromstring(answer)
        (delivery,) = (
            each
            for each in root.iterfind("c:DeliveryDataList/c:DeliveryData", NAMES)
            if _value(each, "c:DeliveryKey/d:X509Data/d:X509Certificate") == self.certificate
        )
        assert _algorithm(delivery, "c:DocumentKey") == f"{NAMES['e']}aes256-cbc"
        method = f"{NAMES['e']}rsa-oaep-mgf1p"
        mac_key = self.key.decrypt(_cipher(delivery, "c:MACMethod/c:Key", method), _OAEP)
        _check_mac(delivery, "c:MACMethod/c:Key", mac_key)
        _check_mac(delivery, "c:DocumentKey/c:Data/p:Secret", mac_key)
        sealed = _cipher(delivery, "c:DocumentKey/c:Data/p:Secret", method)
        document_key = self.key.decrypt(sealed, _OAEP)
        keys = {}
        for element in root.iterfind("c:ContentKeyList/c:ContentKey", NAMES):
            _check_mac(element, "c:Data/p:Secret", mac_key)
            value = _cipher(element, "c:Data/p:Secret", f"{NAMES['e']}aes256-cbc")
            decryptor = Cipher(AES(document_key), CBC(value[:16])).decryptor()
            unpadder = PKCS7(128).unpadder()
            padded = decryptor.update(value[16:]) + decryptor.finalize()
            keys[UUID(element.get("kid"))] = unpadder.update(padded) + unpadder.finalize()
        return keys


@cache
def a_packager(name: str = "packager", *, bits: int = 2048, days: int = 36_500) -> OutsidePackager:
    """The same for the same name: RSA keys take their time to make."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=bits)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )
    return OutsidePackager(key, builder.sign(key, hashes.SHA256()))


def plain_keys(answer: bytes) -> dict[UUID, bytes]:
    """Keys of an answer in clear, by id."""
    root = etree.fromstring(answer)
    return {
        UUID(element.get("kid")): _value(element, "c:Data/p:Secret/p:PlainValue")
        for element in root.iterfind("c:ContentKeyList/c:ContentKey", NAMES)
    }


def _value(node: etree._Element, path: str) -> bytes:
    text = node.findtext(path, namespaces=NAMES)
    assert text is not None, path
    return base64.b64decode(text, validate=True)


def _cipher(node: etree._Element, path: str, algorithm: str) -> bytes:
    encrypted = node.find(f"{path}/p:EncryptedValue", NAMES)
    assert encrypted is not None
    assert _algorithm(encrypted, "e:EncryptionMethod") == algorithm
    return _value(encrypted, "e:CipherData/e:CipherValue")


def _algorithm(node: etree._Element, path: str) -> str | None:
    found = node.find(path, NAMES)
    assert found is not None
    return found.get("Algorithm")


def _check_mac(node: etree._Element, path: str, mac_key: bytes) -> None:
    mac = hmac.HMAC(mac_key, hashes.SHA512())
    mac.update(_value(node, f"{path}/p:EncryptedValue/e:CipherData/e:CipherValue"))
    mac.verify(_value(node, f"{path}/p:ValueMAC"))
