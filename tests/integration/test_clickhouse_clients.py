"""The clients that people use, against the real engine."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import secrets
from collections.abc import AsyncIterator

import aiohttp
import clickhouse_connect
import lz4.frame
import pyarrow as pa  # type: ignore[import-untyped]  # it has no stubs
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # the same
import pytest
import pytest_asyncio
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

from tests.integration.engine import RunningClickHouse, running_clickhouse


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningClickHouse]:
    async with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as running:
        await running.ask("CREATE DATABASE playhead", running.writer)
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def http(engine: RunningClickHouse) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=engine.writer) as session:
        yield session


@pytest_asyncio.fixture(loop_scope="session")
async def writer(engine: RunningClickHouse) -> AsyncIterator[AsyncClient]:
    client = await clickhouse_connect.get_async_client(
        host=engine.host,
        port=engine.port,
        username="playhead",
        password=engine.writer_password,
        database="playhead",
    )
    yield client
    await client.close()


@pytest_asyncio.fixture(loop_scope="session")
async def table(writer: AsyncClient) -> str:
    name = f"t{secrets.token_hex(4)}"
    await writer.command(
        f"CREATE TABLE {name} (id UInt64, text String) ENGINE = MergeTree ORDER BY id"
    )
    return name


async def count(writer: AsyncClient, table: str) -> int:
    result = await writer.query("SELECT count() FROM {table:Identifier}", {"table": table})
    return int(result.result_rows[0][0])


async def until_running(engine: RunningClickHouse, text: str) -> None:
    question = "SELECT count() FROM system.processes WHERE query = {text:String}"
    while (await engine.ask(question, values={"param_text": text})).text == "0\n":
        pass


async def test_the_sync_client_reads_without_a_password(engine: RunningClickHouse) -> None:
    def read() -> list[tuple[int, str]]:
        with clickhouse_connect.get_client(host=engine.host, port=engine.port) as client:
            rows = client.query(
                "SELECT {number:UInt64} + 1, {text:String}",
                parameters={"number": 41, "text": "it's\ta \\ 'text'\n"},
            ).result_rows
            return [(row[0], row[1]) for row in rows]

    assert await asyncio.to_thread(read) == [(42, "it's\ta \\ 'text'\n")]


async def test_many_queries_at_once_on_one_client(writer: AsyncClient) -> None:
    results = await asyncio.gather(*(writer.query(f"SELECT {n}") for n in range(40)))
    assert [result.result_rows[0][0] for result in results] == list(range(40))


async def test_a_long_result_streams_whole(writer: AsyncClient) -> None:
    statement = "SELECT number, toString(number) FROM numbers(400000)"
    rows = 0
    async with await writer.query_rows_stream(statement) as stream:
        async for _ in stream:
            rows += 1
    assert rows == 400_000


async def test_native_inserts_with_one_token_count_once(writer: AsyncClient, table: str) -> None:
    rows = [(n, str(n)) for n in range(5000)]
    for token in ("v1:t:0:0-4999", "v1:t:0:0-4999", "v1:t:0:5000-9999"):
        await writer.insert(
            table,
            rows,
            column_names=["id", "text"],
            settings={"insert_deduplication_token": token, "async_insert": 0},
        )
    assert await count(writer, table) == 10_000


def as_parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "text": ["a", "b"]}), sink)
    return sink.getvalue()


ROW_BINARY = (1).to_bytes(8, "little") + b"\x01a" + (2).to_bytes(8, "little") + b"\x01b"


@pytest.mark.parametrize(
    ("format_name", "data"),
    [
        ("JSONEachRow", b'{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\n'),
        ("Parquet", as_parquet()),
        ("RowBinary", ROW_BINARY),
        ("TabSeparated", b"1\ta\n2\tb\n"),
        ("Values", b"(1, 'a'), (2, 'b')"),
    ],
)
@pytest.mark.parametrize("is_statement_in_url", [True, False])
async def test_every_format_is_inserted_once_per_token(
    engine: RunningClickHouse,
    writer: AsyncClient,
    table: str,
    format_name: str,
    data: bytes,
    is_statement_in_url: bool,
) -> None:
    statement = f"INSERT INTO playhead.{table} FORMAT {format_name}"
    for _ in range(2):
        values = {"insert_deduplication_token": "once", "async_insert": "0"}
        body = data
        if is_statement_in_url:
            values["query"] = statement
        else:
            body = f"{statement}\n".encode() + data
        answer = await engine.ask(body, engine.writer, values)
        assert answer.status == 200, answer.text
        assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert await count(writer, table) == 2


async def test_a_gzip_body_of_several_members_is_stored_whole(
    engine: RunningClickHouse, writer: AsyncClient, table: str
) -> None:
    body = b"".join(gzip.compress(f"{n}\tx\n".encode()) for n in range(50))
    packed = engine.writer | {"Content-Encoding": "gzip"}
    values = {"query": f"INSERT INTO playhead.{table} FORMAT TSV"}
    answer = await engine.ask(body, packed, values)
    assert answer.status == 200, answer.text
    assert await count(writer, table) == 50


@pytest.mark.parametrize("encoding", ["gzip", "lz4"])
async def test_a_packed_body_that_ends_early_stores_nothing(
    engine: RunningClickHouse,
    writer: AsyncClient,
    table: str,
    encoding: str,
) -> None:
    pack = {"gzip": gzip.compress, "lz4": lz4.frame.compress}[encoding]
    body = pack(b"".join(b"%d\tx\n" % n for n in range(200_000)))
    for cut in (len(body) - 1, len(body) // 2, 20):
        packed = engine.writer | {"Content-Encoding": encoding}
        values = {"query": f"INSERT INTO playhead.{table} FORMAT TSV"}
        answer = await engine.ask(body[:cut], packed, values)
        assert (answer.status, answer.code) == (400, "354"), answer.text
    assert await count(writer, table) == 0


async def test_a_malformed_row_stores_nothing(
    engine: RunningClickHouse, writer: AsyncClient, table: str
) -> None:
    body = b"".join(b"%d\tx\n" % n for n in range(300_000)) + b"what\tx\n"
    values = {"query": f"INSERT INTO playhead.{table} FORMAT TSV"}
    answer = await engine.ask(body, engine.writer, values)
    assert (answer.status, answer.code) == (400, "27"), answer.text
    assert await count(writer, table) == 0


@pytest.mark.parametrize(
    ("columns", "rows", "code"),
    [
        ("id UInt64, CONSTRAINT small CHECK id < 5", b"1\n9\n", "469"),
        ("id UInt64, day Date DEFAULT id", b"".join(b"%d\n" % n for n in range(200)), "252"),
    ],
    ids=["violated constraint", "too many partitions"],
)
async def test_rows_that_cannot_be_stored_are_not_acknowledged(
    engine: RunningClickHouse, writer: AsyncClient, columns: str, rows: bytes, code: str
) -> None:
    # chDB's own call for inserts answers success here: nothing may ever be built on it.
    name = f"t{secrets.token_hex(4)}"
    await writer.command(
        f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY id PARTITION BY id % 150"
    )
    values = {"query": f"INSERT INTO {name} (id) FORMAT TSV"}
    answer = await engine.ask(rows, engine.writer, values)
    assert (answer.status >= 400, answer.code) == (True, code), answer.text
    assert await count(writer, name) == 0


async def test_a_view_that_fails_fails_the_insert(
    engine: RunningClickHouse, writer: AsyncClient, table: str
) -> None:
    view = "CREATE MATERIALIZED VIEW {t}_view ENGINE = MergeTree ORDER BY id AS"
    view += " SELECT id, throwIf(id = 7) AS failed FROM {t}"
    await writer.command(view.replace("{t}", table))
    values = {"query": f"INSERT INTO {table} FORMAT TSV"}
    assert (await engine.ask(b"7\tx\n", engine.writer, values)).code == "395"


async def test_a_body_above_the_memory_limit_goes_through_a_file(
    engine: RunningClickHouse, writer: AsyncClient, table: str
) -> None:
    body = b"".join(b"%d\t%s\n" % (n, b"x" * 100) for n in range(100_000))
    values = {"query": f"INSERT INTO playhead.{table} FORMAT TSV"}
    packed = engine.writer | {"Content-Encoding": "gzip"}
    answer = await engine.ask(gzip.compress(body, 1), packed, values)
    assert answer.status == 200, answer.text
    assert await count(writer, table) == 100_000
    assert not list((engine.home / "clickhouse" / "tmp").iterdir())


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4"])
async def test_results_are_packed_on_request(
    engine: RunningClickHouse, http: aiohttp.ClientSession, encoding: str
) -> None:
    statement = "SELECT number FROM numbers(300000) FORMAT TSV"
    headers = {"Accept-Encoding": encoding}
    raw = {"query": statement, "enable_http_compression": "1"}
    async with http.get(engine.url, params=raw, headers=headers) as response:
        assert response.headers["Content-Encoding"] == encoding
        size = int(response.headers.get("Content-Length", "0")) or 1
        if encoding in ("gzip", "deflate"):
            assert len((await response.read()).splitlines()) == 300_000
        assert size < 1_000_000


async def test_a_session_keeps_what_was_set(engine: RunningClickHouse) -> None:
    async def answer(statement: str, **values: str) -> str:
        got = await engine.ask(statement, engine.writer, {"session_id": "kept", **values})
        assert got.status == 200, got.text
        return got.text

    for statement in ("SET max_threads = 3", "CREATE TEMPORARY TABLE kept (a Int8)", "USE system"):
        await answer(statement)
    await answer("INSERT INTO kept VALUES (7)")
    question = "SELECT getSetting('max_threads'), (SELECT a FROM kept), currentDatabase()"
    assert await answer(question) == "3\t7\tsystem\n"
    assert await answer(question, max_threads="2") == "2\t7\tsystem\n"
    assert await answer(question) == "3\t7\tsystem\n"


async def test_a_session_that_must_exist_does(engine: RunningClickHouse) -> None:
    answer = await engine.ask("SELECT 1", values={"session_id": "new", "session_check": "1"})
    assert (answer.status, answer.code) == (404, "372")


async def test_a_session_serves_one_request_at_a_time(engine: RunningClickHouse) -> None:
    session = {"session_id": "one"}
    slow = asyncio.create_task(engine.ask("SELECT sleep(1.5)", values=session))
    await until_running(engine, "SELECT sleep(1.5)")
    assert (await engine.ask("SELECT 1", values=session)).code == "373"
    assert (await slow).status == 200
    assert (await engine.ask("SELECT 1", values=session)).status == 200


async def test_external_data_joins_a_query(engine: RunningClickHouse, writer: AsyncClient) -> None:
    external = ExternalData(data=b"1\n5\n", file_name="ids", fmt="TSV", structure="id UInt64")
    result = await writer.query(
        "SELECT sum(number) FROM numbers(10) WHERE number IN (SELECT id FROM ids)",
        external_data=external,
    )
    assert result.result_rows == [(6,)]


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELEC 1", 400, 62),
        ("SELECT * FROM playhead.nothing", 404, 60),
        ("SELECT nothing", 404, 47),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1; SELECT 2", 400, 62),
        ("", 400, 62),
        ("SELECT 1 FORMAT Nothing", 404, 73),
    ],
)
async def test_errors_carry_clickhouses_code_and_status(
    engine: RunningClickHouse, statement: str, status: int, code: int
) -> None:
    answer = await engine.ask(statement)
    assert (answer.status, answer.code) == (status, str(code)), answer.text
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")


async def test_a_result_that_breaks_off_says_so(
    engine: RunningClickHouse, writer: AsyncClient
) -> None:
    statement = "SELECT throwIf(number = 2000000), repeat('x', 20) FROM numbers(3000000) FORMAT TSV"
    answer = await engine.ask(statement)
    assert answer.status == 200
    tag = answer.headers["X-ClickHouse-Exception-Tag"]
    assert f"__exception__\r\n{tag}\r\nCode: 395" in answer.text
    with pytest.raises(DatabaseError, match="395"):
        await writer.query("SELECT throwIf(number = 2000000), number FROM numbers(3000000)")


async def test_the_formats_of_results(
    engine: RunningClickHouse, http: aiohttp.ClientSession
) -> None:
    answer = await engine.ask("SELECT 1 AS a FORMAT JSONEachRow")
    assert (answer.status, answer.text) == (200, '{"a":1}\n')
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
    answer = await engine.ask("SELECT 1 AS a", values={"default_format": "JSON"})
    assert json.loads(answer.text)["data"] == [{"a": 1}]
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["result_rows"] == "1"
    async with http.get(engine.url, params={"query": "SELECT 1 AS a FORMAT Parquet"}) as response:
        assert pq.read_table(io.BytesIO(await response.read())).to_pylist() == [{"a": 1}]


async def test_a_query_id_is_given_back_and_used_once(engine: RunningClickHouse) -> None:
    mine = {"query_id": "mine"}
    slow = asyncio.create_task(engine.ask("SELECT sleep(1.25)", values=mine))
    await until_running(engine, "SELECT sleep(1.25)")
    assert (await engine.ask("SELECT 1", values=mine)).code == "216"
    assert (await slow).headers["X-ClickHouse-Query-Id"] == "mine"


async def test_a_request_without_a_database_looks_in_the_projects(
    engine: RunningClickHouse,
) -> None:
    assert (await engine.ask("SELECT currentDatabase()")).text == "playhead\n"


@pytest.mark.parametrize("rows", [1, 3_000_000])
async def test_head_has_no_body_however_long_the_result(
    engine: RunningClickHouse, http: aiohttp.ClientSession, rows: int
) -> None:
    query = {"query": "SELECT number FROM numbers({rows:UInt32})", "param_rows": str(rows)}
    async with http.head(engine.url, params=query) as response:
        assert (response.status, await response.read()) == (200, b"")
    async with http.get(engine.url, params={"query": "SELECT 1"}) as response:
        assert await response.text() == "1\n"


async def test_ping_and_health(engine: RunningClickHouse) -> None:
    async with aiohttp.ClientSession() as http:
        for path in ("ping", "health", "replicas_status"):
            async with http.get(engine.url + path) as response:
                assert (response.status, await response.text()) == (200, "Ok.\n")
        async with http.get(engine.url + "nothing") as response:
            assert response.status == 404
