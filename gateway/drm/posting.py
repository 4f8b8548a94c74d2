"""Posts a CDM's message to an upstream license service: bounded, in time, and nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import aiohttp
import msgspec

from gateway.config import Limits
from gateway.outward import outward_connector
from gateway.problems import ProblemError, retry_after, unavailable

log = logging.getLogger(__name__)

MEDIA_TYPES: Final = frozenset(
    {
        "application/octet-stream",
        "application/json",
        "application/xml",
        "application/soap+xml",
        "application/x-www-form-urlencoded",
        "application/pkix-cert",
        "text/plain",
        "text/xml",
    }
)
"""What licenses and requests for them come as; anything else is passed on as bytes, never as what a
browser would show or run."""
OCTETS: Final = "application/octet-stream"
_BUSY: Final = frozenset({408, 429})
_UNKNOWN_TO_IT: Final = frozenset({401, 407})


class UpstreamLicense(msgspec.Struct, frozen=True, kw_only=True):
    """What the CDM is to get. Only it can read it, but nobody needs to see it in a log either."""

    body: bytes
    media_type: str

    def __repr__(self) -> str:
        return f"UpstreamLicense({len(self.body)} bytes, {self.media_type})"


class UpstreamPoster:
    """One per gateway; keeps its connections between requests."""

    def __init__(self, limits: Limits) -> None:
        self._deadline_ms = limits.upstream_deadline_ms
        self._bytes_max = limits.upstream_answer_bytes_max
        self._connections_max = limits.upstream_connections_max
        self._client: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Before the first request."""
        self._client = aiohttp.ClientSession(
            connector=outward_connector(connections_max=self._connections_max),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "playhead"},
            timeout=aiohttp.ClientTimeout(total=self._deadline_ms / 1000),
        )

    async def stop(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            await self._client.close()

    async def post(self, url: str, headers: Mapping[str, str], message: bytes) -> UpstreamLicense:
        """The license. Nothing is posted twice: who asked asks again.

        Raises ProblemError: 403 `upstream-refused` where the service refuses this message, 502
        where it does what no retry mends, 503 where it is away, slow or busy.
        """
        assert self._client is not None, "started"
        try:
            async with self._client.post(
                url, data=message, headers=headers, allow_redirects=False
            ) as answer:
                body = await self._read(answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("the license service did not answer: %s", type(error).__name__)
            raise _away() from error
        media_type = media_type_of(answer.content_type)
        if 200 <= answer.status < 300:
            return UpstreamLicense(body=body, media_type=media_type)
        log.warning("the license service answered %d", answer.status)
        raise _problem_of(answer.status, media_type, body)

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._bytes_max:
                raise _broken("its answer is too large")
        return bytes(body)


def media_type_of(text: str) -> str:
    """The media type as it is passed on."""
    media_type = text.partition(";")[0].strip().lower()
    return media_type if media_type in MEDIA_TYPES else OCTETS


def _problem_of(status: int, media_type: str, body: bytes) -> ProblemError:
    # PlayReady's protocol has 500 for every refusal, told apart by its SOAP fault alone.
    is_fault = status == 500 and media_type.endswith("xml") and b"Fault" in body
    if status in _UNKNOWN_TO_IT:
        return _broken("it does not accept who we are")
    if status in _BUSY or (status >= 500 and not is_fault):
        return _away()
    if status < 400:
        return _broken("it leads elsewhere")
    return ProblemError(
        403, "upstream-refused", "the license service refused this device's message"
    )


def _away() -> ProblemError:
    return unavailable("unknown", "upstream-unavailable", "the license service does not answer now")


def _broken(detail: str) -> ProblemError:
    log.error("the license service cannot be used: %s", detail)
    return ProblemError(
        502,
        "upstream-unavailable",
        "the license service cannot be used",
        headers=retry_after(10),
    )
