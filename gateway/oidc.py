"""Tokens of outside identity providers: OpenID Connect issuers that the settings name.

One key, one algorithm: the key's own type decides it, never the token. Headers that bring keys
(`jwk`, `jku`, `x5u`) are not read. Keys come from `gateway.issuer_keys` and from nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import aiohttp
import jwt
import msgspec
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from gateway.config import OIDCIssuer
from gateway.issuer_keys import Fetch, KeySource, fetch_document
from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.ids import derive_account_id
from schemas.secrets import SecretBytes
from streams.clock import Clock, has_passed

REFRESH_MS: Final = 600_000
RETRY_MS: Final = 10_000
KEYS_AGE_MS_MAX: Final = 86_400_000
"""Keys of a provider that is away for so long count no more: it may have withdrawn them."""
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
    typ: Literal["JWT", "jwt", "at+jwt", "application/at+jwt"] = "JWT"
    """Of an ID or an access token (RFC 9068): no logout token or security event signs in."""


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

    def __init__(self, settings: OIDCIssuer, *, clock: Clock, fetch: Fetch) -> None:
        self._settings = settings
        self._clock = clock
        self._source = KeySource(settings, fetch)
        self._keys: dict[str, PyJWK] = {}
        self._tried_at_ms = 0
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
        if key is None or self._clock() - self._read_at_ms > KEYS_AGE_MS_MAX:
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
        except (PyJWTError, InvalidMessageError, ValueError, TypeError, OverflowError):
            return None
        return claims if 0 < claims.exp - claims.iat <= TOKEN_LIFETIME_S_MAX else None

    async def _read_keys_when_due(self, key_id: str) -> None:
        """Every ten minutes, and at once (but not oftener than bounded) for an unknown key.

        The bound is one for the whole issuer: whoever makes up key ids makes no more requests.
        """
        if not self._is_due(key_id):
            return
        async with self._reading:
            if not self._is_due(key_id):
                return  # somebody has read them, or tried, while this one waited
            self._tried_at_ms = self._clock()
            try:
                self._keys = read_keys(await self._source.read())
                self._read_at_ms = self._clock()
            except (OSError, aiohttp.ClientError, TimeoutError, PyJWTError) as error:
                log.warning("keys of %s were not read: %s", self.name, type(error).__name__)
            except InvalidMessageError as error:
                log.warning("keys of %s are not to be believed: %s", self.name, error)

    def _is_due(self, key_id: str) -> bool:
        now_ms = self._clock()
        is_old = key_id not in self._keys or has_passed(REFRESH_MS, self._read_at_ms, now_ms)
        return is_old and has_passed(RETRY_MS, self._tried_at_ms, now_ms)


class OutsideIdentities:
    """All configured issuers. The account id is derived from issuer and subject."""

    def __init__(
        self,
        issuers: tuple[OIDCIssuer, ...],
        *,
        secret: SecretBytes,
        clock: Clock,
        fetch: Fetch = fetch_document,
    ) -> None:
        self._issuers = {each.issuer: Issuer(each, clock=clock, fetch=fetch) for each in issuers}
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
