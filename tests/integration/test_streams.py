"""The log's parts on the real broker: producer, view, request and reply, dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.envelope import Enrollment, Refused, Request
from schemas.errors import InvalidMessageError
from schemas.recommendations import GetResumePoint, ResumePoint
from schemas.secrets import SecretBytes
from schemas.sessions import SessionControl
from schemas.steering import SteeringDecision
from streams.admin import apply_topics
from streams.broker import Broker
from streams.clock import system_clock
from streams.identity import Directory, Identity, enroll, load_or_create_identity
from streams.producer import Publisher
from streams.records import Record
from streams.replies import Desk
from streams.requests import Asker, NoAnswerError, RefusedError
from streams.topics import (
    GATEWAY_REPLIES,
    RECOMMENDATION_REQUESTS,
    SESSION_CONTROL,
    SIGNING_KEYS,
    STEERING_DECISIONS,
)
from streams.view import View


def a_decision(version: int) -> SteeringDecision:
    return SteeringDecision(
        cohort="*",
        version=version,
        order=("alpha", "beta"),
        ttl_s=5,
        reason="initial",
        facts=(),
        policy_version="1",
        decided_at_ms=0,
    )


@pytest.fixture
async def publisher(broker: Broker) -> AsyncIterator[Publisher]:
    publisher = Publisher(broker, client_id="test", state_key=SecretBytes(b"k" * 32))
    await publisher.start()
    yield publisher
    await publisher.stop()


async def test_a_view_holds_the_newest_value_and_follows(
    broker: Broker, publisher: Publisher
) -> None:
    await apply_topics(broker, topics=[STEERING_DECISIONS])
    await publisher.publish(STEERING_DECISIONS, "*", a_decision(1))
    view: View[SteeringDecision] = View(broker, STEERING_DECISIONS, clock=system_clock)
    await view.start()
    try:
        assert view.get("*") == a_decision(1)
        await publisher.publish(STEERING_DECISIONS, "*", a_decision(2))
        assert await view.wait_until(lambda: view.get("*") == a_decision(2), 5_000)
        await publisher.publish(STEERING_DECISIONS, "*", None)
        assert await view.wait_until(lambda: view.get("*") == a_decision(2), 100)
    finally:
        await view.stop()


async def test_a_record_without_its_mac_is_not_taken(broker: Broker, publisher: Publisher) -> None:
    await apply_topics(broker, topics=[SESSION_CONTROL])
    forged = b'{"type":"session_control","session_id":"s","is_refused":true,"reason":"","at_ms":1}'
    await publisher.publish_raw(SESSION_CONTROL.name, b"s", forged, {}, 0)
    view: View[SessionControl] = View(
        broker, SESSION_CONTROL, clock=system_clock, state_key=SecretBytes(b"k" * 32)
    )
    await view.start()
    await view.stop()
    assert len(view) == 0
    assert view.skipped == 1


class Stage:
    """An asker and an agent's desk with a reading loop between them."""

    def __init__(self, broker: Broker, publisher: Publisher, folder: Path) -> None:
        self.root = Ed25519PrivateKey.generate()
        self.keys: View[Enrollment] = View(broker, SIGNING_KEYS, clock=system_clock)
        self.directory = Directory(self.keys, self.root.public_key(), clock=system_clock)
        self.gateway = load_or_create_identity(folder / "gateway.json", "gateway")
        self.agent = load_or_create_identity(folder / "agent.json", "recommendation")
        self.desk = Desk(publisher, self.agent, self.directory, clock=system_clock)
        self.asker = Asker(broker, publisher, self.gateway, self.directory, clock=system_clock)
        self.refusals: list[str] = []
        self._publisher = publisher
        self._tasks: list[asyncio.Task[None]] = []
        self._requests: View[Request] = View(
            broker, RECOMMENDATION_REQUESTS, clock=system_clock, keep=False, on_record=self._take
        )
        self.answer: msgspec.Struct | None = ResumePoint(playhead_ms=7)

    async def start(self, *identities: Identity) -> None:
        for identity in identities or (self.gateway, self.agent):
            enrollment = enroll(self.root, identity, system_clock())
            await self._publisher.publish(SIGNING_KEYS, identity.key_id, enrollment)
        await self.keys.start()
        await self._requests.start()
        await self.asker.start()

    async def stop(self) -> None:
        await self.asker.stop()
        await self._requests.stop()
        await self.keys.stop()

    def _take(self, record: Record[Request | None]) -> None:
        assert record.value is not None
        try:
            asked = self.desk.open(record)  # type: ignore[arg-type]  # no tombstones here
        except InvalidMessageError as error:
            self.refusals.append(error.reason)
            return
        if asked is not None and self.answer is not None:
            self._tasks.append(asyncio.create_task(self.desk.reply(asked, self.answer)))


@pytest.fixture
async def stage(broker: Broker, publisher: Publisher, tmp_path: Path) -> AsyncIterator[Stage]:
    await apply_topics(broker, topics=[SIGNING_KEYS, GATEWAY_REPLIES, RECOMMENDATION_REQUESTS])
    stage = Stage(broker, publisher, tmp_path)
    yield stage
    await stage.stop()


QUESTION = GetResumePoint(profile_id="p", content_id="c")


async def test_an_answer_comes_back_sealed(stage: Stage) -> None:
    await stage.start()
    answer: ResumePoint = await stage.asker.ask(RECOMMENDATION_REQUESTS, "p", QUESTION, ResumePoint)
    assert answer == ResumePoint(playhead_ms=7)


async def test_a_refusal_is_an_error_with_its_reason(stage: Stage) -> None:
    stage.answer = Refused(status=403, reason="region")
    await stage.start()
    with pytest.raises(RefusedError) as refused:
        await stage.asker.ask(RECOMMENDATION_REQUESTS, "p", QUESTION, ResumePoint)
    assert refused.value.refused.reason == "region"


async def test_silence_is_an_error_at_the_deadline(stage: Stage) -> None:
    stage.answer = None
    await stage.start()
    with pytest.raises(NoAnswerError):
        await stage.asker.ask(RECOMMENDATION_REQUESTS, "p", QUESTION, ResumePoint, deadline_ms=300)


async def test_a_request_of_nobody_enrolled_is_refused(stage: Stage) -> None:
    await stage.start(stage.agent)
    with pytest.raises(NoAnswerError):
        await stage.asker.ask(RECOMMENDATION_REQUESTS, "p", QUESTION, ResumePoint, deadline_ms=500)
    assert stage.refusals == ["forged"]


async def test_an_answer_of_nobody_enrolled_is_dropped(stage: Stage) -> None:
    await stage.start(stage.gateway)
    with pytest.raises(NoAnswerError):
        await stage.asker.ask(RECOMMENDATION_REQUESTS, "p", QUESTION, ResumePoint, deadline_ms=500)
    assert stage.refusals == []
