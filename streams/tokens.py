"""Tokens: EdDSA JWTs (RFC 7519, 8037), signed by an enrolled key, checked by the directory."""

from __future__ import annotations

import base64
from collections import OrderedDict
from hashlib import sha256
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from schemas import codec
from schemas.envelope import Role
from schemas.errors import InvalidMessageError, PlayheadError
from schemas.ids import base64url
from streams.clock import Clock
from streams.identity import Directory, Identity, is_signature

C = TypeVar("C", bound=msgspec.Struct)

TOKEN_BYTES_MAX = 4096
CACHE_ENTRIES_MAX = 50_000
LEEWAY_S = 5
ISSUED_AHEAD_S_MAX = 30
"""A clock may be ahead by so much."""


class TokenError(PlayheadError):
    """The token does not count; say `reason` to the log and only 401 to the client."""

    def __init__(self, reason: Literal["expired", "invalid"]) -> None:
        super().__init__(reason)
        self.reason = reason


_NumericDate = Annotated[int, Meta(ge=0, le=2**53)]
"""RFC 7519, section 2: whole seconds here, as far as JSON numbers are exact."""


class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly this: `alg: none`, `jku`, `jwk` and `crit` cannot even be said."""

    alg: Literal["EdDSA"]
    typ: str
    kid: str


class _Times(msgspec.Struct, frozen=True, kw_only=True):
    """The claims that every token must have, whatever else it says."""

    iss: Literal["playhead"]
    aud: str
    jti: Annotated[str, Meta(min_length=1, max_length=128)]
    iat: _NumericDate
    exp: _NumericDate
    nbf: _NumericDate | None = None


_headers: codec.Decoder[_Header] = codec.Decoder(_Header)
_times: codec.Decoder[_Times] = codec.Decoder(_Times)


def issue(identity: Identity, claims: msgspec.Struct, *, typ: str) -> str:
    """A signed token; `typ` says what it is for and is checked by the verifier."""
    header = codec.encode(_Header(alg="EdDSA", typ=typ, kid=identity.key_id))
    signing_input = f"{base64url(header)}.{base64url(codec.encode(claims))}"
    return f"{signing_input}.{base64url(identity.sign(signing_input.encode()))}"


class _Checked(NamedTuple):
    """A token whose signature and claims were right."""

    key_id: str
    expires_at_s: int
    claims: Any


class TokenVerifier(Generic[C]):
    """Checks one kind of token: one role's keys, one `typ`, one issuer and audience, a lifetime
    that its kind may have (RFC 8725, section 3; RFC 7519, section 4.1).

    Checked tokens are remembered by hash until they expire: a signature check costs 0.1 ms. A key
    that is no longer enrolled ends those it signed all the same.
    """

    def __init__(
        self,
        directory: Directory,
        role: Role,
        claims_type: type[C],
        *,
        typ: str,
        audience: str,
        lifetime_s_max: int,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._role: Role = role
        self._typ = typ
        self._audience = audience
        self._lifetime_s_max = lifetime_s_max
        self._clock = clock
        self._claims: codec.Decoder[C] = codec.Decoder(claims_type)
        self._checked: OrderedDict[bytes, _Checked] = OrderedDict()

    def verify(self, token: str, *, expired_for_s_max: int = 0) -> C:
        """The claims; raises TokenError.

        `expired_for_s_max` lets a token count that long after its end (events sent late).
        """
        if len(token) > TOKEN_BYTES_MAX:
            raise TokenError("invalid")
        digest = sha256(token.encode(errors="replace")).digest()
        known = self._checked.get(digest)
        if known is None:
            known = self._check(token)
            self._checked[digest] = known
            if len(self._checked) > CACHE_ENTRIES_MAX:
                self._checked.popitem(last=False)
        elif not self._directory.is_enrolled(known.key_id, self._role):
            raise TokenError("invalid")
        if self._clock() // 1000 > known.expires_at_s + LEEWAY_S + expired_for_s_max:
            raise TokenError("expired")
        claims: C = known.claims
        return claims

    def _check(self, token: str) -> _Checked:
        try:
            encoded_header, encoded_claims, encoded_signature = token.split(".")
            header = _headers.decode(_unbase64url(encoded_header))
            payload = _unbase64url(encoded_claims)
            signature = _unbase64url(encoded_signature)
            times = _times.decode(payload)
            claims = self._claims.decode(payload)
        except (ValueError, InvalidMessageError) as error:
            raise TokenError("invalid") from error
        key = self._directory.signing_key(header.kid, self._role)
        if key is None or header.typ != self._typ or times.aud != self._audience:
            raise TokenError("invalid")
        if not is_signature(key, signature, f"{encoded_header}.{encoded_claims}".encode()):
            raise TokenError("invalid")
        if not self._may_last(times):
            raise TokenError("invalid")
        return _Checked(header.kid, times.exp, claims)

    def _may_last(self, times: _Times) -> bool:
        """Whether the token has begun, and lives no longer than its kind may."""
        begins_at_s = max(times.iat, times.nbf or 0)
        has_begun = begins_at_s <= self._clock() // 1000 + ISSUED_AHEAD_S_MAX
        return has_begun and 0 < times.exp - times.iat <= self._lifetime_s_max


def _unbase64url(text: str) -> bytes:
    """Strict: one text per value, so that no second spelling of a token passes."""
    data: Any = text.encode("ascii")
    value = base64.b64decode(data + b"=" * (-len(data) % 4), altchars=b"-_", validate=True)
    if base64url(value) != text:
        raise ValueError("not canonical base64url")
    return value
