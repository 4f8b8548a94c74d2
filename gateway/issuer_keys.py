"""Where the keys of an outside issuer come from: a pinned file or URL, or what the issuer says.

OpenID Connect Discovery 1.0, section 4: the document names the very issuer that it was asked of,
and the keys' address. Nothing is fetched over plain HTTP but from loopback, and no redirect is
followed: who can answer for another host signs anybody in.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from gateway.config import OIDCIssuer
from gateway.outward import is_inside, outward_connector
from schemas import codec
from schemas.errors import InvalidMessageError

FETCH_TIMEOUT_S: Final = 3.0
DOCUMENT_BYTES_MAX: Final = 1 << 20
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
Fetch = Callable[[str], Awaitable[bytes]]
"""The document at a URL. Raises aiohttp.ClientError, TimeoutError, InvalidMessageError."""


class _Provider(msgspec.Struct, frozen=True, kw_only=True):
    issuer: str
    jwks_uri: str


_providers: Final[codec.Decoder[_Provider]] = codec.Decoder(_Provider)


class KeySource:
    """The JWK set of one issuer."""

    def __init__(self, settings: OIDCIssuer, fetch: Fetch) -> None:
        self._settings = settings
        self._fetch = fetch

    async def read(self) -> bytes:
        """The JWK set as it is now.

        Raises OSError, aiohttp.ClientError, TimeoutError, or InvalidMessageError where a document
        is not to be believed.
        """
        source = self._settings.jwks or await self._discovered()
        if "://" not in source:
            return await asyncio.to_thread(Path(source).read_bytes)
        return await self._fetch(require_safe(source))

    async def _discovered(self) -> str:
        issuer = self._settings.issuer
        url = require_safe(issuer.removesuffix("/") + DISCOVERY_PATH)
        provider = _providers.decode(await self._fetch(url))
        if provider.issuer != issuer:
            raise InvalidMessageError("issuer", "the provider says that it is another issuer")
        if "://" not in provider.jwks_uri:
            raise InvalidMessageError("jwks-uri", "the provider names no address of its keys")
        if is_inside(_host(provider.jwks_uri)) and not _is_loopback(_host(issuer)):
            raise InvalidMessageError("jwks-uri", "the provider names an address of ours")
        return provider.jwks_uri


def require_safe(url: str) -> str:
    """The URL; InvalidMessageError (reason `plain-http`) where others could answer for its host."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return url
    raise InvalidMessageError("plain-http", f"{parts.scheme}://{parts.hostname} is not https")


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def fetch_document(url: str) -> bytes:
    """Read to its end; InvalidMessageError (reason `too-large`) past the bound."""
    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(connector=outward_connector(), timeout=timeout) as client,
        client.get(url, allow_redirects=False) as answer,
    ):
        answer.raise_for_status()
        document = bytearray()
        # One `read(n)` gives what has arrived, which may be a part.
        async for chunk in answer.content.iter_chunked(1 << 16):
            document += chunk
            if len(document) > DOCUMENT_BYTES_MAX:
                raise InvalidMessageError("too-large", f"more than {DOCUMENT_BYTES_MAX} bytes")
        return bytes(document)
