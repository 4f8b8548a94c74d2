"""What happens when clients are slow or many, when the disk is full, and when the process dies."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from infra.clickhouse.launch import plan_launch
from infra.clickhouse.limits import Limits
from tests.integration.engine import RunningClickHouse, running_clickhouse, start_clickhouse

LIMITS = Limits(
    body_idle_seconds_max=1,
    body_bytes_max=4 << 20,
    inflated_bytes_max=8 << 20,
    statement_bytes_max=1 << 20,
    write_stall_seconds_max=1,
    query_seconds_max=4,
)
LONG = "SELECT number, repeat('x', 100) FROM numbers(100000000) FORMAT TSV"
HANGING = "SELECT sum(sleepEachRow(1)) FROM numbers(60) SETTINGS max_block_size = 1 FORMAT JSON"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningClickHouse]:
    async with running_clickhouse(tmp_path_factory.mktemp("clickhouse"), LIMITS) as running:
        await prepare(running)
        yield running


async def prepare(engine: RunningClickHouse) -> None:
    for statement in (
        "CREATE DATABASE IF NOT EXISTS playhead",
        "CREATE TABLE IF NOT EXISTS playhead.t (a UInt64) ENGINE = MergeTree ORDER BY a",
    ):
        answer = await engine.ask(statement, engine.writer)
        assert answer.status == 200, answer.text


class RawClient:
    """A connection that does only what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, engine: RunningClickHouse, sent: bytes) -> RawClient:
        raw = socket.socket()
        # A small buffer, so that what is not read stands at the server.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, (engine.host, engine.port))
        client = cls(*await asyncio.open_connection(sock=raw, limit=1024))
        client._writer.write(sent)
        await client._writer.drain()
        return client

    async def all(self) -> bytes:
        try:
            return await self._reader.read()
        except ConnectionError:
            return b""

    def close(self) -> None:
        self._writer.close()


def post(engine: RunningClickHouse, body: bytes, length: int, user: dict[str, str]) -> bytes:
    headers = {"Host": engine.host, "Content-Length": str(length), **user}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body


async def test_slow_clients_starve_nobody(engine: RunningClickHouse) -> None:
    half_an_insert = post(engine, b"INSERT INTO playhead.t FORMAT TSV\n1\n", 10_000, engine.writer)
    half_a_query = post(engine, b"SELECT", 10_000, {})
    never_read = post(engine, LONG.encode(), len(LONG), {})
    slow = [
        await RawClient.open(engine, sent)
        for sent in (half_an_insert, half_a_query, never_read)
        for _ in range(12)
    ]
    started_at = time.monotonic()
    answers = await asyncio.gather(
        *(engine.ask("SELECT 1") for _ in range(6)),
        *(engine.ask("INSERT INTO playhead.t VALUES (1)", engine.writer) for _ in range(6)),
    )
    assert [answer.status for answer in answers] == [200] * 12
    assert time.monotonic() - started_at < LIMITS.query_seconds_max
    # And each of the slow ones is told, or cut off, when its deadline has passed.
    endings = await asyncio.wait_for(asyncio.gather(*(client.all() for client in slow[:24])), 30)
    assert all(b" 408 " in ending for ending in endings)
    for client in slow:
        client.close()


async def running_count(engine: RunningClickHouse, text: str) -> int:
    question = "SELECT count() FROM system.processes WHERE query = {text:String}"
    return int((await engine.ask(question, values={"param_text": text})).text)


async def until(engine: RunningClickHouse, text: str, is_running: bool) -> None:
    async with asyncio.timeout(30):
        while (await running_count(engine, text) > 0) != is_running:
            pass


async def test_a_reader_that_stalls_is_cut_off_and_its_query_ends(
    engine: RunningClickHouse,
) -> None:
    statement = LONG + " -- stalls"
    client = await RawClient.open(engine, post(engine, statement.encode(), len(statement), {}))
    await until(engine, statement, is_running=True)
    await until(engine, statement, is_running=False)
    client.close()


async def test_a_query_ends_with_its_client(engine: RunningClickHouse) -> None:
    statement = HANGING + " -- leaves"
    client = await RawClient.open(engine, post(engine, statement.encode(), len(statement), {}))
    await until(engine, statement, is_running=True)
    client.close()
    await until(engine, statement, is_running=False)


async def test_a_query_without_a_result_has_a_deadline(engine: RunningClickHouse) -> None:
    started_at = time.monotonic()
    answer = await engine.ask(HANGING)
    assert (answer.status, answer.code) == (408, "159"), answer.text
    assert time.monotonic() - started_at < 2 * LIMITS.query_seconds_max


async def test_a_client_gone_in_the_middle_of_an_insert_leaves_nothing(
    engine: RunningClickHouse,
) -> None:
    before = (await engine.ask("SELECT count() FROM playhead.t")).text
    rows = b"".join(b"%d\n" % n for n in range(300_000))
    body = b"INSERT INTO playhead.t FORMAT TSV\n" + rows
    client = await RawClient.open(engine, post(engine, body, len(body) + 10, engine.writer))
    client.close()
    assert (await engine.ask("SELECT count() FROM playhead.t")).text == before


