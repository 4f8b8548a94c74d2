"""The analytics worker: runs the sink and the judge under the life of its worker process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import faust

from agents.analytics.judge import Judge
from agents.analytics.sink import Sink, SinkLimits
from agents.analytics.store import Store, StoreUnavailableError, parse_store_url
from agents.shell import ShellPorts
from streams.topic import Topic


class AnalyticsAgent:
    """Every event and every decision into ClickHouse, exactly once in effect.

    `clickhouse_url` is the writer's: `http(s)://user:password@host:port/database`. The tables are
    there: migrations run before. `topics`: other than the registry's. Raises ValueError for a URL
    that is none.
    """

    name = "analytics"

    def __init__(
        self,
        ports: ShellPorts,
        clickhouse_url: str,
        *,
        instance: str = "1",
        limits: SinkLimits | None = None,
        topics: Iterable[Topic] | None = None,
    ) -> None:
        self._store = Store(parse_store_url(clickhouse_url))
        self.sink = Sink(ports, self._store, instance=instance, limits=limits, topics=topics)
        self._judge = Judge(ports, self._store)

    async def start(self) -> None:
        """Open the way to ClickHouse, which may be away, and look after experiments."""
        await self._store.start()
        await self._judge.start()

    def attach(self, app: faust.App) -> None:
        """Let the app start the sink, stop it, and fall with it."""
        app.producer_only = True  # the sink reads the log itself; Faust fails with nothing to read
        app.add_dependency(self.sink)

    async def stop(self) -> None:
        """Close what is left open."""
        await self._judge.stop()
        await self.sink.stop()
        await self._store.stop()

    async def offsets(self) -> tuple[Mapping[Any, int], Mapping[Any, int]]:
        """What is committed, and the ends: whether it stands still. Raises KafkaError."""
        return await self.sink.offsets()

    async def is_unhindered(self) -> bool:
        """Whether ClickHouse answers: without it, waiting is all that can be done."""
        try:
            await self._store.query("SELECT 1")
        except StoreUnavailableError:
            return False
        return True
