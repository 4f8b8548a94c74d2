"""The certificates of packagers outside, as the operator names them in a PEM file."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from agents.license.key_delivery import PackagerTrust
from infra.keys.files import KeyFileError


def read_packagers(path: str, *, allows_plain: bool) -> PackagerTrust:
    """Whom content keys may be delivered to; nobody where no file is named.

    Read once: a certificate that is taken out counts until the license workers start again. Raises
    KeyFileError or CertificateError.
    """
    if not path:
        return PackagerTrust(allows_plain=allows_plain)
    try:
        certificates = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be read ({error.strerror}): name the PEM file"
        ) from error
    except ValueError as error:
        raise KeyFileError(f"{path} must hold certificates as PEM") from error
    return PackagerTrust(certificates, allows_plain=allows_plain)
