"""Reads what the player page and the console show, over ClickHouse's HTTP interface."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiohttp

from gateway.stored_overview import StoredDecisions, StoredOverview, StoredPlays, StoredTopic
from gateway.stored_session import StoredEvent, StoredLicense, StoredQuality, StoredSession
from infra.clickhouse.client import parse_url
from infra.clickhouse.stored_queries import (
    DECISIONS_QUERY,
    EVENTS_QUERY,
    LICENSES_QUERY,
    PLAYS_QUERY,
    QUALITY_QUERY,
    TOPICS_QUERY,
)
from schemas.codec import Decoder
from schemas.errors import RetryableError

READERS_MAX: Final = 4
"""Sessions read at a time; the engine has others to serve."""
TIMEOUT_S: Final = 5.0


class ClickHouseSessions:
    """`gateway.ports.StoredSessions` on a ClickHouse server, or on the embedded engine."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        address = parse_url(url)
        self._url = f"{address.scheme}://{address.host}:{address.port}/"
        self._auth = aiohttp.BasicAuth(address.user, address.password)
        self._database = address.database
        self._http = http
        self._readers = asyncio.Semaphore(READERS_MAX)
        self._events: Decoder[StoredEvent] = Decoder(StoredEvent)
        self._licenses: Decoder[StoredLicense] = Decoder(StoredLicense)
        self._qualities: Decoder[StoredQuality] = Decoder(StoredQuality)
        self._plays: Decoder[StoredPlays] = Decoder(StoredPlays)
        self._decisions: Decoder[StoredDecisions] = Decoder(StoredDecisions)
        self._topics: Decoder[StoredTopic] = Decoder(StoredTopic)

    async def read(
        self, session_id: str, since_ms: int, *, events_max: int, decisions_max: int
    ) -> StoredSession:
        """Three queries, one after the other."""
        of: dict[str, str | int] = {"session_id": session_id, "since_ms": since_ms}
        async with self._readers:
            events = await self._rows(
                EVENTS_QUERY, self._events, **of, count=events_max, half=events_max // 2
            )
            licenses = await self._rows(LICENSES_QUERY, self._licenses, **of, count=decisions_max)
            qualities = await self._rows(QUALITY_QUERY, self._qualities, **of, count=1)
        return StoredSession(
            events=tuple(events),
            licenses=tuple(licenses),
            quality=qualities[0] if qualities else None,
        )

    async def overview(self) -> StoredOverview:
        """Three queries, one after the other."""
        async with self._readers:
            (plays,) = await self._rows(PLAYS_QUERY, self._plays)
            decisions = await self._rows(DECISIONS_QUERY, self._decisions)
            topics = await self._rows(TOPICS_QUERY, self._topics)
        return StoredOverview(plays=plays, decisions=tuple(decisions), topics=tuple(topics))

    async def _rows(self, query: str, decoder: Decoder[Any], **values: str | int) -> list[Any]:
        parameters = {f"param_{name}": str(value) for name, value in values.items()}
        try:
            async with self._http.post(
                self._url,
                params={
                    "database": self._database,
                    "output_format_json_quote_64bit_integers": "0",
                    **parameters,
                },
                data=query.encode(),
                auth=self._auth,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RetryableError(f"ClickHouse does not answer: {type(error).__name__}") from error
        if response.status != 200:
            said = body[:200].decode(errors="replace")
            raise RetryableError(f"ClickHouse answered {response.status}: {said}")
        return decoder.decode_lines(body)
