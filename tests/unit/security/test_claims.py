"""T3: a token that our own key signed counts only with every claim, each of its type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.ids import base64url
from schemas.sessions import SessionClaims
from schemas.tokens import AUDIENCE, ISSUER, SESSION_TOKEN_S_MAX, SESSION_TYP
from streams.tokens import TokenError, TokenVerifier
from tests.gateway_fakes import World

REQUIRED = ("iss", "aud", "jti", "iat", "exp", "sid", "account_id", "profile_id", "content_id")


def signed(world: World, payload: bytes) -> str:
    """Signed by the license agent's key, whatever it says."""
    identity = world.directory.identity("license")
    header = {"alg": "EdDSA", "typ": SESSION_TYP, "kid": identity.key_id}
    signing_input = f"{base64url(json.dumps(header).encode())}.{base64url(payload)}"
    return f"{signing_input}.{base64url(identity.sign(signing_input.encode()))}"


def claims_of(world: World) -> dict[str, Any]:
    now_s = world.clock() // 1000
    texts = dict.fromkeys(REQUIRED, "x")
    return texts | {"iss": ISSUER, "aud": AUDIENCE, "iat": now_s, "exp": now_s + 900}


def verified(world: World, payload: bytes) -> SessionClaims:
    directory: Any = world.directory
    verifier: TokenVerifier[SessionClaims] = TokenVerifier(
        directory,
        "license",
        SessionClaims,
        typ=SESSION_TYP,
        audience=AUDIENCE,
        lifetime_s_max=SESSION_TOKEN_S_MAX,
        clock=world.clock,
    )
    return verifier.verify(signed(world, payload))


def test_a_token_of_ours_counts() -> None:
    world = World()
    assert verified(world, json.dumps(claims_of(world)).encode()).sid == "x"


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in REQUIRED),
        *({name: 7} for name in REQUIRED if name not in {"iat", "exp"}),
        {"exp": "9999999999"},
        {"exp": 1e30},
        {"exp": 10**30},
        {"exp": 10**9},
        {"exp": True},
        {"exp": "never"},
        {"iat": 10**10, "exp": 10**10 + 900},
        {"aud": "another"},
        {"aud": [AUDIENCE]},
    ],
    ids=str,
)
def test_a_token_of_ours_says_everything_in_its_right_type(changes: dict[str, Any]) -> None:
    world = World()
    claims = claims_of(world) | changes
    payload = json.dumps({name: value for name, value in claims.items() if value is not None})
    with pytest.raises(TokenError):
        verified(world, payload.encode())


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"{", b"\xff", b'"x"', b"NaN"])
def test_what_are_no_claims_is_no_token(payload: bytes) -> None:
    with pytest.raises(TokenError):
        verified(World(), payload)
