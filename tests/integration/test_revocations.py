"""How long a revocation takes to count everywhere, on the real broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import cycle
from pathlib import Path
from typing import get_args

import pytest

from gateway.views import FollowedTopics
from schemas.licenses import Keys
from schemas.revocations import Revocation, RevokedKind, revocation_key
from schemas.sessions import Device, GetKeys, SessionOpened
from schemas.subscriptions import Subscription
from streams.broker import Broker
from streams.clock import system_clock
from streams.requests import RefusedError
from streams.topics import LICENSE_REQUESTS, REVOCATIONS, TOPICS
from tests.builders import a_title
from tests.integration.counting import until
from tests.integration.house import House, a_house
from tests.integration.test_license import an_open, ask, content_keys

REVOCATIONS_TRIED = 60
COUNTS_WITHIN_S = 5.0


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path, topics=TOPICS) as house:
        yield house


@pytest.mark.timeout(300)
async def test_a_revocation_counts_at_agent_and_gateway_within_five_seconds(house: House) -> None:
    await house.put_title(a_title())
    views = FollowedTopics(house.broker, clock=system_clock, state_key=house.keys.state_key())
    await views.start()
    try:
        async with house.working(house.license_agent()):
            key_id = (await content_keys(house)).keys[-1].key_id
            kinds = cycle(kind for kind in get_args(RevokedKind) if kind != "token")
            took_s = sorted(
                [
                    await _revoked(house, views, number, kind, key_id)
                    for number, kind in zip(range(REVOCATIONS_TRIED), kinds, strict=False)
                ]
            )
    finally:
        await views.stop()
    print(f"revocations: median {took_s[len(took_s) // 2]:.3f} s, longest {took_s[-1]:.3f} s")
    assert took_s[int(0.99 * len(took_s))] <= COUNTS_WITHIN_S


async def _revoked(
    house: House, views: FollowedTopics, number: int, kind: RevokedKind, key_id: str
) -> float:
    """Seconds from the word to the last place where it counts."""
    account_id = f"account-{number}"
    device = Device(device_id=f"device-{number}", model=f"model-{number}")
    premium = Subscription(plan="premium", state="active", since_ms=0)
    await house.put_account(account_id, subscription=premium)
    opened: SessionOpened = await ask(
        house, an_open(account_id=account_id, device=device), SessionOpened
    )
    session_id = opened.session_id
    question = GetKeys(account_id=account_id, session_id=session_id, key_ids=(key_id,))
    assert len((await ask(house, question, Keys)).keys) == 1
    subjects: dict[RevokedKind, str] = {
        "account": account_id,
        "device": device.device_id,
        "model": device.model,
        "session": session_id,
        "key": key_id,
    }
    subject = subjects[kind]
    key = revocation_key(kind, subject)
    revocation = Revocation(kind=kind, subject=subject, by="ada", at_ms=system_clock())
    began_s = time.monotonic()
    await house.publisher.publish(REVOCATIONS, key, revocation)

    async def is_refused_by_the_agent() -> bool:
        try:
            await house.gateway.ask(LICENSE_REQUESTS, account_id, question, Keys)
        except RefusedError as error:
            return error.refused.reason in {"revoked", "session-ended"}
        return False

    async def is_known_to_the_gateway() -> bool:
        control = views.views.controls.get(session_id)
        is_ended = control is not None and control.is_refused
        return views.views.revocations.get(key) is not None and (is_ended or kind == "key")

    await asyncio.gather(until(is_refused_by_the_agent), until(is_known_to_the_gateway))
    took_s = time.monotonic() - began_s
    if kind == "key":  # the next ones ask for it
        await house.publisher.publish(REVOCATIONS, key, None)

        async def is_given_again() -> bool:
            return not await is_refused_by_the_agent()

        await until(is_given_again)
    return took_s
