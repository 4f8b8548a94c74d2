"""`python -m tests.faults.broken BUILD ARGUMENTS…`: the command line with one promise broken.

Each build replaces one step before the component starts; the product has no switch for it. A step
that is no longer there ends the process: a build that breaks nothing would prove nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sys
from collections.abc import Callable
from typing import Any

BACKGROUND: set[asyncio.Task[Any]] = set()


def _replace(holder: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """Put `wrap(step)` in the step's place; AttributeError where it has another name by now."""
    setattr(holder, name, wrap(getattr(holder, name)))


def acknowledge_before_produce() -> None:
    """The gateway answers 202 before the broker has the events."""
    from gateway.recording import Recorder

    def wrap(record: Any) -> Any:
        async def later(*arguments: Any, **options: Any) -> None:
            await asyncio.sleep(0.5)
            await record(*arguments, **options)

        async def broken(*arguments: Any, **options: Any) -> None:
            task = asyncio.create_task(later(*arguments, **options))
            BACKGROUND.add(task)
            task.add_done_callback(BACKGROUND.discard)

        return broken

    _replace(Recorder, "record", wrap)


def commit_before_insert() -> None:
    """The sink commits a chunk's offsets, and inserts it a while later."""
    from agents.analytics.lane import Lane

    def wrap(store: Any) -> Any:
        async def broken(self: Any, chunk: Any) -> None:
            await self._stored(chunk)
            await asyncio.sleep(1)
            await store(self, chunk)

        return broken

    _replace(Lane, "_store", wrap)


def no_deduplication_token() -> None:
    """Every attempt at an insert is a new one to ClickHouse."""
    from agents.analytics import store
    from agents.analytics.store import Store

    # Without a token ClickHouse would compare the rows themselves.
    store.INSERT_SETTINGS["insert_deduplicate"] = "0"

    def wrap(insert: Any) -> Any:
        async def broken(self: Any, table: str, body: bytes, token: str, **options: Any) -> None:
            await insert(self, table, body, f"{token}-{secrets.token_hex(8)}", **options)

        return broken

    _replace(Store, "insert", wrap)


def no_identity_deduplication() -> None:
    """Every event is new to the sink."""
    from agents.analytics.identities import SeenIdentities

    def wrap(add: Any) -> Any:
        def broken(self: Any, identities: Any) -> Any:
            return add(self, identities) | True

        return broken

    _replace(SeenIdentities, "add", wrap)


def license_agent_that_decides_again() -> None:
    """Half of a replay that issues: neither deadlines nor earlier answers hold requests back."""
    from agents.license.agent import LicenseAgent
    from streams.replies import Desk

    _replace(Desk, "is_late", lambda _: lambda self, request: False)
    _replace(LicenseAgent, "_answered_before", lambda _: lambda self, asked, request: None)


def replay_that_issues() -> None:
    """The other half: a replay hands the agents the requests of the log again."""
    from infra.cli import replay as command
    from infra.operations.log_access import reading
    from streams.producer import Publisher
    from streams.topics import LICENSE_REQUESTS

    def wrap(replay: Any) -> Any:
        async def broken(deployment: Any, job: Any, *arguments: Any, **options: Any) -> Any:
            if job.topic.startswith("license."):
                broker = deployment.broker()
                publisher = Publisher(broker, client_id="replay")
                await publisher.start()
                async with reading(broker) as consumer:
                    await _again(broker, publisher, consumer, LICENSE_REQUESTS)
                await publisher.stop()
            return await replay(deployment, job, *arguments, **options)

        return broken

    _replace(command, "replay", wrap)


async def _again(broker: Any, publisher: Any, consumer: Any, topic: Any) -> None:
    from aiokafka import TopicPartition

    places = [TopicPartition(broker.physical(topic.name), n) for n in range(topic.partitions)]
    consumer.assign(places)
    await consumer.seek_to_beginning()
    left = sum((await consumer.end_offsets(places)).values())
    while left > 0:
        fetched = await consumer.getmany(timeout_ms=500)
        for record in itertools.chain.from_iterable(fetched.values()):
            left -= 1
            headers = dict(record.headers)
            await publisher.publish_raw(
                topic.name, record.key, record.value, headers, record.partition
            )


BUILDS: dict[str, Callable[[], None]] = {
    build.__name__: build
    for build in (
        acknowledge_before_produce,
        commit_before_insert,
        no_deduplication_token,
        no_identity_deduplication,
        license_agent_that_decides_again,
        replay_that_issues,
    )
}


def launcher(build: Callable[[], None]) -> tuple[str, ...]:
    """What Python runs instead of `-m infra.cli`."""
    return ("-m", "tests.faults.broken", build.__name__)


if __name__ == "__main__":
    from infra.cli.main import main

    BUILDS[sys.argv.pop(1)]()
    main()
