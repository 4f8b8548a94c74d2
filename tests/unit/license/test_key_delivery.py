from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha512

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from agents.license.key_delivery import CertificateError, PackagerTrust, encrypt_keys
from schemas import codec
from schemas.licenses import ContentKeys, TierKey
from tests.gateway_fakes import NOW_MS
from tests.unit.cpix.packager import a_packager

KEYS = ContentKeys(
    content_id="tears",
    keys=(
        TierKey(tier="audio", key_id="a" * 32, key=b"sixteen of audio"),
        TierKey(tier="sd", key_id="b" * 32, key=b"another of video"),
    ),
)


def test_only_named_certificates_get_keys() -> None:
    known, stranger = a_packager(), a_packager("stranger")
    trust = PackagerTrust([known.x509])
    (recipient,) = trust.recipients((known.certificate,), NOW_MS)
    assert recipient.certificate == known.certificate
    for certificates in ((stranger.certificate,), (known.certificate, stranger.certificate)):
        with pytest.raises(CertificateError, match="operator"):
            trust.recipients(certificates, NOW_MS)
    with pytest.raises(CertificateError, match="operator"):
        PackagerTrust().recipients((known.certificate,), NOW_MS)


def test_nobody_gets_keys_in_clear_unless_that_is_allowed() -> None:
    with pytest.raises(CertificateError, match="DeliveryDataList"):
        PackagerTrust([a_packager().x509]).recipients((), NOW_MS)
    assert PackagerTrust(allows_plain=True).recipients((), NOW_MS) == ()


def test_a_certificate_counts_only_in_its_time() -> None:
    old = a_packager("old", days=30)
    trust = PackagerTrust([old.x509])
    in_time_ms = int(datetime(2020, 1, 15, tzinfo=UTC).timestamp() * 1000)
    assert trust.recipients((old.certificate,), in_time_ms)
    for other_ms in (NOW_MS, in_time_ms - 30 * 86_400_000):
        with pytest.raises(CertificateError, match="not valid now"):
            trust.recipients((old.certificate,), other_ms)


def test_a_certificate_that_is_too_weak_is_said_so_at_the_start() -> None:
    with pytest.raises(CertificateError, match="2048 bits"):
        PackagerTrust([a_packager("weak", bits=1024).x509])
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elliptic")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(CertificateError, match="RSA"):
        PackagerTrust([certificate])


def test_no_key_shows_in_an_encrypted_answer() -> None:
    packager = a_packager()
    recipients = PackagerTrust([packager.x509]).recipients((packager.certificate,), NOW_MS)
    made: list[bytes] = []

    def randomness(size: int) -> bytes:
        made.append(sha512(bytes([len(made)])).digest()[:size])
        return made[-1]

    encrypted = encrypt_keys(KEYS, recipients, randomness)
    shown = codec.encode(encrypted).decode() + repr(encrypted)
    document_key, mac_key, *ivs = made
    assert [len(document_key), len(mac_key), *map(len, ivs)] == [32, 64, 16, 16]
    for secret in (document_key, mac_key, *(key.key for key in KEYS.keys)):
        assert secret not in codec.encode(encrypted)
        assert repr(secret)[2:-1] not in shown
        assert codec.encode(secret).decode().strip('"')[:20] not in shown
    assert [key.value.cipher_value[:16] for key in encrypted.keys] == ivs
