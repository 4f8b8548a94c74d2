from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.config import OIDCIssuer
from gateway.oidc import OutsideIdentities, read_keys
from schemas.accounts import AccountView, EnsureAccount, GetAccount
from schemas.ids import base64url
from schemas.secrets import SecretBytes
from tests.gateway_fakes import NOW_MS, MemoryClock, World
from tests.unit.gateway.running import running_gateway
from tests.unit.gateway.wire_events import bearer

ISSUER = "https://login.example"
KEYS: dict[str, tuple[Any, Any, str]] = {
    "ES256": (ec.generate_private_key(ec.SECP256R1()), ECAlgorithm, "ES256"),
    "EdDSA": (Ed25519PrivateKey.generate(), OKPAlgorithm, "EdDSA"),
    "RS256": (
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        RSAAlgorithm,
        "RS256",
    ),
}


def _jwk(name: str, **more: Any) -> dict[str, Any]:
    private, algorithm, _ = KEYS[name]
    described: dict[str, Any] = json.loads(algorithm.to_jwk(private.public_key()))
    return described | {"kid": name, "use": "sig"} | more


def token_of(
    name: str = "ES256",
    key: Any = None,
    alg: str = "",
    kid: str = "",
    typ: str = "JWT",
    **changes: Any,
) -> str:
    private, _, algorithm = KEYS[name]
    now_s = NOW_MS // 1000
    claims = {
        "iss": ISSUER,
        "aud": "playhead",
        "sub": "someone",
        "iat": now_s,
        "exp": now_s + 600,
        **changes,
    }
    claims = {claim: value for claim, value in claims.items() if value is not None}
    return jwt.encode(
        claims, key or private, algorithm=alg or algorithm, headers={"kid": kid or name, "typ": typ}
    )


def _by_hand(token: str, secret: bytes) -> str:
    """The token's claims under HMAC with a public key, which PyJWT would not make."""
    header = base64url(json.dumps({"alg": "HS256", "kid": "RS256"}).encode())
    signed = f"{header}.{token.split('.')[1]}"
    return f"{signed}.{base64url(hmac.digest(secret, signed.encode(), 'sha256'))}"


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    file = tmp_path / "jwks.json"
    keys = [_jwk(name) for name in KEYS]
    symmetric = {"kty": "oct", "kid": "sym", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}
    file.write_text(json.dumps({"keys": [*keys, symmetric, {"kty": "weird"}]}))
    return file


@pytest.fixture
def identities(jwks: Path, monkeypatch: pytest.MonkeyPatch) -> OutsideIdentities:
    stop_the_clock_of_pyjwt(monkeypatch)
    issuer = OIDCIssuer(issuer=ISSUER, audience="playhead", jwks=str(jwks))
    return OutsideIdentities((issuer,), secret=SecretBytes(b"s" * 32), clock=MemoryClock())


