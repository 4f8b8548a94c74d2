"""Where an outside issuer's keys come from, and how often they are asked for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from jwt.algorithms import OKPAlgorithm

from gateway import oidc
from gateway.config import OIDCIssuer
from gateway.issuer_keys import DOCUMENT_BYTES_MAX, fetch_document, require_safe
from gateway.oidc import KEYS_AGE_MS_MAX, REFRESH_MS, RETRY_MS, OutsideIdentities
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes
from tests.gateway_fakes import MemoryClock
from tests.unit.gateway.test_oidc import ISSUER, KEYS, stop_the_clock_of_pyjwt, token_of

CONFIGURATION = f"{ISSUER}/.well-known/openid-configuration"
JWKS = "https://keys.example/jwks"


def jwks(*names: str) -> bytes:
    keys = [
        json.loads(OKPAlgorithm.to_jwk(KEYS["EdDSA"][0].public_key())) | {"kid": name}
        for name in names
    ]
    return json.dumps({"keys": keys}).encode()


def configuration(**changes: Any) -> bytes:
    return json.dumps({"issuer": ISSUER, "jwks_uri": JWKS, "more": 1} | changes).encode()


class Provider:
    """Documents by URL; counts what is fetched."""

    def __init__(self) -> None:
        self.documents = {CONFIGURATION: configuration(), JWKS: jwks("EdDSA")}
        self.fetched: list[str] = []
        self.is_away = False

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if self.is_away or url not in self.documents:
            raise aiohttp.ClientConnectionError(url)
        return self.documents[url]


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def identities(
    provider: Provider, clock: MemoryClock, monkeypatch: pytest.MonkeyPatch
) -> OutsideIdentities:
    stop_the_clock_of_pyjwt(monkeypatch)
    issuer = OIDCIssuer(issuer=ISSUER, audience="playhead")
    secret = SecretBytes(b"s" * 32)
    return OutsideIdentities((issuer,), secret=secret, clock=clock, fetch=provider.fetch)


async def test_an_issuer_is_asked_where_its_keys_are(
    identities: OutsideIdentities, provider: Provider
) -> None:
    assert await identities.account_of(token_of("EdDSA"))
    assert await identities.account_of(token_of("EdDSA"))
    assert provider.fetched == [CONFIGURATION, JWKS]


@pytest.mark.parametrize(
    "document",
    [
        configuration(issuer="https://evil.example"),
        configuration(issuer=f"{ISSUER}/"),
        configuration(jwks_uri="http://keys.example/jwks"),
        configuration(jwks_uri="https://169.254.169.254/jwks"),
        configuration(jwks_uri="https://[::1]/jwks"),
        configuration(jwks_uri="http://127.0.0.1:9000/jwks"),
        configuration(jwks_uri="file:///etc/passwd"),
        configuration(jwks_uri="/etc/passwd"),
        configuration(jwks_uri=7),
        b"{}",
        b"<html>",
        b"",
    ],
)
async def test_a_configuration_that_is_not_to_be_believed_brings_no_keys(
    identities: OutsideIdentities, provider: Provider, document: bytes
) -> None:
    provider.documents[CONFIGURATION] = document
    assert await identities.account_of(token_of("EdDSA")) is None
    assert provider.fetched == [CONFIGURATION]


async def test_made_up_key_ids_ask_no_oftener_than_bounded(
    identities: OutsideIdentities, provider: Provider, clock: MemoryClock
) -> None:
    assert await identities.account_of(token_of("EdDSA"))
    for number in range(50):
        assert await identities.account_of(token_of("EdDSA", kid=f"made up {number}")) is None
    assert len(provider.fetched) == 2
    clock.now_ms += RETRY_MS
    for number in range(50):
        assert await identities.account_of(token_of("EdDSA", kid=f"made up {number}")) is None
    assert len(provider.fetched) == 4


async def test_a_new_key_of_the_issuer_counts_with_the_first_token_of_it(
    identities: OutsideIdentities, provider: Provider, clock: MemoryClock
) -> None:
    assert await identities.account_of(token_of("EdDSA"))
    provider.documents[JWKS] = jwks("EdDSA", "next")
    clock.now_ms += RETRY_MS
    assert await identities.account_of(token_of("EdDSA", kid="next"))
    provider.documents[JWKS] = jwks("next")
    clock.now_ms += REFRESH_MS
    assert await identities.account_of(token_of("EdDSA")) is None  # withdrawn


async def test_keys_of_a_provider_that_is_away_count_for_a_day(
    identities: OutsideIdentities,
    provider: Provider,
    clock: MemoryClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oidc, "TOKEN_LIFETIME_S_MAX", 10**9)
    token = token_of("EdDSA")
    assert await identities.account_of(token)
    provider.is_away = True
    clock.now_ms += KEYS_AGE_MS_MAX
    assert await identities.account_of(token)
    clock.now_ms += 1
    assert await identities.account_of(token) is None


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://keys.example/jwks", True),
        ("http://127.0.0.1:8080/jwks", True),
        ("http://[::1]/jwks", True),
        ("http://localhost/jwks", True),
        ("http://keys.example/jwks", False),
        ("http://127.0.0.1.evil.example/jwks", False),
        ("http://localhost.evil.example/jwks", False),
        ("ftp://keys.example/jwks", False),
        ("file:///etc/passwd", False),
    ],
)
def test_keys_are_fetched_where_nobody_else_can_answer(url: str, is_safe: bool) -> None:
    if is_safe:
        assert require_safe(url) == url
    else:
        with pytest.raises(InvalidMessageError):
            require_safe(url)


@asynccontextmanager
async def serving(size_bytes: int) -> AsyncIterator[str]:
    """A document in parts; 0: a redirect."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if not size_bytes:
            return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})
        return await in_parts(request, size_bytes)

    app = web.Application()
    app.router.add_get("/jwks", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/jwks"
    finally:
        await runner.cleanup()


async def in_parts(request: web.Request, size_bytes: int) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(size_bytes // 1000):
        await response.write(b"x" * 1000)
    await response.write_eof()
    return response


async def test_a_document_that_comes_in_parts_is_read_to_its_end() -> None:
    async with serving(300_000) as url:
        assert len(await fetch_document(url)) == 300_000


async def test_a_document_without_an_end_is_left_at_the_bound() -> None:
    async with serving(2 * DOCUMENT_BYTES_MAX) as url:
        with pytest.raises(InvalidMessageError, match="more than"):
            await fetch_document(url)


async def test_no_redirect_is_followed() -> None:
    async with serving(0) as url:
        assert await fetch_document(url) == b""
