"""Content keys for a packager's certificate, as CPIX 2.3 encrypts them (section 6, Key Management).

A certificate is known to the operator before it gets anything: who can ask, a gateway that was
broken into among them, cannot name a certificate of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding

from schemas.errors import PlayheadError
from schemas.licenses import ContentKeys
from schemas.packaging import (
    EncryptedContentKey,
    EncryptedContentKeys,
    EncryptedValue,
    KeyDelivery,
)

DOCUMENT_KEY_BYTES: Final = 32
MAC_KEY_BYTES: Final = 64
IV_BYTES: Final = 16
RSA_BITS_MIN: Final = 2_048
"""What SPEKE v2.0 asks for; CPIX recommends 3,072."""

# SHA-1 is what CPIX 2.3 lays down here (section 6.1.4); OAEP does not need it to resist collisions.
_OAEP: Final = OAEP(mgf=MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303


class CertificateError(PlayheadError):
    """A certificate cannot get keys; the text says the mend."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A packager's certificate that the operator named."""

    certificate: bytes
    """DER."""
    public_key: RSAPublicKey
    not_before: datetime
    not_after: datetime


class PackagerTrust:
    """Whom content keys may be delivered to. Nobody, unless the operator names them."""

    def __init__(
        self, certificates: Iterable[x509.Certificate] = (), *, allows_plain: bool = False
    ) -> None:
        """`allows_plain`: who names no certificate gets keys unencrypted, kept by TLS alone.

        Raises CertificateError for a certificate that keys cannot be encrypted for.
        """
        recipients = map(_recipient_of, certificates)
        self._recipients = {each.certificate: each for each in recipients}
        self._allows_plain = allows_plain

    def recipients(self, certificates: tuple[bytes, ...], now_ms: int) -> tuple[Recipient, ...]:
        """The owners of all these certificates (DER); none where keys may be given in clear.

        Raises CertificateError.
        """
        if not certificates and not self._allows_plain:
            raise CertificateError(
                "say whom to encrypt the keys for: a DeliveryDataList is missing"
            )
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        found = []
        for number, certificate in enumerate(certificates, start=1):
            recipient = self._recipients.get(certificate)
            if recipient is None:
                raise CertificateError(f"certificate {number} is not one that the operator named")
            if not recipient.not_before <= now <= recipient.not_after:
                raise CertificateError(f"certificate {number} is not valid now: name a newer one")
            found.append(recipient)
        return tuple(found)


def encrypt_keys(
    plain: ContentKeys, recipients: tuple[Recipient, ...], randomness: Callable[[int], bytes]
) -> EncryptedContentKeys:
    """The keys under a document key and a MAC key of this answer alone, both for each recipient.

    Content keys: AES-256-CBC with PKCS #7 padding, the IV before it; document and MAC key: RSA-OAEP
    with MGF1 and SHA-1; HMAC-SHA512 over each ciphertext (CPIX 2.3, Mandatory Algorithms; SPEKE
    v2.0, Content key encryption, for the MACs of document and MAC key).
    """
    assert recipients, "without a recipient nobody could read them"
    document_key, mac_key = randomness(DOCUMENT_KEY_BYTES), randomness(MAC_KEY_BYTES)
    return EncryptedContentKeys(
        content_id=plain.content_id,
        deliveries=tuple(
            KeyDelivery(
                certificate=recipient.certificate,
                document_key=_with_mac(recipient.public_key.encrypt(document_key, _OAEP), mac_key),
                mac_key=_with_mac(recipient.public_key.encrypt(mac_key, _OAEP), mac_key),
            )
            for recipient in recipients
        ),
        keys=tuple(
            EncryptedContentKey(
                key_id=key.key_id,
                value=_with_mac(_encrypt(key.key, document_key, randomness(IV_BYTES)), mac_key),
            )
            for key in plain.keys
        ),
    )


def _with_mac(cipher_value: bytes, mac_key: bytes) -> EncryptedValue:
    mac = hmac.HMAC(mac_key, hashes.SHA512())
    mac.update(cipher_value)
    return EncryptedValue(cipher_value=cipher_value, value_mac=mac.finalize())


def _encrypt(plain: bytes, key: bytes, iv: bytes) -> bytes:
    padder = PKCS7(AES.block_size).padder()
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return iv + encryptor.update(padded) + encryptor.finalize()


def _recipient_of(certificate: x509.Certificate) -> Recipient:
    public_key = certificate.public_key()
    name = certificate.subject.rfc4514_string()
    if not isinstance(public_key, RSAPublicKey):
        raise CertificateError(f"the certificate of {name} must have an RSA key")
    if public_key.key_size < RSA_BITS_MIN:
        raise CertificateError(f"the key of {name} must have {RSA_BITS_MIN} bits at least")
    return Recipient(
        certificate=certificate.public_bytes(Encoding.DER),
        public_key=public_key,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
