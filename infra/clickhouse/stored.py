"""Reads one session's rows over ClickHouse's HTTP interface, by fixed queries."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiohttp

from gateway.stored_session import StoredEvent, StoredLicense, StoredQuality, StoredSession
from infra.clickhouse.client import parse_url
from schemas.codec import Decoder
from schemas.errors import RetryableError

READERS_MAX: Final = 4
"""Sessions read at a time; the engine has others to serve."""
TIMEOUT_S: Final = 5.0

# Measurements are many: half of the rows are kept for what the viewer did.
EVENTS_QUERY: Final = """
SELECT type, via, source, sequence,
    toUnixTimestamp64Milli(at) AS at_ms, toUnixTimestamp64Milli(received_at) AS received_at_ms,
    playhead_ms, bitrate_kbps, cdn,
    multiIf(
        type = 'bandwidth' AND object_type != '',
        concat(object_type, ' ', toString(ifNull(status, 0))),
        type = 'error', code, type = 'warning', code,
        type = 'interaction', concat(name, ' ', value),
        type = 'stopped', reason,
        type = 'bitrate_changed', concat(toString(ifNull(height, 0)), 'p'),
        type = 'seek', concat('to ', toString(intDiv(ifNull(to_ms, 0), 1000)), ' s'),
        '') AS detail,
    kafka_partition, kafka_offset
FROM events
WHERE session_id = toUUID({session_id:String})
    AND at >= fromUnixTimestamp64Milli({since_ms:Int64})
ORDER BY kafka_time DESC, kafka_offset DESC
LIMIT {half:UInt32} BY type = 'bandwidth'
LIMIT {count:UInt32}
FORMAT JSONEachRow
"""
LICENSES_QUERY: Final = """
SELECT toUnixTimestamp64Milli(decided_at) AS decided_at_ms, action, outcome, reason, system,
    tiers, key_ids_asked, key_ids_granted, policy_version
FROM license_decisions
WHERE session_id = {session_id:String}
    AND decided_at >= fromUnixTimestamp64Milli({since_ms:Int64})
ORDER BY decided_at DESC
LIMIT {count:UInt32}
FORMAT JSONEachRow
"""
QUALITY_QUERY: Final = """
SELECT event_count, time_to_first_frame_ms, rebuffer_count, rebuffer_duration_ms, played_ms,
    average_bitrate_kbps
FROM sessions
WHERE session_id = toUUID({session_id:String})
    AND started_at >= fromUnixTimestamp64Milli({since_ms:Int64})
ORDER BY version DESC
LIMIT {count:UInt32}
FORMAT JSONEachRow
"""


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