async def test_bodies_have_limits(engine: RunningClickHouse) -> None:
    insert = {"query": "INSERT INTO playhead.t FORMAT TSV"}
    answer = await engine.ask(b"1\n" * (5 << 19), engine.writer, insert)
    assert (answer.status, answer.code) == (413, "223"), answer.text
    bomb = zlib.compress(b"1\n" * (20 << 20))
    packed = engine.writer | {"Content-Encoding": "deflate"}
    answer = await engine.ask(bomb, packed, insert)
    assert (answer.status, answer.code) == (413, "223"), answer.text
    answer = await engine.ask("SELECT 1" + " " * (2 << 20))
    assert (answer.status, answer.code) == (413, "223"), answer.text


async def test_silent_connections_are_counted_and_closed(tmp_path: Path) -> None:
    limits = Limits(connection_count_max=8, first_request_seconds_max=6)
    async with running_clickhouse(tmp_path, limits) as engine:
        silent = await asyncio.gather(*(RawClient.open(engine, b"") for _ in range(8)))
        request = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        async with asyncio.timeout(30):
            # The question whether the engine is ready may have had a place, and left it since.
            while b" 503 " not in await (await RawClient.open(engine, request)).all():
                silent.append(await RawClient.open(engine, b""))
        endings = await asyncio.wait_for(asyncio.gather(*(client.all() for client in silent)), 30)
        assert endings.count(b"") >= 7
        assert (await engine.ask("SELECT 1")).status == 200


async def test_a_full_disk_is_told_to_who_fills_it(tmp_path: Path) -> None:
    limits = Limits(disk_reserve_bytes=1 << 60)
    async with running_clickhouse(tmp_path, limits) as engine:
        await prepare(engine)
        for statement in (
            "INSERT INTO playhead.t VALUES (1)",
            "INSERT INTO playhead.t FORMAT TSV\n1\n",
        ):
            answer = await engine.ask(statement, engine.writer)
            assert (answer.status, answer.code) == (507, "243"), answer.text
        assert (await engine.ask("SELECT count() FROM playhead.t")).text == "0\n"


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    acknowledged = 0
    for round_number in range(3):
        engine = await start_clickhouse(tmp_path)
        await prepare(engine)
        stored = int((await engine.ask("SELECT uniqExact(a) FROM playhead.t")).text)
        assert acknowledged <= stored <= acknowledged + 1000
        acknowledged = stored
        killer = asyncio.get_running_loop().call_later(0.4 + round_number / 10, engine.process.kill)
        try:
            while True:
                first = acknowledged
                rows = "".join(f"{first + n}\n" for n in range(1000))
                statement = f"INSERT INTO playhead.t FORMAT TSV\n{rows}"
                token = f"v1:t:0:{first}-{first + 999}"
                values = {"insert_deduplication_token": token}
                answer = await engine.ask(statement, engine.writer, values)
                assert answer.status == 200, answer.text
                acknowledged += 1000
        except aiohttp.ClientError:
            killer.cancel()
        assert await engine.process.wait() == -signal.SIGKILL
    assert acknowledged > 0


async def test_it_stops_at_once_whatever_runs(tmp_path: Path) -> None:
    engine = await start_clickhouse(tmp_path)
    busy = [asyncio.create_task(engine.ask(HANGING)) for _ in range(4)]
    readers = [
        await RawClient.open(engine, post(engine, LONG.encode(), len(LONG), {})) for _ in range(4)
    ]
    while int((await engine.ask("SELECT count() FROM system.processes")).text) < 9:
        pass
    started_at = time.monotonic()
    assert await engine.stop() == 0
    # Alone on the machine it takes 0.7 s at most; among other tests it has to wait for a core.
    assert time.monotonic() - started_at < 4
    await asyncio.gather(*busy, return_exceptions=True)
    for client in readers:
        client.close()


async def test_a_second_process_on_the_same_data_says_why_it_cannot_start(tmp_path: Path) -> None:
    async with running_clickhouse(tmp_path) as engine:
        launch = plan_launch(tmp_path, 0, database="playhead")
        second = await asyncio.create_subprocess_exec(
            *launch.argv, env=launch.env, stderr=asyncio.subprocess.PIPE
        )
        _, said = await asyncio.wait_for(second.communicate(), 60)
        assert second.returncode == 1
        assert b"cannot start: another process serves" in said
        assert (await engine.ask("SELECT 1")).status == 200


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["VmRSS"].split()[0]) << 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc: nothing to measure")
async def test_an_idle_engine_is_small(tmp_path: Path) -> None:
    async with running_clickhouse(tmp_path) as engine:
        assert resident_bytes(engine.process.pid) < 400 << 20
