"""Tokens that are signed rightly and still must not count, and every byte of those that do."""

from __future__ import annotations

import string
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from schemas.ids import base64url
from schemas.sessions import SessionClaims
from schemas.tokens import (
    ACCESS_TOKEN_S,
    ACCESS_TYP,
    ADMIN_TOKEN_S_MAX,
    ADMIN_TYP,
    AUDIENCE,
    PROFILE_TOKEN_S,
    PROFILE_TYP,
    SESSION_TOKEN_S_MAX,
    SESSION_TYP,
    AccessClaims,
    AdminClaims,
    ProfileClaims,
)
from streams.tokens import ISSUED_AHEAD_S_MAX, LEEWAY_S, TokenError, TokenVerifier, issue
from tests.gateway_fakes import NOW_MS, World

NOW_S = NOW_MS // 1000
KINDS: dict[str, tuple[Any, Any, str, int]] = {
    "access": ("account", AccessClaims, ACCESS_TYP, ACCESS_TOKEN_S),
    "profile": ("account", ProfileClaims, PROFILE_TYP, PROFILE_TOKEN_S),
    "session": ("license", SessionClaims, SESSION_TYP, SESSION_TOKEN_S_MAX),
    "admin": ("operator", AdminClaims, ADMIN_TYP, ADMIN_TOKEN_S_MAX),
}


def verifier_of(world: World, kind: str) -> TokenVerifier[Any]:
    role, claims, typ, lifetime_s_max = KINDS[kind]
    directory: Any = world.directory
    return TokenVerifier(
        directory,
        role,
        claims,
        typ=typ,
        audience=AUDIENCE,
        lifetime_s_max=lifetime_s_max,
        clock=world.clock,
    )


def token_of(world: World, kind: str) -> str:
    match kind:
        case "access":
            return world.access_token()
        case "profile":
            return world.profile_token("account", "profile", NOW_MS)
        case "session":
            return world.session_token()
        case _:
            return world.admin_token("operator")


def is_taken(verifier: TokenVerifier[Any], token: str) -> bool:
    try:
        verifier.verify(token)
    except TokenError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_no_changed_byte_of_any_token_is_taken(kind: str) -> None:
    world = World()
    token, verifier = token_of(world, kind), verifier_of(world, kind)
    assert is_taken(verifier, token)
    alphabet = string.ascii_letters + string.digits + "-_.=+/ \x00é"
    for place, character in enumerate(token):
        for number in range(4):
            other = alphabet[(place * 7 + number * 17) % len(alphabet)]
            if other != character:
                changed = token[:place] + other + token[place + 1 :]
                assert not is_taken(verifier, changed), (place, other)
        assert not is_taken(verifier, token[:place])
        assert not is_taken(verifier, token[:place] + token[place + 1 :])


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_token_counts_as_another(kind: str) -> None:
    world = World()
    token = token_of(world, kind)
    for other in KINDS:
        assert is_taken(verifier_of(world, other), token) == (other == kind)


def signed(world: World, claims: dict[str, Any], **header: Any) -> str:
    """A session token with these claims as they stand, under the right key."""
    identity = world.directory.identity("license")
    said = {"alg": "EdDSA", "typ": SESSION_TYP, "kid": identity.key_id, **header}
    parts = [base64url(msgspec.json.encode(part)) for part in (said, claims)]
    signing_input = ".".join(parts)
    return f"{signing_input}.{base64url(identity.sign(signing_input.encode()))}"


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, True),
        ({"iss": "another"}, False),
        ({"iss": None}, False),
        ({"aud": "another"}, False),
        ({"aud": [AUDIENCE]}, False),
        ({"jti": None}, False),
        ({"jti": ""}, False),
        ({"exp": None}, False),
        ({"exp": str(NOW_S + 60)}, False),
        ({"exp": NOW_S + 60.5}, False),
        ({"exp": 10**30}, False),
        ({"exp": -1}, False),
        ({"exp": NOW_S + SESSION_TOKEN_S_MAX}, True),
        ({"exp": NOW_S + SESSION_TOKEN_S_MAX + 1}, False),
        ({"exp": NOW_S}, False),
        ({"exp": NOW_S - LEEWAY_S, "iat": NOW_S - 60}, True),
        ({"exp": NOW_S - LEEWAY_S - 1, "iat": NOW_S - 60}, False),
        ({"iat": None}, False),
        ({"iat": NOW_S + ISSUED_AHEAD_S_MAX}, True),
        ({"iat": NOW_S + ISSUED_AHEAD_S_MAX + 1}, False),
        ({"nbf": NOW_S + ISSUED_AHEAD_S_MAX}, True),
        ({"nbf": NOW_S + ISSUED_AHEAD_S_MAX + 1}, False),
        ({"nbf": "soon"}, False),
        ({"sid": None}, False),
    ],
)
def test_every_claim_must_be_right(changes: dict[str, Any], taken: bool) -> None:
    world = World()
    claims = msgspec.to_builtins(world.session_claims(exp=NOW_S + 60)) | changes
    given = {name: value for name, value in claims.items() if value is not None}
    assert is_taken(verifier_of(world, "session"), signed(world, given)) == taken


@pytest.mark.parametrize(
    "header",
    [
        {"typ": ACCESS_TYP},
        {"typ": "JWT"},
        {"alg": "ES256"},
        {"alg": "none"},
        {"alg": "eddsa"},
        {"crit": ["exp"]},
        {"jku": "https://evil.example"},
        {"kid": "license-2"},
        {"kid": ""},
    ],
)
def test_a_header_says_the_one_algorithm_its_kind_and_a_known_key(header: dict[str, Any]) -> None:
    world = World()
    claims = msgspec.to_builtins(world.session_claims())
    assert not is_taken(verifier_of(world, "session"), signed(world, claims, **header))


def test_a_token_that_was_checked_ends_with_its_key() -> None:
    world = World()
    token, verifier = world.session_token(), verifier_of(world, "session")
    assert is_taken(verifier, token)
    del world.directory.identities["license"]
    assert not is_taken(verifier, token)


def test_what_was_checked_expires_all_the_same() -> None:
    world = World()
    claims = replace(world.session_claims(), exp=NOW_S + 60)
    token = issue(world.directory.identity("license"), claims, typ=SESSION_TYP)
    verifier = verifier_of(world, "session")
    assert is_taken(verifier, token)
    world.clock.now_ms += 66_000
    assert not is_taken(verifier, token)
    assert verifier.verify(token, expired_for_s_max=60).sid == claims.sid
