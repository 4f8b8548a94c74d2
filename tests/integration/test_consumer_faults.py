"""Workers that die under load, on the real broker: nothing lost, everything counted once.

The counts are read from the changelog, as the next worker would read them: a record that was lost
or counted twice shows there, whatever died in between.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streams.broker import Broker
from streams.dead_letter_limit import DeadLetterRule
from streams.producer import Publisher
from tests.integration.broker import Broker as RealBroker
from tests.integration.broker import running_kafka
from tests.integration.counting import KEYS, Stage, a_stage, load, until
from tests.integration.counting_worker import COUNTED

Staged = tuple[Stage, Publisher]


@pytest.fixture
async def staged(broker: Broker, tmp_path: Path) -> AsyncIterator[Staged]:
    async with a_stage(broker, tmp_path) as staged:
        yield staged


async def until_it_counts(stage: Stage, *, beyond: int = 0) -> None:
    """The workers have committed more than so many records."""

    async def counts_on() -> bool:
        return sum((await stage.committed()).values()) > beyond

    await until(counts_on)


@pytest.mark.parametrize(
    ("chunked", "store"), [(True, "rocksdb"), (True, "memory"), (False, "memory")]
)
async def test_killed_and_stopped_workers_lose_nothing_and_count_once(
    staged: Staged, *, chunked: bool, store: str
) -> None:
    stage, publisher = staged
    await stage.publish(publisher, 2_000)
    async with load(stage, publisher, per_s=2_000 if chunked else 200):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            done = sum((await stage.committed()).values())
            stage.start(chunked=chunked, store=store)
            await until_it_counts(stage, beyond=done)
            code = stage.end(number)
            assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0), stage.output()
            assert await stage.ahead() == {}
    stage.start(chunked=chunked, store=store)
    await stage.until_counted()
    assert await stage.counts() == dict(stage.expected)


async def test_workers_that_join_and_leave_lose_nothing_and_count_once(staged: Staged) -> None:
    stage, publisher = staged
    stage.start()
    async with load(stage, publisher):
        await until_it_counts(stage)
        for number in (signal.SIGTERM, signal.SIGKILL):
            stage.start("2")
            await until(lambda: stage.announced("2"))
            await until_it_counts(stage, beyond=sum((await stage.committed()).values()))
            stage.end(number, "2")
            (stage.folder / "2" / "announce.json").unlink(missing_ok=True)
            assert await stage.ahead() == {}
    await stage.until_counted()
    assert await stage.counts() == dict(stage.expected)


async def test_a_handler_that_cannot_go_on_halts_and_its_chunk_comes_again(
    staged: Staged,
) -> None:
    stage, publisher = staged
    await publisher.publish(COUNTED, KEYS[0], b"away")
    stage.expected[KEYS[0]] += 1
    await stage.publish(publisher, 2_000)
    stage.start(poison="away")
    await until(lambda: stage.workers["1"].poll() is not None)
    assert stage.workers.pop("1").wait() == 70
    assert "the world is away" in stage.output()
    assert await stage.ahead() == {}
    stage.start()
    await stage.until_counted()
    assert await stage.counts() == dict(stage.expected)


async def test_a_bad_deploy_halts_before_it_drains_the_topic(staged: Staged) -> None:
    stage, publisher = staged
    count = 20 * DeadLetterRule().letters_max
    await publisher.publish_many(COUNTED, [(key, b"bug") for key in KEYS * (count // len(KEYS))])
    stage.start(poison="bug")
    await until(lambda: stage.workers["1"].poll() is not None)
    assert stage.workers.pop("1").wait() == 70
    assert "more likely broken" in stage.output()
    assert sum((await stage.committed()).values()) < count // 2


async def test_one_bad_record_stops_nothing(staged: Staged) -> None:
    stage, publisher = staged
    await publisher.publish(COUNTED, KEYS[0], b"bug")
    await stage.publish(publisher, 1_000)
    stage.start(poison="bug")

    async def has_counted_the_others() -> bool:
        return await stage.counts() == dict(stage.expected)

    await until(has_counted_the_others)
    assert stage.workers["1"].poll() is None


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[RealBroker]:
    """A broker of this test's own."""
    with running_kafka(tmp_path / "kafka") as mortal:
        yield mortal


async def test_a_broker_that_restarts_loses_nothing_of_it(
    mortal: RealBroker, tmp_path: Path
) -> None:
    folder = tmp_path / "stage"
    folder.mkdir()
    async with a_stage(Broker(bootstrap=mortal.bootstrap), folder) as (stage, publisher):
        await stage.publish(publisher, 4_000)
        stage.start()
        await until_it_counts(stage)
        await asyncio.to_thread(mortal.kill)
        await mortal.start()
        await stage.publish(publisher, 4_000)
        if stage.workers["1"].poll() is not None:  # as its supervisor would
            stage.start()
        await stage.until_counted()
        assert await stage.counts() == dict(stage.expected)
