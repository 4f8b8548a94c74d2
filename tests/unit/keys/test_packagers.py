from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from agents.license.key_delivery import CertificateError
from infra.keys.files import KeyFileError
from infra.keys.packagers import read_packagers
from tests.gateway_fakes import NOW_MS
from tests.unit.cpix.packager import a_packager


def test_every_certificate_of_the_file_gets_keys(tmp_path: Path) -> None:
    packagers = (a_packager(), a_packager("second"))
    file = tmp_path / "packagers.pem"
    file.write_bytes(b"".join(each.x509.public_bytes(Encoding.PEM) for each in packagers))
    trust = read_packagers(str(file), allows_plain=False)
    certificates = tuple(each.certificate for each in packagers)
    assert len(trust.recipients(certificates, NOW_MS)) == 2


def test_without_a_file_nobody_gets_keys() -> None:
    with pytest.raises(CertificateError):
        read_packagers("", allows_plain=False).recipients((a_packager().certificate,), NOW_MS)


def test_a_file_that_cannot_be_used_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="PEM"):
        read_packagers(str(tmp_path / "missing.pem"), allows_plain=False)
    (tmp_path / "empty.pem").write_text("no certificate")
    with pytest.raises(KeyFileError, match="PEM"):
        read_packagers(str(tmp_path / "empty.pem"), allows_plain=False)
