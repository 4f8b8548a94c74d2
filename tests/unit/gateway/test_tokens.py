"""What does not sign in gets the same 401, whatever was tried."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.sessions import SessionClaims
from schemas.tokens import AUDIENCE, SESSION_TOKEN_S_MAX, SESSION_TYP, AccessClaims
from streams.tokens import TokenError, TokenVerifier
from tests.gateway_fakes import World
from tests.unit.gateway.wire_events import an_event, bearer

DUPLICATE_EXP = b'{"exp":1,"exp":9999999999}'


def _segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _payload(token: str) -> dict[str, Any]:
    text = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return claims


def crafted_tokens(world: World) -> dict[str, str]:
    """Forgeries of a session token that is fine otherwise."""
    good = world.session_token()
    claims = _payload(good)
    public = world.directory.identity("license").signing.public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    raw = public.public_bytes_raw()
    header, payload, signature = good.split(".")
    kid = {"typ": SESSION_TYP, "kid": "license-1"}
    stranger = World()
    return {
        "none": f"{_segment({'alg': 'none', **kid})}.{payload}.",
        "None": f"{_segment({'alg': 'None', **kid})}.{payload}.",
        "no signature": f"{header}.{payload}.",
        "pem as hmac": jwt.encode(claims, raw * 2, algorithm="HS256", headers=kid),
        "raw as hmac": jwt.encode(claims, pem.hex(), algorithm="HS256", headers=kid),
        "jwk in the header": jwt.encode(
            claims,
            stranger.directory.identity("license").signing,
            algorithm="EdDSA",
            headers=kid | {"jwk": {"kty": "OKP"}},
        ),
        "stranger's key": stranger.session_token(),
        "another kid": f"{_segment({'alg': 'EdDSA', **kid, 'kid': 'x'})}.{payload}.{signature}",
        "another role's token": world.access_token(),
        "admin token": world.admin_token("operator"),
        "another payload": f"{header}.{_segment(claims | {'plan': 'premium'})}.{signature}",
        "duplicate exp": f"{header}.{_segment(DUPLICATE_EXP)}.{signature}",
        "padding": good + "=",
        "spaces": good.replace(".", " ."),
        "four parts": good + ".x",
        "one part": "token",
        "huge": good + "A" * 5_000,
    }


@pytest.mark.parametrize("kind", crafted_tokens(World()))
async def test_forged_tokens_are_401_and_look_alike(
    world: World, client: aiohttp.ClientSession, kind: str
) -> None:
    token = crafted_tokens(world)[kind]
    event = an_event(world.new_id())
    async with client.post("/v1/events", json=event, headers=bearer(token)) as answer:
        assert answer.status in {401, 403} if kind == "admin token" else answer.status == 401
        by_header = await answer.json(content_type=None)
    async with client.get(f"/s/{token.replace(' ', '')}/manifest.mpd") as answer:
        if kind != "spaces":
            assert answer.status == 401
            assert (await answer.json(content_type=None))["reason"] == "token"
    assert by_header["reason"] in {"token", "role"}


@given(data=st.data())
@settings(max_examples=300)
def test_no_changed_byte_of_a_token_passes(data: st.DataObject) -> None:
    world = World()
    token = world.session_token()
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=255))
    changed = token[:place] + other + token[place + 1 :]
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
    if changed == token:
        assert verifier.verify(changed).sid
    else:
        with pytest.raises(TokenError):
            verifier.verify(changed)


async def test_an_expired_token_is_401(world: World, client: aiohttp.ClientSession) -> None:
    token, session = world.access_token(), world.session_token()
    world.clock.now_ms += 3_600_000 + 60_000
    async with client.get("/v1/account", headers=bearer(token)) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for path in ("manifest.mpd", "bitrate", "key/" + "1" * 32):
        async with client.get(f"/s/{session}/{path}") as answer:
            assert answer.status == 401


async def test_two_authorization_headers_are_refused(
    world: World, client: aiohttp.ClientSession
) -> None:
    headers = [("Authorization", f"Bearer {world.access_token()}")] * 2
    async with client.get("/v1/account", headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json(content_type=None))["reason"] == "duplicate-header"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "bearer", "Bearer a b", "Token x"]
)
async def test_other_authorization_is_401(client: aiohttp.ClientSession, header: str) -> None:
    async with client.get("/v1/account", headers={"Authorization": header}) as answer:
        assert answer.status == 401


def test_the_access_token_names_the_account(world: World) -> None:
    claims: AccessClaims = world.ports().access_tokens.verify(world.access_token("a" * 36))
    assert claims.sub == "a" * 36
