"""What nobody can do with the engine, and what only the writer can."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from infra.clickhouse import landlock
from tests.integration.engine import RunningClickHouse, running_clickhouse

SECRET = "a-secret-outside-of-the-data"

needs_landlock = pytest.mark.skipif(
    landlock.abi_version() == 0, reason="this kernel has no Landlock: only the gate protects here"
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningClickHouse]:
    async with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as running:
        for statement in (
            "CREATE DATABASE playhead",
            "CREATE TABLE playhead.t (a String) ENGINE = MergeTree ORDER BY a",
        ):
            answer = await running.ask(statement, running.writer)
            assert answer.status == 200, answer.text
        yield running


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
    await engine.ask("SET max_threads = 1", values=session)
    answer = await engine.ask(statement, values=session)
    assert (answer.status, answer.code) == (403, "164"), answer.text
    assert (await engine.ask("SELECT count() FROM playhead.t")).text == "0\n"


@pytest.mark.parametrize("statement", ["SET readonly = 0", "SELECT 1 SETTINGS readonly = 0"])
@pytest.mark.parametrize("session", [{}, {"session_id": "escape"}])
async def test_the_default_user_cannot_leave_its_mode(
    engine: RunningClickHouse, statement: str, session: dict[str, str]
) -> None:
    assert (await engine.ask(statement, values=session)).code == "164"
    values = session | {"readonly": "0"}
    answer = await engine.ask("INSERT INTO playhead.t VALUES ('x')", values=values)
    assert answer.code == "164"


async def test_even_the_writer_only_reads_by_get(engine: RunningClickHouse) -> None:
    async with aiohttp.ClientSession(headers=engine.writer) as http:
        query = {"query": "DROP TABLE playhead.t"}
        async with http.get(engine.url, params=query) as response:
            assert (response.status, "Code: 164" in await response.text()) == (403, True)


DICTIONARY = """
    CREATE DICTIONARY playhead.d (id UInt64) PRIMARY KEY id
    SOURCE({source}) LAYOUT(FLAT()) LIFETIME(1)
"""
REFUSED = [
    "SELECT file('/etc/passwd')",
    "SELECT `fi\\x6ce`('/etc/passwd')",
    "SELECT arrayMap(file, ['/etc/passwd'])",
    "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
    "SELECT * FROM file('/etc/passwd', LineAsString)",
    "SELECT * FROM default.`/etc/passwd`",
    "SELECT 1 INTO OUTFILE '{data}/../out.txt'",
    "INSERT INTO playhead.t FROM INFILE '/etc/passwd' FORMAT LineAsString",
    "INSERT INTO playhead.t SELECT * FROM file('/etc/passwd', LineAsString)",
    "INSERT INTO FUNCTION file('{data}/../out.txt', TSV, 'a String') SELECT 'x'",
    "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM executable('id', TSV, 'a String')",
    "SELECT * FROM Python(request)",
    "SELECT * FROM sqlite('{data}/x.db', 't')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    DICTIONARY.replace("{source}", "EXECUTABLE(command 'id' format 'TSV')"),
    DICTIONARY.replace("{source}", "HTTP(url 'http://127.0.0.1:1/' format 'TSV')"),
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
    answer = await engine.ask(text_sent, engine.writer if is_writer else None)
    assert answer.status >= 400, answer.text
    assert "root:" not in answer.text
    assert not list(engine.home.rglob("out.txt"))
    assert (await engine.ask("SELECT 1")).status == 200


@needs_landlock
@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "{home}/keys/clickhouse.json", "{home}/logs/clickhouse.log", "/proc/1/environ"],
)
async def test_files_stay_shut_where_the_gate_sees_nothing(
    engine: RunningClickHouse, path: str
) -> None:
    path = path.replace("{home}", str(engine.home))
    # Among VALUES, escapes are not undone before the gate looks: the kernel has to stop this.
    statement = r"INSERT INTO playhead.t VALUES (`fi\x6ce`('{path}'))".replace("{path}", path)
    answer = await engine.ask(statement, engine.writer)
    assert answer.status >= 400, answer.text
    assert engine.writer_password not in answer.text
    assert (await engine.ask("SELECT count() FROM playhead.t")).text == "0\n"


@needs_landlock
async def test_an_external_table_is_no_way_around(engine: RunningClickHouse) -> None:
    form = aiohttp.FormData()
    form.add_field("query", "SELECT * FROM x")
    form.add_field("x", b"1", filename="x")
    structure = "a String) ENGINE = Memory AS SELECT file('/etc/passwd') --"
    answer = await engine.ask(form, values={"x_structure": structure})
    assert (answer.status, answer.code) == (403, "497"), answer.text


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
    """In a process of its own: the number of the first thing that worked; 0 if none did."""
    landlock.confine([], [inside])
    (inside / "file").write_text("x")
    attempts: list[Callable[[], object]] = [
        (outside / "file").read_text,
        lambda: (outside / "new").write_text("x"),
        lambda: (inside / "file").rename(outside / "moved"),
        (outside / "file").unlink,
        lambda: os.execv("/bin/true", ["true"]),  # noqa: S606  # it must fail
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
    answer = await engine.ask("SELECT 1", headers)
    assert (answer.status, answer.code) == (403, "497")


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
    answer = await engine.ask("SELECT 1", headers)
    assert (answer.status, answer.code) == (403, "516")


def test_the_users_file_is_for_its_owner_alone(engine: RunningClickHouse) -> None:
    keys = engine.home / "keys" / "clickhouse.json"
    assert keys.stat().st_mode & 0o777 == 0o600
