"""Upstream license services as an operator names them; what is secret comes from private files.

A field whose name ends in `_file` is written as the name of a file and is here what the file holds.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, field

from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
HEADERS_MAX: Final = 32
COMMUNICATION_KEY_BYTES_MIN: Final = 32
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,8192}")
_HASH_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
_headers: Final[codec.Decoder[dict[str, str]]] = codec.Decoder(dict[str, str])

Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Certificate(bytes):
    """FairPlay's application certificate (DER); public."""

    __slots__ = ()


class Upstream(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"
):
    """Where licenses of one DRM system are made.

    Raises ValueError that says the mend, here and in each kind, for what cannot work.
    """

    url: Annotated[str, Meta(max_length=2048)]
    certificate: Certificate | None = field(default=None, name="certificate_file")

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        if not is_safe or not parts.hostname or "@" in parts.netloc or parts.fragment:
            raise ValueError("url must be https://host/…, http only on loopback, no user in it")

    @property
    def checks_keys(self) -> bool:
        """Whether it licenses no key that the entitlement does not name."""
        return False


class Axinom(Upstream, frozen=True, kw_only=True, tag="axinom"):
    """Axinom DRM: license service messages, signed with a communication key (base64)."""

    communication_key_id: Name
    communication_key: SecretBytes = field(name="communication_key_file")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.signing_key()) < COMMUNICATION_KEY_BYTES_MIN:
            raise ValueError("communication_key_file must hold 32 bytes or more in base64")

    @property
    def checks_keys(self) -> bool:
        """A license request for any other key is denied whole."""
        return True

    def signing_key(self) -> bytes:
        """The communication key; empty where the file does not hold base64."""
        try:
            return base64.b64decode(self.communication_key.reveal().strip(), validate=True)
        except ValueError:
            return b""


class DRMtoday(Upstream, frozen=True, kw_only=True, tag="drmtoday"):
    """castLabs DRMtoday: upfront authorization tokens, signed with a shared secret (hex)."""

    merchant: Name
    key_id: Name
    secret: SecretBytes = field(name="secret_file")
    algorithm: Literal["HS256", "HS384", "HS512"] = "HS512"
    has_variants: bool = False
    """Each tier was ingested as a variant of its asset, named after the tier."""

    def __post_init__(self) -> None:
        super().__post_init__()
        bytes_min = _HASH_BYTES[self.algorithm]  # RFC 7518, section 3.2
        if len(self.signing_key()) < bytes_min:
            raise ValueError(f"secret_file must hold {bytes_min} bytes or more in hex")

    @property
    def checks_keys(self) -> bool:
        """An asset's token is good for all its keys; a variant's only for the variant's."""
        return self.has_variants

    def signing_key(self) -> bytes:
        """The shared secret; empty where the file does not hold hex."""
        try:
            return bytes.fromhex(self.secret.reveal().decode("ascii").strip())
        except ValueError:
            return b""


class ReverseProxy(Upstream, frozen=True, kw_only=True, tag="proxy"):
    """Any license server that trusts whoever reaches it, or knows us by headers."""

    headers: SecretBytes | None = field(default=None, name="headers_file")
    """A JSON object, added to each request."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.added_headers()

    def added_headers(self) -> Mapping[str, str]:
        """The headers of the file."""
        if self.headers is None:
            return {}
        try:
            headers = _headers.decode(self.headers.reveal())
        except InvalidMessageError:
            headers = {"": ""}
        is_sound = all(
            _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)
            for name, value in headers.items()
        )
        if len(headers) > HEADERS_MAX or not is_sound:
            # Nothing of it is told: it may hold a secret.
            raise ValueError("headers_file must hold a JSON object of header names and values")
        return headers


AnyUpstream = Axinom | DRMtoday | ReverseProxy
