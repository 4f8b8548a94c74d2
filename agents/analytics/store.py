"""ClickHouse as the sink needs it: insert bytes, ask what is stored. No retries in here.

Plain HTTP instead of a driver: drivers repeat a request on their own when a connection breaks, and
an insert that was repeated unseen is a doubt that nobody verifies (a server killed between token
and part answers the repetition with success, and the rows are gone).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiohttp
import msgspec

from agents.analytics.void_marks import StoredDecision
from schemas.errors import PlayheadError, RetryableError
from schemas.secrets import SecretBytes

INSERT_TIMEOUT_S: Final = 60
QUERY_TIMEOUT_S: Final = 30
CONNECTIONS_MAX: Final = 8
DETAIL_CHARACTERS_MAX: Final = 400

INSERT_SETTINGS: Final = {
    "async_insert": "0",
    "insert_deduplicate": "1",
    "deduplicate_blocks_in_dependent_materialized_views": "1",
    "insert_quorum": "auto",
    "input_format_parallel_parsing": "0",  # one insert is one block
    "input_format_skip_unknown_fields": "0",
    "date_time_input_format": "basic",
}
READ_SETTINGS: Final = {
    "select_sequential_consistency": "1",
    "output_format_json_quote_64bit_integers": "0",
    "max_query_size": str(16 << 20),
}
ROW_ERRORS: Final = frozenset(
    (6, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 130, 131, 321, 349, 376, 467, 691)
)
"""Codes that say that a value cannot be read, whenever it is sent."""


class StoreUnavailableError(RetryableError):
    """ClickHouse did not answer, or not with yes; what it did is unknown."""


class RowsRefusedError(PlayheadError):
    """ClickHouse cannot read these rows, and never will."""


class StoreAddress(msgspec.Struct, frozen=True, kw_only=True):
    """`http(s)://user:password@host:port/database`, taken apart."""

    base_url: str
    user: str
    password: SecretBytes
    database: str


def parse_store_url(url: str) -> StoreAddress:
    """Raises ValueError where a part is missing; its text holds no password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a ClickHouse URL is http(s)://user:password@host:port/database")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port or (8443 if parts.scheme == "https" else 8123)
    return StoreAddress(
        base_url=f"{parts.scheme}://{host}:{port}/",
        user=unquote(parts.username or "default"),
        password=SecretBytes(unquote(parts.password or "").encode()),
        database=unquote(parts.path.strip("/")) or "playhead",
    )


