"""Migrations against the real engine."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from infra.clickhouse.client import open_client, parse_url
from infra.clickhouse.migrate import migrate_down, migrate_up, plan_down, plan_up, status
from infra.clickhouse.migration_files import Migration, MigrationError, load_migrations
from infra.clickhouse.writer import writer_url
from tests.integration.engine import RunningClickHouse, running_clickhouse


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningClickHouse]:
    async with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture
def client(engine: RunningClickHouse) -> Iterator[Client]:
    url = writer_url(engine.host, engine.port, engine.writer_password, "unused")
    opened = open_client(parse_url(url), with_database=False)
    yield opened
    opened.close()


@pytest.fixture
def database() -> str:
    return f"d{secrets.token_hex(4)}"


def with_more(tmp_path: Path, up: str, down: str | None) -> tuple[Migration, ...]:
    """The first migration of the project, and one of the test's."""
    first = load_migrations()[0]
    (tmp_path / f"{first.title}.sql").write_text(first.up)
    (tmp_path / f"{first.title}.down.sql").write_text(first.down or "")
    (tmp_path / "0002_more.sql").write_text(up)
    if down is not None:
        (tmp_path / "0002_more.down.sql").write_text(down)
    return load_migrations(tmp_path)


UP = """
CREATE TABLE IF NOT EXISTS ${database}.more (a Int8) ENGINE = ${replicated}MergeTree ORDER BY a
"""
DOWN = "DROP TABLE IF EXISTS ${database}.more SYNC"


def test_up_down_and_up_again(client: Client, database: str, tmp_path: Path) -> None:
    steps = with_more(tmp_path, UP, DOWN)
    assert [s.state for s in status(client, database, migrations=steps)] == ["pending", "pending"]
    assert plan_up(client, database, migrations=steps) == list(steps)
    assert migrate_up(client, database, migrations=steps) == list(steps)
    assert migrate_up(client, database, migrations=steps) == []
    assert [s.state for s in status(client, database, migrations=steps)] == ["applied", "applied"]

    assert plan_down(client, database, migrations=steps) == [steps[1]]
    assert migrate_down(client, database, migrations=steps) == [steps[1]]
    assert [s.state for s in status(client, database, migrations=steps)] == ["applied", "pending"]
    assert migrate_up(client, database, migrations=steps) == [steps[1]]
    assert client.command("EXISTS TABLE {database:Identifier}.more", {"database": database}) == 1

    assert migrate_down(client, database, steps=2, migrations=steps) == list(reversed(steps))
    assert [s.state for s in status(client, database, migrations=steps)] == ["pending", "pending"]


def test_a_changed_file_is_not_run_over(client: Client, database: str, tmp_path: Path) -> None:
    migrate_up(client, database, migrations=with_more(tmp_path, UP, DOWN))
    changed = with_more(tmp_path, UP + " -- better", DOWN)
    assert status(client, database, migrations=changed)[1].state == "changed"
    with pytest.raises(MigrationError, match="0002_more was changed"):
        migrate_up(client, database, migrations=changed)


def test_a_migration_that_fails_is_begun_again(
    client: Client, database: str, tmp_path: Path
) -> None:
    broken = with_more(tmp_path, UP + "; SELECT nothing", DOWN)
    with pytest.raises(DatabaseError, match="UNKNOWN_IDENTIFIER"):
        migrate_up(client, database, migrations=broken)
    assert status(client, database, migrations=broken)[1].state == "pending"
    mended = with_more(tmp_path, UP, DOWN)
    assert migrate_up(client, database, migrations=mended) == [mended[1]]


def test_what_has_no_way_back_stays(client: Client, database: str, tmp_path: Path) -> None:
    steps = with_more(tmp_path, UP, None)
    migrate_up(client, database, migrations=steps)
    with pytest.raises(MigrationError, match="no file that takes it back"):
        migrate_down(client, database, migrations=steps)
    assert [s.state for s in status(client, database, migrations=steps[:1])] == [
        "applied",
        "unknown",
    ]


async def test_all_migrations_of_the_project_go_up_and_down(
    engine: RunningClickHouse, client: Client, database: str
) -> None:
    steps = load_migrations()
    assert await asyncio.to_thread(migrate_up, client, database) == list(steps)
    down = await asyncio.to_thread(migrate_down, client, database, steps=len(steps))
    assert down == list(reversed(steps))
    assert await asyncio.to_thread(migrate_up, client, database) == list(steps)
