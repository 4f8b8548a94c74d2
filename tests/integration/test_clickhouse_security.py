"""What nobody can do with the engine, and what only the writer can."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from infra.clickhouse import landlock
from tests.integration.engine import RunningClickHouse, running_clickhouse

SECRET = "a-secret-outside-of-the-data"
OUTSIDE = "/etc/passwd"

needs_landlock = pytest.mark.skipif(
    landlock.abi_version() == 0, reason="this kernel has no Landlock: only the gate protects here"
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningClickHouse]:
    async with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as running:
        async with aiohttp.ClientSession(headers=running.writer) as http:
            for statement in (
                "CREATE DATABASE playhead",
                "CREATE TABLE playhead.t (a String) ENGINE = MergeTree ORDER BY a",
            ):
                async with http.post(running.url, data=statement) as response:
                    assert response.status == 200, await response.text()
        yield running


async def ask(
    engine: RunningClickHouse,
    statement: str | bytes,
    headers: dict[str, str] | None = None,
    **values: str,
) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(engine.url, data=statement, headers=headers, params=values) as response,
    ):
        return response.status, await response.text()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO playhead.t VALUES ('x')",
        "INSERT INTO playhead.t FORMAT TSV\nx\n",
        "CREATE TABLE playhead.u (a String) ENGINE = Memory",
        "DROP TABLE playhead.t",
        "TRUNCATE TABLE playhead.t",
        "ALTER TABLE playhead.t DELETE WHERE 1",
        "OPTIMIZE TABLE playhead.t",
    ],
)
@pytest.mark.parametrize("session", [{}, {"session_id": "s"}])
async def test_the_default_user_only_reads(
    engine: RunningClickHouse, statement: str, session: dict[str, str]
) -> None:
    await ask(engine, "SET max_threads = 1", **session)
    status, text = await ask(engine, statement, **session)
    assert (status, "Code: 164" in text) == (403, True), text
    status, text = await ask(engine, "SELECT count() FROM playhead.t")
    assert status == 200


@pytest.mark.parametrize(
    "statement",
    ["SET readonly = 0", "SELECT 1 SETTINGS readonly = 0"],
)
async def test_the_default_user_cannot_leave_its_mode(
    engine: RunningClickHouse, statement: str
) -> None:
    for values in ({}, {"session_id": "escape"}):
        status, text = await ask(engine, statement, **values)
        assert "Code: 164" in text, (status, text)
    status, text = await ask(engine, "INSERT INTO playhead.t VALUES ('x')", readonly="0")
    assert "Code: 164" in text, (status, text)


async def test_even_the_writer_only_reads_by_get(engine: RunningClickHouse) -> None:
    async with aiohttp.ClientSession(headers=engine.writer) as http:
        query = {"query": "DROP TABLE playhead.t"}
        async with http.get(engine.url, params=query) as response:
            assert (response.status, "Code: 164" in await response.text()) == (403, True)


REFUSED = [
    f"SELECT file('{OUTSIDE}')",
    f"SELECT `fi\\x6ce`('{OUTSIDE}')",
    f"SELECT arrayMap(file, ['{OUTSIDE}'])",
    f"SELECT * APPLY(file) FROM (SELECT '{OUTSIDE}')",
    f"SELECT * FROM file('{OUTSIDE}', LineAsString)",
    f"SELECT * FROM default.`{OUTSIDE}`",
    "SELECT 1 INTO OUTFILE '{data}/../out.txt'",
    f"INSERT INTO playhead.t FROM INFILE '{OUTSIDE}' FORMAT LineAsString",
    f"INSERT INTO playhead.t SELECT * FROM file('{OUTSIDE}', LineAsString)",
    "INSERT INTO FUNCTION file('{data}/../out.txt', TSV, 'a String') SELECT 'x'",
    "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM executable('id', TSV, 'a String')",
    "SELECT * FROM Python(request)",
    "SELECT * FROM sqlite('{data}/x.db', 't')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "CREATE DICTIONARY playhead.d (id UInt64) PRIMARY KEY id"
    " SOURCE(EXECUTABLE(command 'id' format 'TSV')) LAYOUT(FLAT()) LIFETIME(1)",
    "CREATE DICTIONARY playhead.d (id UInt64) PRIMARY KEY id"
    " SOURCE(HTTP(url 'http://127.0.0.1:1/' format 'TSV')) LAYOUT(FLAT()) LIFETIME(1)",
    "CREATE TABLE playhead.f (a String) ENGINE = File(TSV)",
    "CREATE TABLE playhead.f (a String) ENGINE = URL('http://127.0.0.1:1/', TSV)",
    "ATTACH TABLE playhead.f FROM '{data}' (a String) ENGINE = Memory",
    "BACKUP TABLE playhead.t TO File('{data}/../backup')",
    "CREATE FUNCTION f AS x -> x",
    "CREATE USER mallory",
    "GRANT SELECT ON *.* TO default",
    "SYSTEM SHUTDOWN",
    "SYSTEM RELOAD CONFIG",
]


@pytest.mark.parametrize("statement", REFUSED)
@pytest.mark.parametrize("is_writer", [False, True])
async def test_statements_that_leave_the_engine_are_refused_to_all(
    engine: RunningClickHouse, statement: str, is_writer: bool
) -> None:
    text_sent = statement.replace("{data}", str(engine.home / "clickhouse" / "data"))
    status, text = await ask(engine, text_sent, engine.writer if is_writer else None)
    assert status >= 400, text
    assert "root:" not in text
    assert not (engine.home / "clickhouse" / "out.txt").exists()
    assert (await ask(engine, "SELECT 1"))[0] == 200


@needs_landlock
@pytest.mark.parametrize(
    "path",
    [OUTSIDE, "{home}/keys/clickhouse.json", "{home}/logs/clickhouse.log", "/proc/1/environ"],
)
async def test_files_stay_shut_where_the_gate_sees_nothing(
    engine: RunningClickHouse, path: str
) -> None:
    path = path.replace("{home}", str(engine.home))
    # Expressions among VALUES are not looked at with their escapes undone: the kernel has to stop this one.
    statement = rf"INSERT INTO playhead.t VALUES (`fi\x6ce`('{path}'))"
    status, text = await ask(engine, statement, engine.writer)
    assert status >= 400, text
    assert engine.writer_password not in text
    assert (await ask(engine, "SELECT count() FROM playhead.t"))[1] == "0\n"


@needs_landlock
async def test_an_external_table_is_no_way_around(engine: RunningClickHouse) -> None:
    form = aiohttp.FormData()
    form.add_field("query", "SELECT * FROM x")
    form.add_field("x", b"1", filename="x")
    structure = f"a String) ENGINE = Memory AS SELECT file('{OUTSIDE}') --"
    async with (
        aiohttp.ClientSession() as http,
        http.post(engine.url, data=form, params={"x_structure": structure}) as response,
    ):
        text = await response.text()
        assert (response.status, "Code: 497" in text) == (403, True), text


@needs_landlock
def test_the_process_is_confined_and_holds_nothing(engine: RunningClickHouse) -> None:
    assert "confined by Landlock" in engine.log()
    environment = Path(f"/proc/{engine.process.pid}/environ").read_text()
    names = {entry.partition("=")[0] for entry in environment.split("\0") if entry}
    assert names <= {
        "PYTHONPATH",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "PLAYHEAD_ENGINE_ENVIRONMENT_IS_EMPTY",
    }
    command = Path(f"/proc/{engine.process.pid}/cmdline").read_text()
    assert engine.writer_password not in command
    assert engine.writer_password not in engine.log()


@needs_landlock
def test_a_confined_process_reads_writes_and_connects_nowhere_else(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "file").write_text(SECRET)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child = os.fork()
        if child == 0:
            os._exit(_try_everything(inside, outside, listener.getsockname()[1]))
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def _try_everything(inside: Path, outside: Path, port: int) -> int:
    """In a process of its own: the number of the first thing that should not have worked; 0 if none did."""
    landlock.confine([], [inside])
    (inside / "file").write_text("x")
    attempts = [
        lambda: (outside / "file").read_text(),
        lambda: (outside / "new").write_text("x"),
        lambda: (inside / "file").rename(outside / "moved"),
        lambda: (outside / "file").unlink(),
        lambda: os.execv("/bin/true", ["true"]),
        lambda: socket.create_connection(("127.0.0.1", port), 1),
        lambda: socket.create_server(("127.0.0.1", 0)),
    ]
    for number, attempt in enumerate(attempts, 1):
        try:
            attempt()
        except PermissionError:
            continue
        return number
    return 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8123"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_pages_of_other_sites_get_nothing(
    engine: RunningClickHouse, headers: dict[str, str]
) -> None:
    status, text = await ask(engine, "SELECT 1", headers)
    assert (status, "Code: 497" in text) == (403, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-ClickHouse-User": "playhead", "X-ClickHouse-Key": "wrong"},
        {"X-ClickHouse-User": "playhead"},
        {"X-ClickHouse-User": "nobody", "X-ClickHouse-Key": ""},
        {"Authorization": "Basic cGxheWhlYWQ6d3Jvbmc="},
        {"Authorization": "Bearer x"},
    ],
)
async def test_a_wrong_password_is_refused(
    engine: RunningClickHouse, headers: dict[str, str]
) -> None:
    status, text = await ask(engine, "SELECT 1", headers)
    assert (status, "Code: 516" in text) == (403, True)


def test_the_users_file_is_for_its_owner_alone(engine: RunningClickHouse) -> None:
    keys = engine.home / "keys" / "clickhouse.json"
    assert keys.stat().st_mode & 0o777 == 0o600
