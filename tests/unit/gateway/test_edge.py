from __future__ import annotations

import json
from typing import Any

import aiohttp
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge import read_logs
from schemas.events import Bandwidth
from schemas.sessions import SessionControl
from streams.topics import PLAYBACK_BANDWIDTH
from tests.gateway_fakes import NOW_MS, World
from tests.unit.gateway.opened import a_bitrate
from tests.unit.gateway.wire_events import bearer

SESSION_ID = "01930000-0000-7000-8000-000000000001"


def a_log(**changes: Any) -> dict[str, Any]:
    return {
        "session_id": SESSION_ID,
        "edge": "alpha",
        "source": "edge-alpha-1",
        "sequence": 7,
        "at_ms": NOW_MS,
        "path": "/tears/v480/1.m4s?sid=x",
        "status": 200,
        "bytes_sent": 500_000,
        "duration_ms": 250,
        "cmcd": "bl=3200,br=1000,mtp=25400,ot=v",
        **changes,
    }


def _lines(*logs: Any) -> bytes:
    return b"\n".join(json.dumps(log).encode() for log in logs) + b"\n"


def test_a_log_line_is_a_measurement_of_its_session() -> None:
    (event,), refused = read_logs(_lines(a_log()))
    assert not refused
    assert isinstance(event, Bandwidth)
    assert (event.session_id, event.source, event.sequence) == (SESSION_ID, "edge-alpha-1", 7)
    assert (event.cdn, event.status, event.object_bytes, event.transfer_ms) == (
        "alpha",
        200,
        500_000,
        250,
    )
    assert (event.measured_throughput_kbps, event.buffer_length_ms, event.bitrate_kbps) == (
        25_400,
        3_200,
        1_000,
    )


def test_the_same_line_is_the_same_event() -> None:
    assert read_logs(_lines(a_log())) == read_logs(_lines(a_log()))


@given(
    changes=st.dictionaries(
        st.sampled_from(sorted(a_log())),
        st.one_of(st.none(), st.integers(), st.text(max_size=40), st.floats(allow_nan=False)),
        max_size=3,
    )
)
def test_any_line_is_an_event_or_refused(changes: dict[str, Any]) -> None:
    events, refused = read_logs(_lines(a_log(**changes)))
    assert len(events) + len(refused) == 1


@given(body=st.binary(max_size=300))
def test_any_bytes_are_read(body: bytes) -> None:
    read_logs(body)


async def test_edges_post_logs_and_nobody_else(world: World, client: aiohttp.ClientSession) -> None:
    body = _lines(a_log(), a_log(sequence=8, status="x"))
    path = "/v1/edge/logs"
    async with client.post(path, data=body, headers=bearer(world.admin_token("edge"))) as answer:
        assert answer.status == 207
        assert (await answer.json())["accepted"] == 1
    (event,) = world.publisher.values(PLAYBACK_BANDWIDTH)
    assert (event.stamp.via, event.stamp.account_id) == ("edge", "")
    async with client.post(path, data=b"", headers=bearer(world.admin_token("edge"))) as answer:
        assert (answer.status, await answer.json()) == (202, {"accepted": 0})
    for token, status in ((world.admin_token("ingest"), 403), (world.session_token(), 401)):
        async with client.post(path, data=body, headers=bearer(token)) as answer:
            assert answer.status == status


async def test_an_edge_hears_what_is_decided_and_every_change(
    world: World, client: aiohttp.ClientSession
) -> None:
    world.bitrates.put("one", a_bitrate("one", 900))
    old = SessionControl(session_id="old", is_refused=True, reason="", at_ms=1)
    world.controls.put("old", old)
    headers = bearer(world.admin_token("edge"))
    async with client.get("/v1/edge/decisions", headers=headers) as stream:
        assert stream.content_type == "application/x-ndjson"

        async def next_line() -> Any:
            while not (line := (await stream.content.readline()).strip()):
                pass
            return json.loads(line)

        assert await next_line() == {"session_id": "one", "ceiling_kbps": 900, "is_refused": False}
        control = SessionControl(session_id="one", is_refused=True, reason="", at_ms=NOW_MS)
        world.controls.put("one", control)
        assert await next_line() == {"session_id": "one", "ceiling_kbps": 900, "is_refused": True}
        world.bitrates.put("two", a_bitrate("two", None))
        assert (await next_line())["session_id"] == "two"