def stop_the_clock_of_pyjwt(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyJWT reads the clock by itself."""
    from datetime import datetime

    import jwt.api_jwt

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Stopped:
            return cls.fromtimestamp(NOW_MS / 1000, tz)

    monkeypatch.setattr(jwt.api_jwt, "datetime", Stopped)


@pytest.mark.parametrize("name", KEYS)
async def test_a_configured_issuer_is_believed(identities: OutsideIdentities, name: str) -> None:
    account_id = await identities.account_of(token_of(name))
    assert account_id is not None
    assert account_id == await identities.account_of(token_of(name, jti="another"))
    assert account_id != await identities.account_of(token_of(name, sub="Someone"))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"exp": None},
        {"iat": None},
        {"exp": NOW_MS // 1000 - 60},
        {"exp": 10**30},
        {"exp": NOW_MS // 1000 + 400 * 86_400},
        {"iat": NOW_MS // 1000 + 3600, "exp": NOW_MS // 1000 + 7200},
        {"nbf": NOW_MS // 1000 + 3600},
    ],
)
async def test_claims_must_all_be_right(
    identities: OutsideIdentities, changes: dict[str, Any]
) -> None:
    assert await identities.account_of(token_of(**changes)) is None


@pytest.mark.parametrize(
    ("typ", "counts"),
    [("JWT", True), ("at+jwt", True), ("logout+jwt", False), ("secevent+jwt", False)],
)
async def test_only_tokens_that_sign_in_are_taken(
    identities: OutsideIdentities, typ: str, counts: bool
) -> None:
    assert (await identities.account_of(token_of(typ=typ)) is not None) == counts


async def test_no_changed_byte_of_an_outside_token_is_taken(identities: OutsideIdentities) -> None:
    for name in ("ES256", "EdDSA"):
        token = token_of(name)
        signed_until = token.rindex(".")
        for place in range(signed_until):
            other = "A" if token[place] != "A" else "B"
            changed = token[:place] + other + token[place + 1 :]
            assert await identities.account_of(changed) is None, place
        for place in range(signed_until + 1, len(token) - 1):  # the last may hold unused bits
            other = "A" if token[place] != "A" else "B"
            changed = token[:place] + other + token[place + 1 :]
            assert await identities.account_of(changed) is None, place


async def test_the_key_decides_the_algorithm_not_the_token(identities: OutsideIdentities) -> None:
    public = KEYS["RS256"][0].public_key()
    pem = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for forged in (
        _by_hand(token_of("RS256"), pem),
        token_of("RS256", alg="PS256"),
        token_of("RS256", alg="RS512"),
        token_of("RS256", key=Ed25519PrivateKey.generate(), alg="EdDSA"),
        token_of("ES256", key=ec.generate_private_key(ec.SECP256R1())),
        jwt.encode({"iss": ISSUER, "sub": "x"}, "", algorithm="none", headers={"kid": "ES256"}),
        jwt.encode({"iss": ISSUER}, b"secret" * 8, algorithm="HS256", headers={"kid": "sym"}),
    ):
        assert await identities.account_of(forged) is None


def test_symmetric_and_unknown_keys_are_left_out(jwks: Path) -> None:
    assert set(read_keys(jwks.read_bytes())) == set(KEYS)


async def test_without_issuers_no_outside_token_counts() -> None:
    identities = OutsideIdentities((), secret=SecretBytes(b"s" * 32), clock=MemoryClock())
    assert await identities.account_of(token_of()) is None


async def test_an_unreadable_key_file_believes_nobody(tmp_path: Path) -> None:
    issuer = OIDCIssuer(issuer=ISSUER, audience="playhead", jwks=str(tmp_path / "absent.json"))
    identities = OutsideIdentities((issuer,), secret=SecretBytes(b"s" * 32), clock=MemoryClock())
    assert await identities.account_of(token_of()) is None


async def test_the_account_is_made_at_first_use(
    world: World, jwks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_the_clock_of_pyjwt(monkeypatch)
    issuer = OIDCIssuer(issuer=ISSUER, audience="playhead", jwks=str(jwks))
    world.config = msgspec.structs.replace(world.config, oidc_issuers=(issuer,))

    def view(question: EnsureAccount | GetAccount) -> AccountView:
        return AccountView(
            account_id=question.account_id,
            plan="none",
            subscription_state="none",
            subscription_until_ms=None,
            profiles=(),
            version=1,
        )

    world.asker.answers = {EnsureAccount: view, GetAccount: view}
    async with running_gateway(world) as client:
        for _ in range(2):
            async with client.get("/v1/account", headers=bearer(token_of())) as answer:
                assert answer.status == 200
        async with client.get("/v1/account", headers=bearer(token_of(aud="other"))) as answer:
            assert answer.status == 401
    asked = [type(body).__name__ for _, _, body in world.asker.asked]
    assert asked == ["EnsureAccount", "GetAccount", "GetAccount"]
