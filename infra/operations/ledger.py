"""The ledger as operators read it: each minute's counts, and what of it is a loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from infra.clickhouse.client import open_client, parse_url
from infra.deployment import Deployment
from schemas.errors import PlayheadError

QUERY: Final = """
SELECT toUnixTimestamp(minute) * 1000 AS minute_ms, topic, accepted, in_log, stored, duplicates,
    conflicts, dead_letters, refused, unavailable, shed, unauthenticated,
    toUnixTimestamp64Milli(complete_until) AS complete_until_ms, is_complete
FROM ledger
WHERE minute >= now() - toIntervalMinute({minutes:UInt32})
  AND ({topic:String} = '' OR topic = {topic:String})
ORDER BY minute DESC, topic
"""


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """A topic's minute, by the gateways' clocks (`in_log` and `dead_letters`: the broker's)."""

    minute_ms: int
    topic: str
    accepted: int
    in_log: int
    stored: int
    duplicates: int
    conflicts: int
    dead_letters: int
    refused: int
    unavailable: int
    shed: int
    unauthenticated: int
    complete_until_ms: int | None
    is_complete: bool

    @property
    def difference(self) -> int:
        """Accepted, but not found anywhere. Below zero: found, but not known to be accepted."""
        found = self.stored + self.duplicates + self.conflicts + self.dead_letters
        return self.accepted - found


class Imbalance(msgspec.Struct, frozen=True, kw_only=True):
    """What of a topic was accepted and is missing, over complete minutes."""

    topic: str
    missing: int
    first_minute_ms: int
    last_minute_ms: int


def read_ledger(deployment: Deployment, *, minutes: int, topic: str = "") -> list[LedgerLine]:
    """Newest first. Raises PlayheadError where ClickHouse does not answer."""
    try:
        client: Client = open_client(parse_url(deployment.reader_url()))
        found = client.query(QUERY, parameters={"minutes": minutes, "topic": topic})
    except ClickHouseError as error:
        raise PlayheadError(f"ClickHouse: {str(error).splitlines()[0][:300]}") from error
    names = found.column_names
    return [
        msgspec.convert(dict(zip(names, row, strict=True)), LedgerLine, strict=False)
        for row in found.result_rows
    ]


def judge_ledger(lines: Iterable[LedgerLine]) -> list[Imbalance]:
    """Topics that miss what was accepted.

    Only complete minutes count, and not the newest of them: a dead letter stands in the broker's
    minute, which may be the next. What gateways could not tell of (killed within their minute)
    shows as rows above what was accepted; it is never set off against a loss in another minute.
    """
    by_topic: dict[str, list[LedgerLine]] = {}
    for line in lines:
        if line.is_complete and (line.accepted or line.stored or line.dead_letters):
            by_topic.setdefault(line.topic, []).append(line)
    found = []
    for topic, minutes in sorted(by_topic.items()):
        minutes.sort(key=lambda line: line.minute_ms)
        spare = {line.minute_ms: min(line.dead_letters, -line.difference) for line in minutes}
        short = [line for line in minutes[:-1] if line.difference > 0]
        missing = [
            (line, line.difference - max(0, spare.get(line.minute_ms + 60_000, 0)))
            for line in short
        ]
        lost = [(line, count) for line, count in missing if count > 0]
        if lost:
            found.append(
                Imbalance(
                    topic=topic,
                    missing=sum(count for _, count in lost),
                    first_minute_ms=lost[0][0].minute_ms,
                    last_minute_ms=lost[-1][0].minute_ms,
                )
            )
    return found
