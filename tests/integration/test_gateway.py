"""The gateway on the real broker: acknowledged means durable, and health tells the truth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from schemas import codec
from schemas.ids import base64url
from schemas.licenses import ClearKey, Keys
from schemas.sessions import GetKeys, LicenseAgentRequest, SessionControl
from streams.broker import Broker
from streams.clock import system_clock
from streams.records import Record
from streams.replies import Desk
from streams.topics import GATEWAY_LEDGER, LICENSE_REQUESTS, PLAYBACK_EVENTS, SESSION_CONTROL
from streams.view import View
from tests.integration.gateways import (
    RunningGateway,
    body_of,
    gateway_on,
    session_bearer,
    stored_values,
)
from tests.unit.gateway.wire_events import an_event

KEY_ID = "000102030405060708090a0b0c0d0e0f"
NDJSON = {"Content-Type": "application/x-ndjson"}


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float) -> float:
    """Seconds until the condition held; fails where it did not in time."""
    started_s = time.monotonic()
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - asked over HTTP: nothing tells of it
            await asyncio.sleep(0.05)
    return time.monotonic() - started_s


async def test_every_acknowledged_event_is_in_the_log_once(broker: Broker, tmp_path: Path) -> None:
    async with gateway_on(broker, tmp_path) as running:
        session_id, headers = session_bearer(running.world)

        async def post(first: int) -> int:
            events = [an_event(session_id, sequence=first + each) for each in range(20)]
            async with running.client.post(
                "/v1/events", data=body_of(*events), headers=headers | NDJSON
            ) as answer:
                assert answer.status == 202
                return int((await answer.json())["accepted"])

        accepted = await asyncio.gather(*(post(number * 20) for number in range(50)))
    stored = await stored_values(broker, PLAYBACK_EVENTS)
    assert sum(accepted) == 1_000
    assert sorted(event.sequence for event in stored) == list(range(1_000))
    ledger = await stored_values(broker, GATEWAY_LEDGER)
    assert sum(entry.accepted for entry in ledger) == 1_000


async def test_a_license_comes_sealed_over_the_log(broker: Broker, tmp_path: Path) -> None:
    async with gateway_on(broker, tmp_path) as running, _LicenseDesk(broker, running):
        token = running.world.session_token()
        body = {"kids": ["AAECAwQFBgcICQoLDA0ODw"], "type": "temporary"}
        async with running.client.post(f"/s/{token}/license", json=body) as answer:
            assert answer.status == 200
            (key,) = (await answer.json())["keys"]
        assert key == {
            "kty": "oct",
            "kid": "AAECAwQFBgcICQoLDA0ODw",
            "k": base64url(b"secret-of-16-byt"),
        }
        async with running.client.get(f"/s/{token}/key/{KEY_ID}") as answer:
            assert await answer.read() == b"secret-of-16-byt"


async def test_without_an_agent_a_license_is_503_within_the_deadline(
    broker: Broker, tmp_path: Path
) -> None:
    async with gateway_on(broker, tmp_path) as running:
        token = running.world.session_token()
        started_s = time.monotonic()
        async with running.client.get(f"/s/{token}/key/{KEY_ID}") as answer:
            assert answer.status == 503
            assert "Retry-After" in answer.headers
        assert time.monotonic() - started_s < 3


async def test_a_refused_session_is_shut_out_within_seconds(broker: Broker, tmp_path: Path) -> None:
    async with gateway_on(broker, tmp_path) as running:
        claims = running.world.session_claims()
        token = running.world.session_token(claims)
        control = SessionControl(
            session_id=claims.sid, is_refused=True, reason="ended", at_ms=system_clock()
        )

        async def is_shut_out() -> bool:
            async with running.client.get(f"/s/{token}/bitrate") as answer:
                return answer.status == 403

        assert not await is_shut_out()
        await running.publisher.publish(SESSION_CONTROL, claims.sid, control)
        assert await until(is_shut_out, 10) < 5


class _LicenseDesk:
    """Grants every asked key, by the real request and reply."""

    def __init__(self, broker: Broker, running: RunningGateway) -> None:
        self._desk = Desk(running.publisher, running.license, running.directory, clock=system_clock)
        self._tasks: list[asyncio.Task[None]] = []
        self._view: View[Any] = View(
            broker,
            LICENSE_REQUESTS,
            clock=system_clock,
            on_record=lambda record: self._tasks.append(asyncio.create_task(self._answer(record))),
            keep=False,
        )

    async def __aenter__(self) -> _LicenseDesk:
        await self._view.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._view.stop()
        await asyncio.gather(*self._tasks)

    async def _answer(self, record: Record[Any]) -> None:
        asked = self._desk.open(record)
        assert asked is not None
        reader: codec.Decoder[LicenseAgentRequest] = codec.Decoder(LicenseAgentRequest)
        question = reader.decode(asked.body)
        assert isinstance(question, GetKeys)
        keys = tuple(
            ClearKey(key_id=key_id, key=b"secret-of-16-byt") for key_id in question.key_ids
        )
        await self._desk.reply(asked, Keys(keys=keys))
