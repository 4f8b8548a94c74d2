"""What the reconciliation asks ClickHouse and Kafka, with bounded memory and patience."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.client import Client

from infra.clickhouse.client import open_client, parse_url
from infra.faults.payloads import STORED_DIGEST
from infra.operations.log_access import CONSUMER_GROUPS, reading
from infra.sandbox import Sandbox
from streams.clock import system_clock
from streams.lag import read_lags
from streams.partitions import count_partitions
from streams.topics import PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS

LOOK_S: Final = 0.5
QUERY_TIMEOUT_S: Final = 120
EVENT_TOPICS: Final = (PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH)

OF_SESSIONS: Final = (
    f"SELECT toString(session_id), source, sequence, id, {STORED_DIGEST}, topic,"  # noqa: S608 - no outside text
    " kafka_partition, kafka_offset FROM events WHERE session_id IN {sessions:Array(UUID)}"
    " ORDER BY session_id, sequence, kafka_offset"
)
_OF_EVENTS: Final = ", ".join(f"'{topic.name}'" for topic in EVENT_TOPICS)
"""Decisions that were published twice are set aside as well."""
SESSIONS: Final = "SELECT DISTINCT toString(session_id) FROM events"
COUNTS: Final = {
    "rows": "SELECT count() FROM events",
    "raw_doubles": "SELECT count() - uniqExact(session_id, source, sequence) FROM events_raw",
    "set_aside": f"SELECT count() FROM set_aside_raw FINAL WHERE topic IN ({_OF_EVENTS})",  # noqa: S608 - our own names
    "conflicts": "SELECT count() FROM conflicts",
    "dead_letters": (
        "SELECT count() FROM dead_letters WHERE agent LIKE '%analytics.sink'"  # noqa: S608 - our own names
        f" AND topic IN ({_OF_EVENTS})"
    ),
}
WRONG_AGGREGATES: Final = {
    "events_by_minute": (
        "SELECT '', minute, sum(n) AS n FROM ("
        "SELECT minute, toInt64(sum(rows_in)) AS n FROM events_by_minute GROUP BY minute UNION ALL"
        " SELECT toStartOfMinute(toDateTime(at, 'UTC')) AS minute, -toInt64(count()) AS n"
        " FROM events WHERE NOT canary GROUP BY minute) GROUP BY minute HAVING n != 0"
    ),
    "ingest_ledger": (
        "SELECT topic, minute, sum(n) AS n FROM ("
        "SELECT topic, minute, toInt64(sum(rows)) AS n FROM ingest_ledger GROUP BY topic, minute"
        " UNION ALL SELECT topic, toStartOfMinute(toDateTime(received_at, 'UTC')) AS minute,"
        " -toInt64(count()) AS n FROM events GROUP BY topic, minute)"
        " GROUP BY topic, minute HAVING n != 0"
    ),
}
"""By aggregate: minutes that count more (positive) or fewer rows than there are."""
LICENSES: Final = (
    "SELECT session_id, count(), countIf(action = 'license'), uniqExact(request_id)"
    " FROM license_decisions WHERE outcome = 'granted' AND action = 'license'"
    " GROUP BY session_id"
)
SESSIONS_AT_ONCE: Final = 20


class Questions:
    """The read-only user's view of one deployment; `close` it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._client: Client = open_client(parse_url(sandbox.deployment.reader_url()))

    def close(self) -> None:
        """Ask nothing more."""
        self._client.close()

    async def ask(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """The rows."""

        def rows() -> list[tuple[Any, ...]]:
            found = self._client.query(sql, parameters).result_rows
            return [tuple(row) for row in found]

        return await asyncio.wait_for(asyncio.to_thread(rows), QUERY_TIMEOUT_S)

    async def number(self, sql: str) -> int:
        """The only value."""
        return int((await self.ask(sql))[0][0])

    async def records(self) -> int:
        """How many records the topics of events hold: nothing was ever deleted from them."""
        broker = self._sandbox.deployment.broker()
        places = [
            TopicPartition(broker.physical(topic.name), number)
            for topic in EVENT_TOPICS
            for number in range(await count_partitions(broker, topic))
        ]
        async with reading(broker) as consumer:
            ends = await consumer.end_offsets(places)
        return sum(ends.values())

    async def lags(self) -> dict[str, int]:
        """By consumer group, what it has not committed; groups without any are left out.

        A broker that has come back just now may not answer yet: then nothing is known.
        """
        found: dict[str, int] = {}
        broker = self._sandbox.deployment.broker()
        try:
            lags = await read_lags(broker, CONSUMER_GROUPS, system_clock())
        except KafkaError:
            return {"unknown": 0}
        for lag in lags:
            if lag.consumer_lag:
                found[lag.consumer_group] = found.get(lag.consumer_group, 0) + lag.consumer_lag
        return found


async def until_quiet(questions: Questions, timeout_s: float) -> dict[str, int]:
    """Wait until no group lags, twice in a row; what lags when none has come on for that long."""
    quiet, least, lags = 0, 1 << 62, {"unknown": 0}
    came_on_s = time.monotonic()
    while quiet < 2:
        if time.monotonic() - came_on_s > timeout_s:
            return lags
        lags = await questions.lags()
        quiet = 0 if lags else quiet + 1
        if "unknown" not in lags and sum(lags.values()) < least:
            least, came_on_s = sum(lags.values()), time.monotonic()
        await asyncio.sleep(LOOK_S)
    return {}
