"""Tokens of outside identity providers: OpenID Connect issuers that the settings name.

One key, one algorithm: the key's own type decides it, never the token. Headers that bring keys
(`jwk`, `jku`, `x5u`) are not read. Keys come from a pinned file or URL and from nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import aiohttp
import jwt
import msgspec
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from gateway.config import OIDCIssuer
from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.ids import derive_account_id
from schemas.secrets import SecretBytes
from streams.clock import Clock

REFRESH_MS: Final = 600_000
RETRY_MS: Final = 10_000
FETCH_TIMEOUT_S: Final = 3.0
JWKS_BYTES_MAX: Final = 1 << 20
KEYS_MAX: Final = 100
TOKEN_LIFETIME_S_MAX: Final = 86_400
LEEWAY_S: Final = 5

_ALGORITHMS: Final[Mapping[tuple[str, str | None], str]] = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("RSA", None): "RS256",
}
_RSA_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})

log = logging.getLogger(__name__)


class OutsideClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What counts of an outside token; numbers are numbers, and a subject is not empty."""

    iss: str
    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    iat: int
    exp: int


class _JWK(msgspec.Struct, frozen=True, kw_only=True):
    kty: str
    kid: str = ""
    crv: str | None = None
    alg: str | None = None
    use: str = "sig"


class _JWKS(msgspec.Struct, frozen=True, kw_only=True):
    keys: tuple[msgspec.Raw, ...]


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    alg: str
    kid: str = ""


_jwks: Final[codec.Decoder[_JWKS]] = codec.Decoder(_JWKS)
_jwk: Final[codec.Decoder[_JWK]] = codec.Decoder(_JWK)
_claims: Final[codec.Decoder[OutsideClaims]] = codec.Decoder(OutsideClaims)


def read_keys(document: bytes) -> dict[str, PyJWK]:
    """The verification keys of a JWK set by `kid`; symmetric and unknown ones are left out."""
    keys: dict[str, PyJWK] = {}
    for raw in _jwks.decode(document).keys[:KEYS_MAX]:
        key = _jwk.decode(raw)
        algorithm = _algorithm_of(key)
        if algorithm is not None and key.use == "sig":
            keys[key.kid] = PyJWK(msgspec.json.decode(raw), algorithm)
    return keys


def _algorithm_of(key: _JWK) -> str | None:
    if key.kty == "RSA" and key.alg in _RSA_ALGORITHMS:
        return key.alg
    return _ALGORITHMS.get((key.kty, None if key.kty == "RSA" else key.crv))


class Issuer:
    """One provider and the keys it signs with."""

    def __init__(self, settings: OIDCIssuer, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._keys: dict[str, PyJWK] = {}
        self._read_at_ms = 0
        self._reading = asyncio.Lock()

    @property
    def name(self) -> str:
        """The `iss` of its tokens."""
        return self._settings.issuer

    async def verify(self, token: str, key_id: str) -> OutsideClaims | None:
        """The claims, or None where the token does not count."""
        await self._read_keys_when_due(key_id)
        key = self._keys.get(key_id)
        if key is None:
            return None
        try:
            payload: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
            claims = _claims.decode(codec.encode(payload))
        except (PyJWTError, InvalidMessageError, ValueError, OverflowError):
            return None
        return claims if 0 < claims.exp - claims.iat <= TOKEN_LIFETIME_S_MAX else None

    async def _read_keys_when_due(self, key_id: str) -> None:
        """Every ten minutes, and at once (but not oftener than bounded) for an unknown key."""
        age_ms = self._clock() - self._read_at_ms
        if age_ms < (REFRESH_MS if key_id in self._keys else RETRY_MS):
            return
        async with self._reading:
            if self._clock() - self._read_at_ms < RETRY_MS:
                return
            self._read_at_ms = self._clock()
            try:
                self._keys = read_keys(await self._fetch())
            except (OSError, aiohttp.ClientError, TimeoutError, PyJWTError) as error:
                log.warning("keys of %s were not read: %s", self.name, type(error).__name__)
            except InvalidMessageError as error:
                log.warning("keys of %s are no JWK set: %s", self.name, error)

    async def _fetch(self) -> bytes:
        source = self._settings.jwks
        if not source.startswith(("http://", "https://")):
            return await asyncio.to_thread(Path(source).read_bytes)
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.get(source, allow_redirects=False) as answer,
        ):
            answer.raise_for_status()
            return await answer.content.read(JWKS_BYTES_MAX)


class OutsideIdentities:
    """All configured issuers. The account id is derived from issuer and subject."""

    def __init__(
        self, issuers: tuple[OIDCIssuer, ...], *, secret: SecretBytes, clock: Clock
    ) -> None:
        self._issuers = {each.issuer: Issuer(each, clock=clock) for each in issuers}
        self._secret = secret

    async def account_of(self, token: str) -> str | None:
        """The account id of a valid outside token, else None."""
        if not self._issuers:
            return None
        try:
            header = msgspec.convert(jwt.get_unverified_header(token), _Header)
            unverified = jwt.decode(token, options={"verify_signature": False})
        except (PyJWTError, msgspec.ValidationError, ValueError, RecursionError):
            return None
        issuer = self._issuers.get(str(unverified.get("iss", "")))
        claims = None if issuer is None else await issuer.verify(token, header.kid)
        if claims is None:
            return None
        # Subjects differ by case, which the derivation folds: their bytes in hex do not.
        return derive_account_id(self._secret, claims.iss, claims.sub.encode().hex())
