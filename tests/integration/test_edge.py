"""A real edge process between players and a gateway."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from moto.server import ThreadedMotoServer

from infra.content.storage import Storage
from schemas.delivery import EdgeDecision
from tests.builders import SESSION_ID
from tests.integration.edges import Edge, SmallGateway, running_edge, until

SEGMENT_BYTES = 200_000
SEGMENT = os.urandom(SEGMENT_BYTES)
PATH = "/ember/r1/v240/1.m4s"


@pytest.fixture
async def gateway() -> AsyncIterator[SmallGateway]:
    small = SmallGateway()
    await small.start()
    yield small
    await small.stop()


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    Storage(f"file://{folder}").write(PATH.removeprefix("/"), SEGMENT)
    (folder / "ember" / "made.json").write_text("{}")
    (tmp_path / "secret.mp4").write_text("outside")
    return folder


@pytest.fixture
async def edge(tmp_path: Path, content: Path, gateway: SmallGateway) -> AsyncIterator[Edge]:
    async with running_edge(tmp_path, storage=f"file://{content}", gateway=gateway.url) as running:
        yield running


@pytest.fixture
async def player() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def put(player: aiohttp.ClientSession, edge: Edge, what: str, body: dict[str, Any]) -> int:
    async with player.put(f"{edge.url}/_edge/{what}", json=body) as answer:
        return answer.status


async def timed_download_s(player: aiohttp.ClientSession, edge: Edge) -> float:
    started_s = time.monotonic()
    async with player.get(edge.url + PATH) as answer:
        assert await answer.read() == SEGMENT
    return time.monotonic() - started_s


async def raw_status(edge: Edge, target: str) -> int:
    """Sends the target as it is, without a client that would tidy it."""
    host, port = edge.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


async def test_an_object_is_whole_immutable_and_readable_from_any_page(
    edge: Edge, player: aiohttp.ClientSession
) -> None:
    headers = {"Origin": "http://127.0.0.1:8080"}
    async with player.get(edge.url + PATH, headers=headers) as answer:
        assert await answer.read() == SEGMENT
        assert answer.headers["Content-Type"] == "video/iso.segment"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:8080"
        assert "CMSD-Dynamic" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Timing-Allow-Origin"] == "*"
        assert "CMSD-Dynamic" not in answer.headers
    async with player.head(edge.url + PATH) as answer:
        assert answer.headers["Content-Length"] == str(SEGMENT_BYTES)


async def test_a_preflight_allows_what_players_send(
    edge: Edge, player: aiohttp.ClientSession
) -> None:
    async with player.options(edge.url + PATH, headers={"Origin": "http://x.test"}) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Max-Age"] == "7200"
        allowed = answer.headers["Access-Control-Allow-Headers"]
        for name in ("range", "cmcd-request", "cmcd-session", "cta-common-access-token"):
            assert name in allowed


async def test_ranges_are_served_singly(edge: Edge, player: aiohttp.ClientSession) -> None:
    wanted = {
        "bytes=0-9": (206, SEGMENT[:10]),
        "bytes=199990-": (206, SEGMENT[-10:]),
        "bytes=-5": (206, SEGMENT[-5:]),
        "bytes=0-9,20-29": (200, SEGMENT),
        "bytes=200000-": (416, b""),
    }
    for asked, (status, body) in wanted.items():
        async with player.get(edge.url + PATH, headers={"Range": asked}) as answer:
            assert (answer.status, await answer.read()) == (status, body), asked
            if status == 416:
                assert answer.headers["Content-Range"] == f"bytes */{SEGMENT_BYTES}"


async def test_nothing_but_media_below_the_titles_is_found(edge: Edge) -> None:
    targets = (
        "/ember/../secret.mp4",
        "/../secret.mp4",
        "/ember/%2e%2e/%2e%2e/secret.mp4",
        "/ember/..%2f..%2fsecret.mp4",
        "/ember/%252e%252e/secret.mp4",
        "/ember/..%5csecret.mp4",
        "/%2e%2e/secret.mp4",
        "//secret.mp4",
        "/ember/r1/v240/1.m4s%00.mp4",
        "/ember/made.json",
        "/ember/r1",
        "/ember/r1/v240/2.m4s",
    )
    found = {target: await raw_status(edge, target) for target in targets}
    assert found == dict.fromkeys(targets, 404)


async def test_a_ceiling_reaches_its_session_alone_and_can_be_lifted(
    edge: Edge, player: aiohttp.ClientSession, gateway: SmallGateway
) -> None:
    async def told(session_id: str) -> str | None:
        async with player.get(f"{edge.url}{PATH}?sid={session_id}") as answer:
            return answer.headers.get("CMSD-Dynamic")

    async def is_told(header: str | None) -> bool:
        return await told(SESSION_ID) == header

    await gateway.say(b'not json\n\n{"session_id": 7}\n')  # Skipped; the stream goes on.
    await gateway.decide(EdgeDecision(session_id=SESSION_ID, ceiling_kbps=800))
    await until(lambda: is_told('"edge-alpha";mb=800'))
    assert await told(SESSION_ID[:-1] + "2") is None
    await gateway.decide(EdgeDecision(session_id=SESSION_ID))
    await until(lambda: is_told(None))


async def test_a_refused_session_gets_403_within_five_seconds(
    edge: Edge, player: aiohttp.ClientSession, gateway: SmallGateway
) -> None:
    async def is_answered(status: int) -> bool:
        async with player.get(f"{edge.url}{PATH}?sid={SESSION_ID}") as answer:
            return answer.status == status

    assert await is_answered(200)
    await gateway.decide(EdgeDecision(session_id=SESSION_ID, is_refused=True))
    await until(lambda: is_answered(403), timeout_s=5)


async def test_what_was_served_is_told_to_the_gateway_with_the_players_own_words(
    edge: Edge, player: aiohttp.ClientSession, gateway: SmallGateway
) -> None:
    cmcd = 'bl=4200,br=900,sid="x",v=2'
    url = f"{edge.url}{PATH}?sid={SESSION_ID}"
    async with player.get(f"{url}&CMCD={quote(cmcd)}") as answer:
        await answer.read()
    async with player.get(url, headers={"CMCD-Object": "br=500", "Range": "bytes=0-9"}) as answer:
        await answer.read()
    async with player.get(edge.url + PATH) as answer:  # Of no session: nobody's log.
        await answer.read()
    await until(lambda: len(gateway.logs) >= 2)
    first, second = gateway.logs
    assert (first.session_id, first.edge, first.path) == (SESSION_ID, "alpha", PATH)
    assert (first.status, first.bytes_sent, first.cmcd) == (200, SEGMENT_BYTES, cmcd)
    assert (second.status, second.bytes_sent, second.cmcd) == (206, 10, "br=500")
    assert (first.sequence, second.sequence) == (1, 2)
    assert first.source == second.source
    assert abs(first.at_ms - time.time() * 1000) < 60_000


async def test_an_edge_serves_and_remembers_while_the_gateway_is_away(
    edge: Edge, player: aiohttp.ClientSession, gateway: SmallGateway
) -> None:
    await gateway.decide(EdgeDecision(session_id=SESSION_ID, ceiling_kbps=900))
    await gateway.stop()
    for _ in range(20):
        async with player.get(f"{edge.url}{PATH}?sid={SESSION_ID}") as answer:
            assert await answer.read() == SEGMENT
            assert answer.headers["CMSD-Dynamic"] == '"edge-alpha";mb=900'
    await gateway.start()
    await until(lambda: len(gateway.logs) >= 20 and bool(gateway.followers))
    assert [line.sequence for line in gateway.logs] == list(range(1, 21))


async def test_logs_that_were_not_taken_are_sent_again_and_bad_ones_are_not(
    edge: Edge, player: aiohttp.ClientSession, gateway: SmallGateway
) -> None:
    gateway.answer_logs_with = 503
    async with player.get(f"{edge.url}{PATH}?sid={SESSION_ID}") as answer:
        await answer.read()
    await until(lambda: gateway.posted.count(503) >= 2)
    gateway.answer_logs_with = 202
    await until(lambda: len(gateway.logs) == 1)
    gateway.answer_logs_with = 400
    async with player.get(f"{edge.url}{PATH}?sid={SESSION_ID}") as answer:
        await answer.read()
    await until(lambda: 400 in gateway.posted)
    async with player.get(f"{edge.url}/metrics") as answer:
        text = await answer.text()
    assert 'playhead_edge_log_lines_total{outcome="stored"} 1.0' in text
    gateway.answer_logs_with = 202
    async with player.get(f"{edge.url}{PATH}?sid={SESSION_ID}") as answer:
        await answer.read()
    await until(lambda: len(gateway.logs) == 2)
    assert [line.sequence for line in gateway.logs] == [1, 3]


async def test_a_throttle_is_one_link_for_all_and_keeps_its_rate(
    edge: Edge, player: aiohttp.ClientSession
) -> None:
    assert await put(player, edge, "throttle", {"kbps": 1600}) == 200
    alone_s = await timed_download_s(player, edge)
    assert 0.85 < alone_s < 1.3  # 200 kB at 1600 kbit/s take one second.
    started_s = time.monotonic()
    await asyncio.gather(*(timed_download_s(player, edge) for _ in range(2)))
    assert 1.8 < time.monotonic() - started_s < 2.6
    assert await put(player, edge, "throttle", {"kbps": None}) == 200
    assert await timed_download_s(player, edge) < 0.5


async def test_lifting_a_throttle_frees_a_download_under_way(
    edge: Edge, player: aiohttp.ClientSession
) -> None:
    await put(player, edge, "throttle", {"kbps": 64})  # It would take 25 seconds.
    async with player.get(edge.url + PATH) as answer:
        begun = await answer.content.readexactly(1000)
        await put(player, edge, "throttle", {"kbps": None})
        rest = await asyncio.wait_for(answer.read(), 10)
    assert begun + rest == SEGMENT


async def test_a_session_has_a_link_of_its_own(edge: Edge, player: aiohttp.ClientSession) -> None:
    link = f"links/{SESSION_ID}"
    recording = {"rates": [[0.5, 1600], [1.0, 0], [60, 1600]], "round_trip_ms": 100}
    assert await put(player, edge, link, recording) == 200
    started_s = time.monotonic()
    async with player.get(f"{edge.url}{PATH}?sid={SESSION_ID}") as answer:
        assert await answer.read() == SEGMENT
    # 200 kB take a second, half a second in which nothing flows, and a tenth before it begins;
    # what flows begins with the request, so the tenth is the recording's too.
    assert 1.4 < time.monotonic() - started_s < 2.1
    assert await timed_download_s(player, edge) < 0.5
    async with player.get(f"{edge.url}/_edge/{link}") as answer:
        assert (await answer.json())["carried_bytes"] == SEGMENT_BYTES
    assert await put(player, edge, link, {"rates": []}) == 200
    async with player.get(f"{edge.url}/_edge/{link}") as answer:
        assert answer.status == 404
    assert await put(player, edge, link, {"rates": [[2, 10], [1, 10]]}) == 400


async def test_a_broken_edge_says_so_with_cors_and_can_be_mended(
    edge: Edge, player: aiohttp.ClientSession
) -> None:
    assert await put(player, edge, "fault", {"status": 503}) == 200
    async with player.get(edge.url + PATH, headers={"Origin": "http://x.test"}) as answer:
        assert answer.status == 503
        assert answer.headers["Access-Control-Allow-Origin"] == "http://x.test"
        assert answer.headers["Cache-Control"] == "no-store"
    await put(player, edge, "fault", {"drop": True})
    with pytest.raises(aiohttp.ClientError):
        await player.get(edge.url + PATH)
    async with player.get(f"{edge.url}/livez") as answer:
        assert answer.status == 200
    await put(player, edge, "fault", {"status": None})
    assert await timed_download_s(player, edge) < 2


async def test_a_switch_refuses_what_it_does_not_know(
    edge: Edge, player: aiohttp.ClientSession
) -> None:
    for kbps in (-5, 0, "fast"):
        assert await put(player, edge, "throttle", {"kbps": kbps}) == 400
    assert await put(player, edge, "throttle", {}) == 400
    for fault in ({"status": 200}, {"stat": 503}, {"drop": "yes"}):
        assert await put(player, edge, "fault", fault) == 400


async def test_the_switches_are_deaf_to_foreign_pages(
    edge: Edge, player: aiohttp.ClientSession
) -> None:
    url = f"{edge.url}/_edge/fault"
    for headers in ({"Origin": "https://evil.example"}, {"Host": "rebound.example"}):
        async with player.put(url, json={"status": 503}, headers=headers) as answer:
            assert answer.status == 403
    async with player.get(edge.url + PATH) as answer:
        assert answer.status == 200


async def test_a_stopped_edge_sends_its_last_logs(
    edge: Edge, player: aiohttp.ClientSession, gateway: SmallGateway
) -> None:
    await until(lambda: bool(gateway.followers))
    async with player.get(f"{edge.url}{PATH}?sid={SESSION_ID}") as answer:
        await answer.read()
    assert await edge.end() == 0
    assert [line.bytes_sent for line in gateway.logs] == [SEGMENT_BYTES]


async def test_titles_in_s3_are_served_alike(
    tmp_path: Path, player: aiohttp.ClientSession, gateway: SmallGateway
) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"key": "test", "secret": "test", "endpoint_url": f"http://{host}:{port}"}
    environment = {f"FSSPEC_S3_{name.upper()}": value for name, value in options.items()}
    environment["AWS_MAX_ATTEMPTS"] = "1"
    big = os.urandom(5_000_000)  # Past what the edge keeps in memory.
    storage = Storage("s3://edge-titles", options)
    await asyncio.to_thread(storage.write, PATH.removeprefix("/"), SEGMENT)
    await asyncio.to_thread(storage.write, "ember/r1/big.mp4", big)
    async with running_edge(
        tmp_path, storage="s3://edge-titles", gateway=gateway.url, environment=environment
    ) as edge:
        await timed_download_s(player, edge)
        async with player.get(f"{edge.url}/ember/r1/big.mp4") as answer:
            assert await answer.read() == big
        wanted = {"Range": "bytes=1048570-3145730"}
        async with player.get(f"{edge.url}/ember/r1/big.mp4", headers=wanted) as answer:
            assert await answer.read() == big[1048570:3145731]
        async with player.get(f"{edge.url}/ember/r1/v240/9.m4s") as answer:
            assert answer.status == 404
        server.stop()
        await timed_download_s(player, edge)  # From memory: storage is away.
        async with player.get(f"{edge.url}/ember/r1/v240/9.m4s") as answer:
            assert answer.status == 502