class Store:
    """One ClickHouse, over HTTP."""

    def __init__(self, address: StoreAddress) -> None:
        self._address = address
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool; ClickHouse may be away."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            headers={
                "X-ClickHouse-User": self._address.user,
                "X-ClickHouse-Key": self._address.password.reveal().decode(),
            },
        )

    async def stop(self) -> None:
        """Close the pool."""
        if self._http is not None:
            await self._http.close()

    async def insert(
        self, table: str, body: bytes, token: str, *, shape: str = "FORMAT JSONEachRow"
    ) -> None:
        """Insert rows under a deduplication token; `shape`: columns, where not all, and format.

        Raises StoreUnavailableError (outcome unknown) or RowsRefusedError (nothing inserted).
        """
        parameters = {
            **INSERT_SETTINGS,
            "query": f"INSERT INTO {table} {shape}",
            "insert_deduplication_token": token,
        }
        await self._post(parameters, body, INSERT_TIMEOUT_S)

    async def query(self, sql: str) -> list[list[Any]]:
        """The rows of a SELECT. Raises StoreUnavailableError."""
        text = f"{sql} FORMAT JSONCompactEachRow".encode()
        try:
            answer = await self._post(READ_SETTINGS, text, QUERY_TIMEOUT_S)
        except RowsRefusedError as error:
            raise StoreUnavailableError(str(error)) from error
        return msgspec.json.Decoder(list[Any]).decode_lines(answer) if answer.strip() else []

    async def stored_offsets(
        self, table: str, topic_column: str, topic: str, partition: int, first: int, last: int
    ) -> set[int]:
        """The offsets of [first, last] that are rows of the table."""
        rows = await self.query(
            f"SELECT DISTINCT kafka_offset FROM {table} WHERE {topic_column} = {quoted(topic)}"  # noqa: S608 - quoted, and numbers
            f" AND kafka_partition = {partition} AND kafka_offset BETWEEN {first} AND {last}"
        )
        return {row[0] for row in rows}

    async def stored_sequences(
        self, sessions: Collection[str]
    ) -> dict[str, dict[str, list[tuple[int, int]]]]:
        """What is stored of each session: by source, the intervals of sequence numbers."""
        found: dict[str, dict[str, list[tuple[int, int]]]] = {session: {} for session in sessions}
        rows = await self.query(
            "SELECT session_id, source, min(sequence), max(sequence) FROM ("  # noqa: S608 - quoted
            "SELECT session_id, source, sequence, toInt64(sequence) - row_number() OVER"
            " (PARTITION BY session_id, source ORDER BY sequence) AS island FROM"
            " (SELECT DISTINCT session_id, source, sequence FROM events_raw"
            f" WHERE session_id IN ({_list(sessions)}))) GROUP BY session_id, source, island"
        )
        for session, source, low, high in rows:
            found[session].setdefault(source, []).append((low, high))
        return found

    async def payload_hashes(
        self, identities: Collection[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], int]:
        """The hash of the payload that counts, of those that are stored."""
        sessions = {session for session, _, _ in identities}
        numbers = ",".join(str(number) for number in {number for _, _, number in identities})
        rows = await self.query(
            "SELECT session_id, source, sequence, argMin(payload_hash, kafka_offset)"  # noqa: S608 - quoted, and numbers
            f" FROM events_raw WHERE session_id IN ({_list(sessions)}) AND sequence IN ({numbers})"
            " GROUP BY session_id, source, sequence"
        )
        return {(session, source, number): value for session, source, number, value in rows}

    async def known_decisions(self, topic: str, identities: Collection[str]) -> set[str]:
        """Those of the identities that are stored."""
        rows = await self.query(
            f"SELECT DISTINCT identity FROM decisions_raw WHERE topic = {quoted(topic)}"  # noqa: S608 - quoted
            f" AND identity IN ({_list(identities)})"
        )
        return {row[0] for row in rows}

    async def decisions_before(
        self, topic: str, partition: int, offset: int, *, count_max: int
    ) -> list[StoredDecision]:
        """The rows of the last `count_max` offsets before this one, in order."""
        rows = await self.query(
            "SELECT kafka_offset, payload, is_void FROM decisions_raw"  # noqa: S608 - quoted, and numbers
            f" WHERE topic = {quoted(topic)} AND kafka_partition = {partition}"
            f" AND kafka_offset >= {max(0, offset - count_max)} AND kafka_offset < {offset}"
            " ORDER BY kafka_offset"
        )
        return [
            StoredDecision(offset=at, payload=payload.encode(), is_void=is_void)
            for at, payload, is_void in rows
        ]

    async def _post(self, parameters: dict[str, str], body: bytes, timeout_s: int) -> bytes:
        assert self._http is not None, "start() comes first"
        try:
            async with self._http.post(
                self._address.base_url,
                params={**parameters, "database": self._address.database},
                data=body,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as answer:
                content = await answer.read()
                if answer.status == 200 and "X-ClickHouse-Exception-Code" not in answer.headers:
                    return content
                raise _refusal(answer.headers.get("X-ClickHouse-Exception-Code", ""), content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise StoreUnavailableError(f"{type(error).__name__}: {error}") from error


def _refusal(code: str, content: bytes) -> PlayheadError:
    detail = content[:DETAIL_CHARACTERS_MAX].decode("utf-8", "replace")
    if code.isdigit() and int(code) in ROW_ERRORS:
        return RowsRefusedError(detail)
    return StoreUnavailableError(detail)


def quoted(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _list(values: Iterable[str]) -> str:
    return ",".join(quoted(value) for value in values)
